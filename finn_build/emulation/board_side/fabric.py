"""The programmable logic: two IODMAs, the CAM block's registers, and the accelerator between them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .link import Link
from .memory import BusError, Memory

CONTROL, ADDRESS_LOW, ADDRESS_HIGH, COUNT = 0x00, 0x10, 0x14, 0x1C
START, DONE, IDLE, READY = 1, 2, 4, 8
BEAT_BYTES = 8
SPOILT_BYTE = 7
"""Of each packet or tap, where values are to be wrong: its highest bit is part of no value there, or of a large one."""

IN_FLIGHT = 4
"""Images that the accelerator holds; with more packets waiting it takes no further image in."""

FAULTS = ("dma-hang", "missing-flush", "corrupt-weights", "short-transfer", "wrong-values")
"""What this side can be made to do wrong."""


@dataclass
class State:
    """What one programming of the chip holds; a later one gets a new one, and what still ran for this is dropped."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    packets: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    dropped: bool = False


class Block:
    """A block behind AXI-lite: 32-bit registers by byte offset."""

    def read(self, offset: int) -> int:
        """A register's value; what is not there reads 0."""
        return 0

    def write(self, offset: int, value: int) -> None:
        """Writes a register; what is not there takes no notice."""


class Fabric:
    """A programmed chip.

    Args:
        memory: of the board.
        link: to the accelerator's model.
        shape: `image_bytes`, `packet_bytes` (of a tap, where that leaves), `build_id`, `weights` (the manifest's memory
            or None), the blocks' names.
    """

    def __init__(self, memory: Memory, link: Link, shape: dict[str, Any]) -> None:
        self.memory, self.link, self.shape = memory, link, shape
        self.fault: str | None = None
        self.state = State()
        self.cam = CamBlock(self)
        self.blocks: dict[str, Block] = {
            shape["input_dma"]: Iodma(self, self._take_in),
            shape["output_dma"]: Iodma(self, self._give_out),
        }
        if shape["cam_block"]:
            self.blocks[shape["cam_block"]] = self.cam

    def drop(self) -> None:
        """The chip is programmed anew: whatever still runs ends without a trace."""
        with self.state.changed:
            self.state.dropped = True
            self.state.changed.notify_all()

    def _take_in(self, address: int, count: int) -> bool:
        size = int(self.shape["image_bytes"])
        images = self.memory.seen_by_dma(address, count * size).reshape(count, size).copy()
        packets = self.link.run(images, self.cam.sampled(), self.cam.banks).reshape(count, -1)
        with self.state.changed:
            self.state.packets.extend(packets)
            self.state.changed.notify_all()
            return (
                self.state.changed.wait_for(lambda: self.state.dropped or len(self.state.packets) <= IN_FLIGHT, None)
                and not self.state.dropped
            )

    def _give_out(self, address: int, count: int) -> bool:
        size = int(self.shape["packet_bytes"])
        for number in range(count):
            with self.state.changed:
                self.state.changed.wait_for(lambda: self.state.dropped or bool(self.state.packets))
                if self.state.dropped:
                    return False
                packet = self.state.packets.pop(0).copy()
                self.state.changed.notify_all()
            if self.fault == "wrong-values":
                packet[SPOILT_BYTE] ^= 0x80
            kept = size - BEAT_BYTES if self.fault == "short-transfer" and number == count - 1 else size
            self.memory.seen_by_dma(address + number * size, size)[:kept] = packet[:kept]
        if self.fault == "dma-hang":
            with self.state.changed:
                self.state.changed.wait_for(lambda: self.state.dropped)
            return False
        return True


class Iodma(Block):
    """FINN's IODMA as Vitis HLS makes it: `ap_start` is taken when idle, `ap_done` clears when it is read.

    Args:
        fabric: it belongs to.
        work: (address, count) moves the data; true when all of it has been moved.
    """

    def __init__(self, fabric: Fabric, work: Any) -> None:
        self._fabric, self._work = fabric, work
        self._values = {ADDRESS_LOW: 0, ADDRESS_HIGH: 0, COUNT: 0}
        self._lock = threading.Lock()
        self._done = self._busy = False

    def read(self, offset: int) -> int:
        """Control, address or count."""
        if offset != CONTROL:
            return self._values.get(offset, 0)
        with self._lock:
            value = (START if self._busy else IDLE) | (DONE | READY if self._done else 0)
            self._done = False
            return value

    def write(self, offset: int, value: int) -> None:
        """Starts on bit 0 of control; a start while it works is not taken."""
        if offset in self._values:
            self._values[offset] = value
        elif offset == CONTROL and value & START:
            with self._lock:
                if self._busy:
                    return
                self._busy, self._done = True, False
            address = self._values[ADDRESS_LOW] | self._values[ADDRESS_HIGH] << 32
            threading.Thread(target=self._move, args=(address, self._values[COUNT]), daemon=True).start()

    def _move(self, address: int, count: int) -> None:
        try:
            finished = self._work(address, count)
        except BusError:
            # On the board the bus answers with an error that the DMA waits on for ever.
            finished = False
        if finished:
            with self._lock:
                self._busy, self._done = False, True


class CamBlock(Block):
    """The CAM block's registers, and its weight memory where it has one."""

    SELECT, GATE, BANK, BUILD_ID = 0x10, 0x18, 0x20, 0x30

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._values = {self.SELECT: 0, self.GATE: 0, self.BANK: 0}
        memory = fabric.shape["weights"]
        self._first = int(memory["offset"]) if memory else 0
        words = int(memory["banks"]) * int(memory["words"]) if memory else 0
        self.banks = np.zeros(words, np.uint32)

    def sampled(self) -> dict[str, int]:
        """The registers as a frame's first beat finds them."""
        values = self._values
        gate = values[self.GATE]
        return {
            "select": values[self.SELECT],
            "gate": gate - (1 << 32) if gate >> 31 else gate,
            "bank": values[self.BANK] & 1,
        }

    def read(self, offset: int) -> int:
        """A register or a word of the weight memory."""
        if offset == self.BUILD_ID:
            return int(self._fabric.shape["build_id"])
        word = (offset - self._first) // 4
        if len(self.banks) and 0 <= word < len(self.banks):
            return int(self.banks[word])
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A register or a word of the weight memory."""
        word = (offset - self._first) // 4
        if len(self.banks) and 0 <= word < len(self.banks):
            flipped = self._fabric.fault == "corrupt-weights" and word % 7 == 5
            self.banks[word] = value ^ 0x40 if flipped else value
        elif offset in self._values:
            self._values[offset] = value & 0xFFFFFFFF
