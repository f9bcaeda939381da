"""Amounts of the chip's resources that a module takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

BLOCK_RAM_SHAPES = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
"""Width and depth of one 18 Kb block RAM (UG473, table 1-2)."""


@dataclass(frozen=True)
class Cost:
    """LUTs (logic and memory together), flip-flops, block RAMs of 18 Kb and DSP48E1; a prediction, so not whole."""

    lut: float = 0.0
    ff: float = 0.0
    bram18: float = 0.0
    dsp: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.lut + other.lut, self.ff + other.ff, self.bram18 + other.bram18, self.dsp + other.dsp)

    def to_json(self) -> dict[str, int]:
        """Whole numbers under the keys of a report's `resources`."""
        return {"LUT": round(self.lut), "FF": round(self.ff), "BRAM18": round(self.bram18), "DSP": round(self.dsp)}


def total(costs: Iterable[Cost]) -> Cost:
    """The sum."""
    amount = Cost()
    for cost in costs:
        amount = amount + cost
    return amount


def block_rams(width: int, depth: int) -> int:
    """Fewest 18 Kb block RAMs for `depth` words of `width` bits."""
    return sections(width, depth)[0]


@cache
def sections(width: int, depth: int) -> tuple[int, int]:
    """Block RAMs, and how many stand one behind the other; the last part may have another shape than those before."""
    found = []
    for wide, deep in BLOCK_RAM_SHAPES:
        behind, rest = divmod(depth, deep)
        row = -(-width // wide)
        if not behind or not rest:
            found.append((row * max(behind, 1), max(behind, 1)))
        else:
            blocks, more = sections(width, rest)
            found.append((row * behind + blocks, behind + more))
    return min(found)


def lut_memory(width: int, depth: int) -> float:
    """LUTs of a memory in LUTs that is written at run time: RAM64M holds 64 words of 3 bits in 4."""
    return -(-depth // 64) * width * 4 / 3
