"""What is compiled and run: a top with AXI streams, and what came of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LITE = (
    ("input", "AWADDR", 0), ("input", "AWVALID", 1), ("output", "AWREADY", 1), ("input", "WDATA", 32),
    ("input", "WSTRB", 4), ("input", "WVALID", 1), ("output", "WREADY", 1), ("output", "BRESP", 2),
    ("output", "BVALID", 1), ("input", "BREADY", 1), ("input", "ARADDR", 0), ("input", "ARVALID", 1),
    ("output", "ARREADY", 1), ("output", "RDATA", 32), ("output", "RRESP", 2), ("output", "RVALID", 1),
    ("input", "RREADY", 1),
)  # fmt: skip
LITE_PINS = tuple(pin for _, pin, _ in _LITE)
"""Signals of an AXI-lite slave."""


def lite_ports(prefix: str, address_bits: int) -> list[str]:
    """Declarations of an AXI-lite slave's ports, PREFIX_AWADDR and so on."""
    return [f"{way} [{(bits or address_bits) - 1}:0] {prefix}_{pin}" for way, pin, bits in _LITE]


@dataclass(frozen=True)
class Stream:
    """An AXI stream port of the top: NAME_TDATA, NAME_TVALID, NAME_TREADY.

    Args:
        name: the ports' prefix, e.g. in0_V.
        bits: of TDATA; a word in a file takes ceil(bits / 8) bytes, little-endian.
    """

    name: str
    bits: int

    @property
    def word_bytes(self) -> int:
        """Bytes of a word in a file."""
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Design:
    """What is compiled: a top with ap_clk, ap_rst_n, streams and plain inputs.

    Args:
        top: module name.
        sources: SystemVerilog files; packages before their users.
        inputs: streams into the top.
        outputs: streams out of it.
        scalars: plain inputs of up to 64 bits.
        lites: prefixes of AXI-lite slaves with 32-bit words: NAME_AWADDR and so on.
        probes: names of the streams in `probe_valid` and `probe_ready`, bit 0 first; empty where the top has none.
        fifos: names of the FIFOs in `fifo_high_water`, 32 bits each, the first in the low bits.
        defines: preprocessor symbols.
    """

    top: str
    sources: tuple[Path, ...]
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    scalars: tuple[str, ...] = ()
    lites: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    fifos: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()

    def header(self) -> str:
        """design.inc: the port list as the harness wants it."""

        def listed(macro: str, names: Sequence[str]) -> str:
            return f"#define {macro}(X) " + " ".join(f"X({i}, {name})" for i, name in enumerate(names))

        lines = [f'#include "V{self.top}.h"', f"#define TOP V{self.top}"]
        lines += [f"#define {stream.name}_BITS {stream.bits}" for stream in (*self.inputs, *self.outputs)]
        lines += [listed("INPUTS", [stream.name for stream in self.inputs])]
        lines += [listed("OUTPUTS", [stream.name for stream in self.outputs])]
        lines += [listed("SCALARS", self.scalars), listed("LITES", self.lites)]
        lines += [f"#define PROBES {len(self.probes)}", f"#define FIFOS {len(self.fifos)}"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Side:
    """What one stream did: words moved, and the cycle of each frame's first and last word."""

    words: int
    first: tuple[int, ...]
    last: tuple[int, ...]
    valid: bool
    ready: bool


@dataclass(frozen=True)
class Access:
    """A write of a register, or with `value` None a read: word `beat` of the input stream waits for its answer."""

    lite: str
    input: str
    beat: int
    address: int
    value: int | None


@dataclass(frozen=True)
class Behind:
    """C++ of a CAM block that takes a stream's words within the simulation.

    Args:
        stream: the design's output that it takes.
        library: as `cam_postproc.hls.csim.build_library` made it.
        frames: images of a run.
        frame_words: words of an image on the stream.
        packet_bytes: of an image.
        word_bytes: of a word of the packets' stream.
        banks: both weight banks as registers' bytes; unused where the weights are ROM.
    """

    stream: str
    library: Path
    frames: int
    frame_words: int
    packet_bytes: int
    word_bytes: int
    banks: bytes


PACKETS = "packets"
"""Name of what `Behind` sends, among a run's outputs."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        status: done, stuck (nothing moved for the idle limit) or limit.
        cycles: simulated after reset.
        seconds: of the simulation loop.
        excess: an output sent more words than were wanted.
        outputs: name → bytes that the stream sent; with C++ behind one, its packets as PACKETS.
        sides: name → what the stream did; the probed streams by their names too.
        high_water: FIFO name → most words held.
        answers: AXI-lite slave → what was read, in order.
    """

    status: str
    cycles: int
    seconds: float
    excess: bool
    outputs: dict[str, bytes]
    sides: dict[str, Side]
    high_water: dict[str, int]
    answers: dict[str, list[int]] = field(default_factory=dict)
