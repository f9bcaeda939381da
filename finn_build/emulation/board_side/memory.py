"""Main memory seen from two sides: what the processor has in its caches, and what a DMA reads and writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FIRST, LAST, PAGE = 0x1000_0000, 0x1F00_0000, 4096
"""Where buffers are put: the processing system's DDR behind its HP port."""


class BusError(Exception):
    """A DMA reached for an address that nobody has allocated; on a real board it would hang or spoil memory."""


@dataclass
class Region:
    """An allocated buffer: address, and the same bytes as processor and DMA see them."""

    address: int
    host: npt.NDArray[np.uint8]
    device: npt.NDArray[np.uint8]


class Memory:
    """Buffers by their number. Nothing moves between the two sides but by `flush` and `invalidate`."""

    def __init__(self) -> None:
        self.regions: dict[int, Region] = {}
        self._next, self._count = FIRST, 0

    def allocate(self, size: int) -> tuple[int, Region]:
        """A buffer of `size` bytes, zeros on both sides."""
        whole = -(-size // PAGE) * PAGE
        if self._next + whole > LAST:
            raise MemoryError(f"{size} bytes: the emulated board's memory is full")
        address, self._next = self._next, self._next + whole
        region = Region(address, np.zeros(size, np.uint8), np.zeros(size, np.uint8))
        self._count += 1
        self.regions[self._count] = region
        return self._count, region

    def free(self, number: int) -> None:
        """Forgets a buffer."""
        del self.regions[number]

    def flush(self, number: int, offset: int, count: int) -> None:
        """From the processor's side to the DMA's."""
        region = self.regions[number]
        region.device[offset : offset + count] = region.host[offset : offset + count]

    def invalidate(self, number: int, offset: int, count: int) -> None:
        """From the DMA's side to the processor's."""
        region = self.regions[number]
        region.host[offset : offset + count] = region.device[offset : offset + count]

    def seen_by_dma(self, address: int, count: int) -> npt.NDArray[np.uint8]:
        """A view of `count` bytes as a DMA sees them.

        Raises:
            BusError: they do not lie in one buffer.
        """
        for region in self.regions.values():
            start = address - region.address
            if start >= 0 and start + count <= len(region.device):
                return region.device[start : start + count]
        raise BusError(f"0x{address:08x}, {count} bytes: no buffer there")
