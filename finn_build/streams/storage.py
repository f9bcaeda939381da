"""Where FINN's FIFO keeps its words, and so how many fit: the rules of fifo.sv, finn-plus 1.6.1.

Any depth from 2 is legal there: shift registers hold 5 to 33 words, distributed RAM any number, block RAM whole
memories of 512 words and up, split in two where that is smaller. So `split_large_fifos`, which earlier versions of FINN
needed for Vivado's FIFO of 32,768 words, is gone; and a FIFO in block RAM holds more than it was asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

StorageKind = Literal["shift", "distributed", "block"]

LEAST_DEPTH = 2
LONGEST_SHIFT = 33
_LEAST_BLOCK = 512
LEAST_WORDS = 5
"""That a FIFO holds, however shallow."""


@dataclass(frozen=True)
class Storage:
    """A FIFO as it is built.

    Attributes:
        kind: what holds the words.
        memory_words: in the memory, behind which come one (block: two) words of output registers.
        words: that it holds in all.
    """

    kind: StorageKind
    memory_words: int
    words: int


def storage(depth: int, bits: int, ram_style: str = "auto") -> Storage:
    """What a FIFO of a depth becomes.

    Args:
        depth: asked for, at least 2.
        bits: of a word, padded to bytes.
        ram_style: FINN's attribute; UltraRAM, which 7-series chips lack, is built of block RAM (`graph/fifos.py`).
    """
    kind = _kind(depth, bits, ram_style)
    if kind == "shift":
        words = max(depth, LEAST_WORDS)
        return Storage(kind, words - 1, words)
    if kind == "distributed":
        return Storage(kind, depth - 1, depth)
    memory = _block_words(depth - 1)
    return Storage(kind, memory, memory + 2)


def _kind(depth: int, bits: int, ram_style: str) -> StorageKind:
    if depth <= LONGEST_SHIFT:
        return "shift"
    if ram_style in ("srl", "shift"):
        return "shift"
    if ram_style != "auto":
        return "distributed" if ram_style == "distributed" else "block"
    if depth <= 64 and bits < 12:
        return "shift"
    return "distributed" if depth <= 257 or bits < 5 else "block"


def _block_words(wanted: int) -> int:
    """Words of the memory: a power of two, or half of it and a smaller one beside."""
    low = (wanted - 1).bit_length()
    if low > 9:
        high = (wanted - 2 ** (low - 1) - 1).bit_length() if wanted > 2 ** (low - 1) else 0
        if high < low - 1:
            return int(2 ** (low - 1) + 2 ** max(1, high))
    return int(2**low)


def steps(longest: int = 1 << 20) -> Iterator[int]:
    """The greatest depth of each size of memory, rising: 33, then powers of two and, of block RAM, halves between."""
    size = LONGEST_SHIFT - 1
    while size <= longest:
        yield size + 1
        if size >= _LEAST_BLOCK:
            yield size + size // 2 + 1
        size *= 2
