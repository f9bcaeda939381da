"""Images in, packets or taps out: both DMAs for one slot, with a time-out that names the one that did not finish."""

from __future__ import annotations

import time

import numpy as np

from .dma import Iodma
from .errors import DmaTimeout, ShortTransfer
from .hostside import UInt8
from .slot import Slot

FRAME = slice(12, 16)
"""Where a packet carries the accelerator's frame counter."""

POLLS_BEFORE_SLEEP = 200
SLEEP_SECONDS = 0.0002


class Transfer:
    """The two DMAs around the accelerator.

    Args:
        source: moves images in.
        sink: moves packets or taps out.
        counted: whether what comes carries the frame counter, as packets do.
    """

    def __init__(self, source: Iodma, sink: Iodma, counted: bool = True) -> None:
        self.source, self.sink, self._counted = source, sink, counted
        self._frame: int | None = None

    def forget(self) -> None:
        """The chip was programmed: its frame counter starts anew."""
        self._frame = None

    def start(self, slot: Slot) -> None:
        """Starts a filled slot; nothing else may run."""
        # The output first: packets must have somewhere to go.
        self.sink.start(slot.output.device_address, slot.count)
        self.source.start(slot.input.device_address, slot.count)

    def wait(self, slot: Slot, timeout_s: float | None) -> None:
        """Waits for a started slot's packets or taps.

        Args:
            slot: that runs.
            timeout_s: None for 5 s and a tenth of a second an image.

        Raises:
            DmaTimeout: naming the DMA that did not finish.
        """
        seconds = 5.0 + 0.1 * slot.count if timeout_s is None else timeout_s
        deadline = time.monotonic() + seconds
        polls = 0
        # Both: a DMA that still works would not take the next start.
        while not (self.sink.finished() and self.source.finished()):
            polls += 1
            if polls > POLLS_BEFORE_SLEEP:
                time.sleep(SLEEP_SECONDS)
            if time.monotonic() > deadline:
                raise self._late(slot, seconds)

    def _late(self, slot: Slot, seconds: float) -> DmaTimeout:
        taken, sent = self.source.finished(), self.sink.finished()
        late = self.sink if taken else self.source
        if taken:
            other = f"{self.source.name} took all images in, so {slot.what} are missing"
        elif sent:
            other = f"{self.sink.name} sent all {slot.what}"
        else:
            other = f"{self.sink.name} waits for it, so the accelerator takes no more images"
        return DmaTimeout(
            late.name,
            f"{late.name}: expected the end of {slot.count} images within {seconds:g} s, got none; {other}; the "
            "accelerator was reset, try again",
        )

    def collect(self, slot: Slot) -> UInt8:
        """The packets or taps of a slot that has ended: uint8 [count, L].

        Raises:
            StaleBuffer, ShortTransfer: not all of them came, or not one after another.
        """
        packets = slot.packets(self.sink.name)
        if not self._counted:
            return packets
        frames = packets[:, FRAME].copy().view("<u4").ravel()
        first = int(frames[0]) if self._frame is None else self._frame
        expected = (first + np.arange(len(frames), dtype=np.uint64)) & 0xFFFFFFFF
        if not np.array_equal(frames, expected):
            at = int(np.argmax(frames != expected))
            raise ShortTransfer(
                f"{self.sink.name}: expected frame {expected[at]} as packet {at}, got {frames[at]}: packets were lost; "
                "the accelerator was reset, try again"
            )
        self._frame = (int(expected[-1]) + 1) & 0xFFFFFFFF
        return packets
