"""How many multiplications share a DSP in FINN's RTL matrix-vector unit."""

LARGEST_WEIGHT_BITS = 25
"""Width of a DSP48E1's wide input; 27 of a DSP48E2's."""


def mvu_lanes(weight_bits: int, activation_bits: int, wide: int = LARGEST_WEIGHT_BITS) -> int:
    """Multiplications in one DSP48E1: `1 + ⌊(25 − W) / (W + A − 1)⌋`; `wide` is 27 for a DSP48E2."""
    return 1 + (wide - weight_bits) // (weight_bits + activation_bits - 1)
