"""Chains of DSP48E1 that add products up on the way: what fits one, and the timing of the project's own cores."""

from collections.abc import Iterable
from dataclasses import dataclass

CHAIN_LANES = 2
"""Weights that share a DSP's multiplier."""
CHAIN_BITS = 24
"""Bits that two weights and a lane's sum have in all: 2·W + A + ⌈log2 length⌉ may not be more."""
MOST_CHAIN = 20
"""DSPs in a chain: those of a clock region's column. A chain cannot leave its column, and many share the chip's."""
COLUMNS = (("xc7z020", (60, 60, 60, 20, 20)),)
"""DSPs in each column of a part; the processing system takes the upper two thirds of two of them."""
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


def chains_of(simd: int) -> list[int]:
    """DSPs of each chain that SIMD operands are shared out among."""
    chains = -(-simd // MOST_CHAIN)
    length = -(-simd // chains)
    return [min(length, simd - start) for start in range(0, simd, length)]


def chain_fits(size: ChainSize) -> bool:
    """Whether a lane's sum fits below the other lane."""
    needed = 2 * size.weight_bits + size.activation_bits + (chains_of(size.simd)[0] - 1).bit_length()
    return needed <= CHAIN_BITS and size.activation_bits < 18


def columns_hold(part: str, lengths: Iterable[int]) -> bool:
    """Whether all chains find place in the columns of a part; true of a part whose columns are not known."""
    for name, columns in COLUMNS:
        if part.startswith(name):
            free = sorted(columns)
            for length in sorted(lengths, reverse=True):
                # The tightest column that has room.
                place = next((i for i, room in enumerate(free) if room >= length), None)
                if place is None:
                    return False
                free[place] -= length
                free.sort()
    return True


def core_timing(simd: int, folds: int, *, chain: bool) -> CoreTiming:
    """Timing of an own core.

    Args:
        simd: products a cycle and lane.
        folds: cycles of compute a sum, MW / SIMD.
        chain: of DSPs; else in LUTs.
    """
    chains = chains_of(simd)
    latency = chains[0] + 4 + (len(chains) > 1) if chain else 3
    # Places come back three cycles after a result has left.
    under_way = -(-(latency + 6) // folds) + 2
    return CoreTiming(latency, max(LEAST_QUEUE, 16 * -(-under_way // 16)))
