"""`manifest.json`: what a package holds and how its accelerator is spoken to.

Later files (driver, bitfile) are added to a package; the names and keys here stay.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
README = "README.md"
WITHOUT_BITFILE, WITH_BITFILE = "without bitfile", "with bitfile"
MISSING = "the bitfile (.bit) and its hardware description (.hwh), which Vivado and Vitis HLS make from `hardware/`"
"""What a package lacks until a vendor tool has run."""

MAKE = (
    "`make build {made_by}` in the project's checkout, with Vivado and Vitis HLS 2022.2 or 2024.2 on PATH (the "
    "free edition suffices), puts them into this package if the design fits the chip; `make docker-build {made_by}` "
    "does so in a container"
)
"""The command that makes what is missing."""

INPUT_DMA, OUTPUT_DMA, CAM_BLOCK = "idma0", "odma0", "StreamingDataflowPartition_1"
"""Cells of the block design, as FINN's MakeZYNQProject names them: the driver and the block design agree on these.

The DMAs are FINN's IODMAs: control at 0x00, the buffer's address at 0x10 (64 bits), the number of images at 0x1C.
"""

REGISTERS: tuple[tuple[str, int, Literal["read", "write"], str], ...] = (
    ("class_select", 0x10, "write", "class whose map is shown; 0xFFFFFFFF: the class with the highest logit"),
    ("gate", 0x18, "write", "int32: a frame whose shown class's logit is lower is sent as zeros"),
    ("weight_bank", 0x20, "write", "active bank of FC weights, 0 or 1"),
    ("build_id", 0x30, "read", "the build id of this manifest"),
)
WEIGHTS_OFFSET = 0x1000
WEIGHT_BANKS = 2


def safe_path(value: str) -> str:
    """A file's path in the package: relative, forward slashes, never leaving it.

    Raises:
        ValueError: any other path.
    """
    parts = value.split("/")
    forbidden = "\\" in value or ":" in value or any(ord(letter) < 32 for letter in value)
    if forbidden or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{value!r} is no path below the package")
    return value


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FilePath = Annotated[str, AfterValidator(safe_path)]


class Table(BaseModel):
    """A table of the manifest: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PackedFile(Table):
    """A file of the package."""

    path: FilePath
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Register(Table):
    """A 32-bit AXI-lite register of the CAM block, sampled at a frame's first beat."""

    name: str
    offset: int
    access: Literal["read", "write"]
    meaning: str


class WeightMemory(Table):
    """FC weights and biases behind AXI-lite: bank b starts at `offset + 4·b·words`.

    Words are little-endian uint32. The INT8 weight of class c and channel k is byte c·channels + k of its bank; after
    the weights, filled to a whole word, one int32 bias a class follows if the block has biases.
    """

    offset: int
    banks: int
    words: int
    file: FilePath


class Dma(Table):
    """A DMA of the block design: its cell, and the bytes that it moves for an image."""

    name: str
    direction: Literal["in", "out"]
    bytes: int


class Packet(Table):
    """What leaves the accelerator for an image: `bytes` is L; `maps` heatmaps of `height` × `width` bytes."""

    bytes: int
    version: int
    header_bytes: int
    classes: int
    maps: int
    height: int
    width: int


class Tap(Table):
    """What leaves an accelerator with head = tap for an image: UINT`bits` [height, width, channels], innermost first.

    Each beat of the stream holds `lanes` values, the first in the low bits, filled with zeros to whole bytes; beats lie
    one behind the other, `bytes` in all.
    """

    bytes: int
    height: int
    width: int
    channels: int
    bits: int
    lanes: int


class Input(Table):
    """What the accelerator is fed: raw pixels."""

    shape: tuple[int, int, int, int]
    type: Literal["UINT8"] = "UINT8"
    layout: Literal["NHWC"] = "NHWC"
    channel_order: Literal["RGB"] = "RGB"


class Manifest(Table):
    """All of it. `bitfile` is the bitfile's path, null as long as `state` says 'without bitfile'.

    `cam_block` is the cell whose AXI-lite interface holds `registers` and `weights`, null where there are none.
    """

    format: Literal[1] = 1
    config: str
    build_id: Annotated[str, Field(pattern="^0x[0-9a-f]{8}$")]
    state: str
    bitfile: FilePath | None = None
    missing: tuple[str, ...] = ()
    part: str
    clock_mhz: float
    head: str
    input: Input
    packet: Packet | None
    tap: Tap | None = None
    dmas: tuple[Dma, ...]
    cam_block: str | None
    registers: tuple[Register, ...]
    weights: WeightMemory | None
    versions: dict[str, str]
    files: tuple[PackedFile, ...]


def missing(made_by: str) -> tuple[str, ...]:
    """What a package without bitfile lacks, and the command that makes it: `make build` with these arguments."""
    return (f"{MISSING}: {MAKE.format(made_by=made_by)}",)


def to_json(value: Any) -> bytes:
    """JSON as the package holds it: indented, with a newline at the end, the same bytes for the same value."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def registers(runtime_weights: bool) -> tuple[Register, ...]:
    """The CAM block's register map; without a weight memory there is no bank to choose."""
    wanted = [entry for entry in REGISTERS if runtime_weights or entry[0] != "weight_bank"]
    return tuple(Register(name=n, offset=o, access=a, meaning=text) for n, o, a, text in wanted)


def dmas(input_bytes: int, output_bytes: int) -> tuple[Dma, ...]:
    """The two DMAs of the block design, by the bytes of an image and of what leaves for it."""
    return (
        Dma(name=INPUT_DMA, direction="in", bytes=input_bytes),
        Dma(name=OUTPUT_DMA, direction="out", bytes=output_bytes),
    )
