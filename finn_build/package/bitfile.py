"""A bitfile from another machine: does its header and its hardware description fit a package's manifest?"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from finn_build.errors import UserError
from finn_build.package.manifest import Manifest

PACKET_MARK, BUILD_MARK = "packet_bytes", "build_id"
CONSTANT = "xilinx.com:ip:xlconstant:"
USER_ID = re.compile(r"UserID=0X([0-9A-F]{8})", re.IGNORECASE)
NO_USER_ID = 0xFFFFFFFF
REMEDY = "use the bitfile that was made from this package"
MOST_BYTES = 1 << 26
DMA_REGISTERS = {"CTRL": 0x00, "numReps": 0x1C}
"""Of FINN's IODMA, by Vitis HLS' names: what the driver relies on beyond the address at 0x10."""


@dataclass(frozen=True)
class BitHeader:
    """What a `.bit` file says before its data.

    Attributes:
        design: Vivado's name of it, with user id and version.
        part: as Vivado writes it: 7z020clg400.
        bytes: of configuration data.
    """

    design: str
    part: str
    bytes: int

    @property
    def user_id(self) -> int | None:
        """The user id that was set when the bitfile was written, here the build id; None where none was."""
        match = USER_ID.search(self.design)
        value = int(match[1], 16) if match else NO_USER_ID
        return None if value == NO_USER_ID else value


def design_marks(manifest: Manifest) -> dict[str, str]:
    """Constants that the block design carries, unconnected, so that its description says what it was made for.

    Cells of `xilinx.com:ip:xlconstant`, 32 bits wide, by name, and their value in hexadecimal.
    """
    length = next((dma.bytes for dma in manifest.dmas if dma.direction == "out"), 0)
    return {PACKET_MARK: f"0x{length:08X}", BUILD_MARK: f"0x{int(manifest.build_id, 16):08X}"}


def read_bit(path: Path) -> BitHeader:
    """Reads a `.bit` file's header.

    Raises:
        UserError: it is missing, none, or truncated.
    """
    content = _content(path, "a .bit file")
    try:
        at = 2 + struct.unpack_from(">H", content)[0] + 2
        texts: dict[str, str] = {}
        while (key := content[at : at + 1]) != b"e":
            length = struct.unpack_from(">H", content, at + 1)[0]
            if key not in (b"a", b"b", b"c", b"d") or at + 3 + length > len(content):
                raise ValueError(f"field {key!r} at byte {at}")
            texts[key.decode()] = content[at + 3 : at + 3 + length].rstrip(b"\0").decode("ascii")
            at += 3 + length
        size = struct.unpack_from(">I", content, at + 1)[0]
        if at + 5 + size != len(content):
            raise ValueError(f"{len(content) - at - 5:,} bytes of data instead of {size:,}")
        return BitHeader(texts["a"], texts["b"], size)
    except (struct.error, ValueError, KeyError) as error:
        raise UserError(str(path), "a whole .bit file", f"another ({error})", "make or copy it again") from None


def check_bitfile(bit: Path, hwh: Path, manifest: Manifest) -> list[str]:
    """Checks a bitfile and its description against a package, before they are copied to a board.

    Args:
        bit: Vivado's bitfile.
        hwh: the hardware description of the same design.
        manifest: of the package.

    Returns:
        One line for each thing that was checked and holds.

    Raises:
        UserError: the first thing that does not: part, DMA names and registers, register map, packet length, build id.
    """
    header = read_bit(bit)
    part = manifest.part.removeprefix("xc").rsplit("-", 1)[0]
    _want(f"{bit.name}: part", part, header.part)
    told = [f"{bit.name}: part {header.part}, {header.bytes:,} bytes of configuration"]
    modules = _modules(hwh)
    for dma in manifest.dmas:
        registers = _registers(hwh, modules, dma.name)
        for name, offset in DMA_REGISTERS.items():
            _want_register(f"{hwh.name}: {dma.name}", registers, name, offset)
        told.append(f"{hwh.name}: {dma.name} is there, with FINN's registers")
    if manifest.cam_block:
        registers = _registers(hwh, modules, manifest.cam_block)
        for register in manifest.registers:
            _want_offset(f"{hwh.name}: {manifest.cam_block}", registers, register.name, register.offset)
        told.append(f"{hwh.name}: {manifest.cam_block} has the manifest's {len(manifest.registers)} registers")
    marks = design_marks(manifest)
    found = {name: _constant(hwh, modules, name) for name in marks}
    _want(
        f"{hwh.name}: {'tap' if manifest.head == 'tap' else 'packet'} length",
        int(marks[PACKET_MARK], 16),
        found[PACKET_MARK],
    )
    _want(f"{hwh.name}: build id", manifest.build_id, f"0x{found[BUILD_MARK]:08x}")
    what = "taps" if manifest.head == "tap" else "packets"
    told.append(f"{hwh.name}: {what} of {found[PACKET_MARK]:,} bytes, build id {manifest.build_id}")
    if header.user_id is None:
        raise UserError(f"{bit.name}: user id", f"the build id {manifest.build_id}", "none", REMEDY)
    _want(f"{bit.name}: user id", manifest.build_id, f"0x{header.user_id:08x}")
    told.append(f"{bit.name}: build id {manifest.build_id}")
    return told


def _content(path: Path, wanted: str) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(str(path), wanted, f"a file of more than {MOST_BYTES:,} bytes", "correct the path")
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(str(path), wanted, "no such file", "correct the path") from None
    except IsADirectoryError:
        raise UserError(str(path), wanted, "a folder", "correct the path") from None


def _modules(hwh: Path) -> dict[str, Xml.Element]:
    content = _content(hwh, "a .hwh file")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        # Entities can make a small file fill the memory, and Vivado writes none.
        raise UserError(str(hwh), "Vivado's hardware description", "XML with entities", "export it again")
    try:
        root = Xml.fromstring(content)  # noqa: S314  entities are refused above
    except Xml.ParseError as error:
        raise UserError(str(hwh), "Vivado's hardware description", f"no XML ({error})", "export it again") from None
    return {module.get("FULLNAME", "").lstrip("/"): module for module in root.iter("MODULE")}


def _registers(hwh: Path, modules: dict[str, Xml.Element], name: str) -> dict[str, int]:
    if name not in modules:
        there = ", ".join(sorted(modules)) or "none"
        raise UserError(f"{hwh.name}: blocks", f"one called {name}", there, REMEDY)
    if not any(entry.get("INSTANCE") == name for module in modules.values() for entry in module.iter("MEMRANGE")):
        raise UserError(f"{hwh.name}: {name}", "an address", "none", "connect its AXI-lite interface and assign one")
    found: dict[str, int] = {}
    for register in modules[name].iter("REGISTER"):
        for entry in register.iter("PROPERTY"):
            if entry.get("NAME") == "ADDRESS_OFFSET":
                found[register.get("NAME", "")] = int(entry.get("VALUE", "0"), 0)
    return found


def _want_register(place: str, registers: dict[str, int], name: str, offset: int) -> None:
    if registers.get(name) != offset:
        got = f"at 0x{registers[name]:02x}" if name in registers else f"only {', '.join(registers) or 'none'}"
        raise UserError(place, f"register {name} at 0x{offset:02x}", got, REMEDY)


def _want_offset(place: str, registers: dict[str, int], name: str, offset: int) -> None:
    # FINN's stitched IP tells Vivado of its interface and often of no register; what it does tell has to agree.
    if registers and offset not in registers.values():
        there = ", ".join(f"{title} 0x{value:02x}" for title, value in sorted(registers.items()))
        raise UserError(place, f"register {name} at 0x{offset:02x}", there, REMEDY)


def _constant(hwh: Path, modules: dict[str, Xml.Element], name: str) -> int:
    module = modules.get(name)
    if module is None or not module.get("VLNV", "").startswith(CONSTANT):
        raise UserError(f"{hwh.name}: blocks", f"a constant {name}", "none", REMEDY)
    for entry in module.iter("PARAMETER"):
        if entry.get("NAME") == "CONST_VAL":
            try:
                return int(entry.get("VALUE", ""), 0)
            except ValueError:
                raise UserError(f"{hwh.name}: {name}", "a number", repr(entry.get("VALUE")), REMEDY) from None
    raise UserError(f"{hwh.name}: {name}", "a value", "none", REMEDY)


def _want(place: str, expected: object, got: object) -> None:
    if expected != got:
        raise UserError(place, str(expected), str(got), REMEDY)
