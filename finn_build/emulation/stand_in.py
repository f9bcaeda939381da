"""A stand-in for what vendor tools make: a `.bit` with a real header and a `.hwh` that pynq's parser reads.

Its data is no configuration of a chip but says what a real one would make of it; the emulated board alone takes it.
"""

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from finn_build.emulation.board_side.mark import MARK
from finn_build.package.bitfile import design_marks
from finn_build.package.manifest import Manifest

BASES = (0x4000_0000, 0x4001_0000, 0x4100_0000)
REGISTER_BYTES, WEIGHT_BYTES = 0x1_0000, 0x100_0000
IODMA_REGISTERS = (("CTRL", 0x00), ("in0_V_1", 0x10), ("in0_V_2", 0x14), ("numReps", 0x1C))
PLL_MHZ = 1000
"""Of which the processing system's clock is a whole fraction."""


def write_stand_in(manifest: Manifest, bitfile: Path, build_id: str | None = None) -> Path:
    """Writes `bitfile` and its `.hwh` for a package; another build id makes the bitfile of another accelerator."""
    chosen = build_id or manifest.build_id
    shape = {
        "input_dma": next(d.name for d in manifest.dmas if d.direction == "in"),
        "output_dma": next(d.name for d in manifest.dmas if d.direction == "out"),
        "cam_block": manifest.cam_block,
        "image_bytes": next(d.bytes for d in manifest.dmas if d.direction == "in"),
        "packet_bytes": next(d.bytes for d in manifest.dmas if d.direction == "out"),
        "build_id": int(chosen, 16),
        "weights": manifest.weights.model_dump(mode="json") if manifest.weights else None,
    }
    data = MARK + json.dumps(shape).encode()
    bitfile.write_bytes(bit_file(data + bytes(-len(data) % 4), manifest.part, chosen))
    bitfile.with_suffix(".hwh").write_text(hwh_file(manifest), encoding="utf-8")
    return bitfile


def bit_file(data: bytes, part: str, build_id: str) -> bytes:
    """A `.bit` file: Vivado's header, with the build id as user id, and `data`."""
    device = part.removeprefix("xc").rsplit("-", 1)[0]
    texts = {
        "a": f"top_wrapper;UserID={build_id.upper()};Version=2024.2",
        "b": device,
        "c": "1980/01/01",
        "d": "00:00:00",
    }
    parts = [struct.pack(">H", 9), bytes.fromhex("0ff00ff00ff00ff000"), struct.pack(">H", 1)]
    for key, text in texts.items():
        content = text.encode() + b"\0"
        parts.append(key.encode() + struct.pack(">H", len(content)) + content)
    return b"".join([*parts, b"e" + struct.pack(">I", len(data)), data])


def hwh_file(manifest: Manifest) -> str:
    """A hardware description: the processing system, the DMAs, the accelerator's registers, the design's marks."""
    cells: list[dict[str, Any]] = []
    for dma, base in zip(manifest.dmas, BASES, strict=False):
        vlnv = f"xilinx.com:hls:IODMA_hls_{int(dma.direction == 'out')}:1.0"
        cells.append(_cell(dma.name, vlnv, "s_axi_control", IODMA_REGISTERS, base, REGISTER_BYTES))
    if manifest.cam_block:
        registers = tuple((register.name, register.offset) for register in manifest.registers)
        size = WEIGHT_BYTES if manifest.weights else REGISTER_BYTES
        vlnv = "xilinx_finn:finn:finn_design:1.0"
        cells.append(_cell(manifest.cam_block, vlnv, "s_axi_control_0", registers, BASES[2], size))
    chip, _, rest = manifest.part.removeprefix("xc").partition("clg")
    return _template().render(
        device=chip,
        package=f"clg{rest.split('-')[0]}",
        cells=cells,
        constants=design_marks(manifest),
        divisor=max(1, round(PLL_MHZ / manifest.clock_mhz)),
    )


def _cell(
    name: str, vlnv: str, interface: str, registers: tuple[tuple[str, int], ...], base: int, size: int
) -> dict[str, Any]:
    return {
        "name": name,
        "vlnv": vlnv,
        "kind": vlnv.split(":")[2],
        "interface": interface,
        "registers": [(title, f"0x{offset:x}") for title, offset in registers],
        "base": f"0x{base:08X}",
        "high": f"0x{base + size - 1:08X}",
    }


@cache
def _template() -> Template:
    source = Path(__file__).with_name("stand_in.hwh.j2").read_text(encoding="utf-8")
    return Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=True
    ).from_string(source)
