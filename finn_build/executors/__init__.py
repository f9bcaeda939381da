"""One semantics, many executors: each answers `run(images) -> {name: array}`, so one comparison holds them together."""
