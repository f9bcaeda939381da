"""FINN's IODMA: moves whole images or packets between memory and a stream."""

from __future__ import annotations

from typing import Any

CONTROL, ADDRESS_LOW, ADDRESS_HIGH, COUNT = 0x00, 0x10, 0x14, 0x1C
START, DONE = 1, 2


class Iodma:
    """One DMA.

    Args:
        cell: its block in the overlay, with `read(offset)` and `write(offset, value)`.
        name: for messages.
    """

    def __init__(self, cell: Any, name: str) -> None:
        self._cell = cell
        self.name = name
        self._finished = True

    def start(self, address: int, count: int) -> None:
        """Moves `count` images or packets from or to the buffer at a physical address."""
        # Reading clears the bit that an earlier run has left.
        self._cell.read(CONTROL)
        self._cell.write(ADDRESS_LOW, address & 0xFFFFFFFF)
        self._cell.write(ADDRESS_HIGH, address >> 32)
        self._cell.write(COUNT, count)
        self._finished = False
        self._cell.write(CONTROL, START)

    def finished(self) -> bool:
        """Whether the last transfer has ended."""
        # The bit clears itself when read, so what was seen once is kept.
        self._finished = self._finished or bool(self._cell.read(CONTROL) & DONE)
        return self._finished
