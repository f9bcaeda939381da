"""A pynq device without a board: programming, memory and registers end in this process."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .fabric import Block, Fabric
from .link import Link
from .mark import MARK
from .memory import Memory

PYNQ: Any = importlib.import_module("pynq")
DEVICE: Any = importlib.import_module("pynq.pl_server.device")
EMBEDDED: Any = importlib.import_module("pynq.pl_server.embedded_device")
PARSER: Any = importlib.import_module("pynq.metadata.runtime_metadata_parser")
METADATA: Any = importlib.import_module("pynqmetadata.frontends")

SLCR, SLCR_BYTES = 0xF800_0000, 0x1000
SLCR_RESET = {0x100: 0x28008, 0x104: 0x20008, 0x108: 0x1E008, 0x120: 0x1F000200, 0x170: 0x200A00}
"""System-level control registers of the processing system that pynq reads its clocks from, as after reset."""


class EmulatedBuffer(PYNQ.buffer.PynqBuffer):  # type: ignore[misc]
    """A buffer that gives its memory back once, by hand or when it is collected; its slices own none."""

    freed: bool
    bo: int

    def freebuffer(self) -> None:
        """Frees the memory beneath, as on the board: whoever still holds a slice holds nothing."""
        if hasattr(self, "memory") and not self.freed:
            self.freed = True
            self.memory.free(self.bo)


class EmulatedDevice(DEVICE.Device):  # type: ignore[misc]
    """A Zynq-7000 with host and device memory kept apart.

    Args:
        link: to the accelerator's model.
    """

    def __init__(self, link: Link) -> None:
        super().__init__("emulated")
        self.name = "emulated"
        self.arch = "armv7l"
        self.capabilities = {"MEMORY_MAPPED": True, "REGISTER_RW": False, "CALLABLE": False}
        self.memory, self._link = Memory(), link
        self.fabric: Fabric | None = None
        self.fault: str | None = None
        self.timestamp = ""
        self.bitfile_name = ""
        self._slcr = np.zeros(SLCR_BYTES // 4, np.uint32)
        for offset, value in SLCR_RESET.items():
            self._slcr[offset // 4] = value

    # ------------------------------------------------------------ programming

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """What the `.hwh` says, read by pynq's own parser."""
        return PARSER.RuntimeMetadataParser(METADATA.Metadata(input=Path(bitfile_name).with_suffix(".hwh")))

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """Nothing is kept between processes."""

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Programs the chip: only stand-in bitfiles can be executed here."""
        head = EMBEDDED.parse_bit_header(Path(bitstream.bitfile_name).read_bytes())
        if not head["data"].startswith(MARK):
            raise RuntimeError("a real bitfile: the emulated board cannot execute it")
        shape = json.loads(head["data"][len(MARK) :].rstrip(b"\0"))
        if self.fabric is not None:
            self.fabric.drop()
        self.fabric = Fabric(self.memory, self._link, shape)
        self.fabric.fault = self.fault
        self._link.reset()
        self.post_download(bitstream, parser, self.name)

    def set_fault(self, fault: str | None) -> None:
        """Makes the board go wrong in one way from now on; None makes it whole."""
        self.fault = fault
        if self.fabric is not None:
            self.fabric.fault = fault

    # ------------------------------------------------------------ registers

    def mmap(self, base_addr: int, length: int) -> Any:
        """The 32-bit words of an address range."""
        if SLCR <= base_addr < SLCR + SLCR_BYTES:
            first = (base_addr - SLCR) // 4
            return self._slcr[first : first + max(1, length // 4)]
        for name, entry in self.ip_dict.items():
            if entry.get("phys_addr") is not None and entry["phys_addr"] <= base_addr:
                offset = base_addr - entry["phys_addr"]
                if offset + length <= entry["addr_range"]:
                    return Words(self, name, offset, length // 4)
        raise RuntimeError(f"bus error: nothing at 0x{base_addr:08x}")

    def block(self, name: str) -> Block:
        """The block at an address; absent ones answer nothing."""
        if self.fabric is None:
            raise RuntimeError("bus error: the chip is not programmed")
        return self.fabric.blocks.get(name, Block())

    # ------------------------------------------------------------ memory

    def allocate(self, shape: Any, dtype: Any, **options: Any) -> Any:
        """A buffer whose two sides are kept apart, cacheable or not: a driver that flushes is right either way."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        number, region = self.memory.allocate(size)
        buffer = EmulatedBuffer(
            shape, dtype, buffer=region.host.data, device=self, device_address=region.address, bo=number, coherent=False
        )
        buffer.memory = self.memory
        return buffer

    def flush(self, bo: int, offset: int, vaddr: int, nbytes: int) -> None:
        """Cache to memory, unless the fault is that it was forgotten."""
        if self.fault != "missing-flush":
            self.memory.flush(bo, offset, nbytes)

    def invalidate(self, bo: int, offset: int, vaddr: int, nbytes: int) -> None:
        """Memory to cache."""
        self.memory.invalidate(bo, offset, nbytes)


class Words:
    """A mapped address range: numpy's way of reading and writing, ending in a block's registers."""

    def __init__(self, device: EmulatedDevice, name: str, offset: int, count: int) -> None:
        self._device, self._name, self._offset, self._count = device, name, offset, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int | slice) -> Any:
        block = self._device.block(self._name)
        if isinstance(index, slice):
            words = [block.read(self._offset + 4 * i) for i in range(*index.indices(self._count))]
            return np.array(words, np.uint32)
        return np.uint32(block.read(self._at(index)))

    def __setitem__(self, index: int | slice, value: Any) -> None:
        block = self._device.block(self._name)
        if isinstance(index, slice):
            places = range(*index.indices(self._count))
            values: npt.NDArray[np.uint32] = np.broadcast_to(np.asarray(value, np.uint32), (len(places),))
            for place, word in zip(places, values.tolist(), strict=True):
                block.write(self._offset + 4 * place, word)
        else:
            block.write(self._at(index), int(value) & 0xFFFFFFFF)

    def _at(self, index: int) -> int:
        if not 0 <= index < self._count:
            raise IndexError(f"word {index} of {self._count}")
        return self._offset + 4 * index


def plug_in(link: Link) -> EmulatedDevice:
    """Makes an emulated board the one that pynq uses."""
    device = EmulatedDevice(link)
    DEVICE.DeviceMeta._devices = None
    DEVICE.Device._devices = [device]
    DEVICE.Device.active_device = device
    return device
