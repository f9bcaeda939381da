"""Results of stages kept between runs: what they depend on, where they lie, when they may be used again."""
