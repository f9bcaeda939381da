"""A pair of buffers, images in and packets or taps out, with marks that show what did not arrive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import ShortTransfer, StaleBuffer
from .hostside import UInt8, resize_image

MARK_BYTES = 8
"""As many as the shortest beat of a DMA: what a DMA has written of a packet, it has written over the marks."""


class Slot:
    """Buffers for up to `images` images; two of them let the host fill one while the accelerator works on the other.

    Args:
        pynq: the module.
        images: the most at a time.
        size: height and width of an image in pixels.
        length: L, the bytes of a packet or tap.
        what: "packets" or "taps".
    """

    def __init__(self, pynq: Any, images: int, size: int, length: int, what: str = "packets") -> None:
        self.size, self.length, self.count, self.what = size, length, 0, what
        # Cached by the processor: copying and decoding are many times faster, and the driver flushes.
        self.input = pynq.allocate(shape=(images, size, size, 3), dtype=np.uint8, cacheable=True)
        self.output = pynq.allocate(shape=(images, length), dtype=np.uint8, cacheable=True)
        # No packet begins so: its version would be wrong. A tap of 8 bits might, once in 2⁴⁸.
        self._mark = np.frombuffer(b"\xff\xff" + os.urandom(MARK_BYTES - 2), np.uint8)

    def fill(self, pictures: Sequence[UInt8] | UInt8) -> None:
        """Copies pictures, uint8 [H, W, 3] of any size, or an array of images at the network's, into the buffer."""
        self.count = len(pictures)
        if isinstance(pictures, np.ndarray) and pictures.shape[1:3] == (self.size, self.size):
            np.copyto(self.input[: self.count], pictures)
        else:
            for number, picture in enumerate(pictures):
                np.copyto(self.input[number], resize_image(np.asarray(picture), self.size, self.size))
        self.output[: self.count, :MARK_BYTES] = self._mark
        self.output[: self.count, -MARK_BYTES:] = self._mark
        self.input[: self.count].flush()
        # Before the DMA writes: a line of the cache written back later would overwrite what it brought.
        self.output[: self.count].flush()

    def packets(self, dma: str) -> UInt8:
        """The packets or taps that came: uint8 [count, L].

        Raises:
            StaleBuffer: nothing came, or the host reads an old copy of it.
            ShortTransfer: one came in part, or not at all.
        """
        rows = self.output[: self.count]
        rows.invalidate()
        got = np.array(rows, dtype=np.uint8, subok=False)
        begun = (got[:, :MARK_BYTES] != self._mark).any(axis=1)
        ended = (got[:, -MARK_BYTES:] != self._mark).any(axis=1)
        if not begun.any() and not ended.any():
            expected = f"{self.count} {self.what} of {self.length} bytes in memory after {dma} reported its end"
            raise StaleBuffer(
                f"output buffer: expected {expected}, got none; the cache was not invalidated, or {dma} wrote elsewhere"
            )
        whole = begun & ended
        if not whole.all():
            first = int(np.argmin(whole))
            raise ShortTransfer(
                f"{dma}: expected {self.count} {self.what} of {self.length} bytes, got {int(whole.sum())} whole ones, "
                f"the first broken one is number {first}; the accelerator was reset, try again"
            )
        return got

    def free(self) -> None:
        """Gives the memory back."""
        for buffer in (self.input, self.output):
            buffer.freebuffer()
