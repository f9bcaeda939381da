"""Chains of DSP48E1 that add products up on the way: what fits one, and the timing of the project's own cores."""

from dataclasses import dataclass

CHAIN_LANES = 2
"""Weights that share a DSP's multiplier."""
CHAIN_BITS = 24
"""Bits that two weights and a lane's sum have in all: 2·W + A + ⌈log2 SIMD⌉ may not be more."""
MOST_CHAIN = 48
"""DSPs in a chain: one column of a small chip has 60, and a chain cannot leave its column."""
LEAST_QUEUE = 16
"""Results that wait in an own core, at least."""


@dataclass(frozen=True)
class ChainSize:
    """What decides whether a chain can be built.

    Attributes:
        simd: products a cycle and lane, one DSP each.
        weight_bits: signed.
        activation_bits: signed or not.
    """

    simd: int
    weight_bits: int
    activation_bits: int


@dataclass(frozen=True)
class CoreTiming:
    """When an own core's results come.

    Attributes:
        latency: cycles from a sum's last word of operands to its place in the queue.
        queue: results that the queue holds: as many as are under way and some, or the core would wait for itself.
    """

    latency: int
    queue: int


def chain_fits(size: ChainSize) -> bool:
    """Whether a lane's sum fits below the other lane."""
    needed = 2 * size.weight_bits + size.activation_bits + (size.simd - 1).bit_length()
    return size.simd <= MOST_CHAIN and needed <= CHAIN_BITS and size.activation_bits < 18


def core_timing(simd: int, folds: int, *, chain: bool) -> CoreTiming:
    """Timing of an own core.

    Args:
        simd: products a cycle and lane.
        folds: cycles of compute a sum, MW / SIMD.
        chain: of DSPs; else in LUTs.
    """
    latency = simd + 4 if chain else 3
    # Places come back three cycles after a result has left.
    under_way = -(-(latency + 6) // folds) + 2
    return CoreTiming(latency, max(LEAST_QUEUE, 16 * -(-under_way // 16)))
