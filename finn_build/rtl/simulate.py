"""The whole accelerator in Verilator: images in, packets out, compared with words from a file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from finn_build.errors import CheckFailed, UserError
from finn_build.rtl.netlist import Netlist, memory_files, read_netlist
from finn_build.rtl.stuck import describe_stuck
from finn_build.rtl.top import Accelerator, write_accelerator
from finn_build.rtl.verilator import Run, build
from finn_build.rtl.words import pack_words

CamBackend = Literal["rtl", "hls"]
UInt8 = npt.NDArray[np.uint8]
FRAME_BYTES = slice(12, 16)
"""Where a packet's header carries the frame counter."""
CAM = "ClassActivationMap"


@dataclass(frozen=True)
class FifoUse:
    """A FIFO's capacity and the most words that it held."""

    name: str
    depth: int
    high_water: int


@dataclass(frozen=True)
class LayerTime:
    """When a stream moved its first and last word of each image, in cycles: a row of the timeline."""

    name: str
    first: tuple[int, ...]
    last: tuple[int, ...]


@dataclass(frozen=True)
class SimulationResult:
    """What a simulation measured.

    Attributes:
        images: simulated.
        values: output values compared.
        mismatches: of those, the ones that differ.
        latency_cycles: from an image's first word in to its last word out, for the first image.
        interval_cycles: between the last words of consecutive images in steady state; None for fewer than two images.
        clock_mhz: that `fps` is for.
        fps: images a second at that clock; None where there is no interval.
        cycles: simulated in all.
        cycles_per_second: simulated a second of wall time.
        seconds: of simulation.
        build_seconds: of compilation; 0 where the program was there already.
        cam_backend: rtl, or hls: then the simulated hardware ends at the tap, and the C++ follows it in C simulation.
        stalls_seed: of the random pauses on input and output, or None.
        graph: digest of the simulated graph's generated code.
        fifos: every FIFO.
        timeline: every stream between two blocks.
        first_difference: the first value that differs, or None.
    """

    images: int
    values: int
    mismatches: int
    latency_cycles: int
    interval_cycles: int | None
    clock_mhz: float
    fps: float | None
    cycles: int
    cycles_per_second: float
    seconds: float
    build_seconds: float
    cam_backend: CamBackend
    stalls_seed: int | None
    graph: str
    fifos: tuple[FifoUse, ...]
    timeline: tuple[LayerTime, ...] = field(repr=False)
    first_difference: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the timeline, as plain numbers."""
        fifos = [{"name": f.name, "depth": f.depth, "high_water": f.high_water} for f in self.fifos]
        kept = {name: value for name, value in vars(self).items() if name not in ("fifos", "timeline")}
        return {**kept, "fifos": fifos}


def simulate(
    graph: Path,
    code: Path,
    golden: Path,
    out: Path,
    *,
    cache: Path,
    images: int = 2,
    stalls_seed: int | None = None,
    cam_backend: CamBackend = "rtl",
    clock_mhz: float = 100.0,
    idle_cycles: int = 100_000,
    trace: tuple[Path, int, int] | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> SimulationResult:
    """Builds the accelerator from generated code, unless it is built already, and runs it.

    Args:
        graph: ONNX file of the specialised, connected graph whose code was generated; DMAs are left out.
        code: folder of the generated code, a folder a node.
        golden: golden.npz with `images` (uint8 [N, S, S, 3]) and `packet` (uint8 [N, L]) or `tap` (uint8 [N, h, w, C]).
        out: takes the top, its sources and the words of the run.
        cache: compiled programs are kept there.
        images: how many to run; the golden set is repeated where it has fewer.
        stalls_seed: random pauses on input and output with this seed.
        cam_backend: `hls` ends the hardware at the tap and runs the C++ of the CAM block behind it.
        clock_mhz: for `fps`.
        idle_cycles: so many in which no stream moves count as a deadlock.
        trace: waveform (FST file, first cycle, cycle after the last); builds another program.
        on_progress: called with the share done and the seconds left, about once a second.

    Raises:
        CheckFailed: a deadlock, naming what waits for what; surplus words; a missing memory file.
        UserError: the golden set does not fit the graph.
        ToolFailed: Verilator or the simulation failed.
    """
    from qonnx.core.modelwrapper import ModelWrapper

    model = ModelWrapper(str(graph))
    has_cam = any(str(node.op_type).startswith(CAM) for node in model.graph.node)
    netlist = read_netlist(model, code, end_at=CAM if has_cam and cam_backend == "hls" else None)
    accelerator = write_accelerator(netlist, out)
    begin = monotonic()
    simulator = build(accelerator.design(), cache, trace=trace is not None)
    build_seconds = monotonic() - begin if simulator.built else 0.0
    arrays = _golden(golden, images)
    pictures, expected = _words_in(netlist, arrays["images"]), _expected(netlist, arrays, has_cam, cam_backend)
    started = monotonic()

    def progress(cycle: int, done: int, wanted: int) -> None:
        if on_progress is not None and done:
            share = done / wanted
            on_progress(share, (monotonic() - started) * (1 - share) / share)

    run = simulator.run(
        {"in0_V": pictures},
        {"out0_V": netlist.output.words * images},
        folder=out / "run",
        work=code,
        frame_words=_frame_words(netlist),
        scalars=[(name, 0, {"class_select": 0xFFFFFFFF, "gate": 0x80000000}[name]) for name in accelerator.registers],
        stalls_seed=stalls_seed,
        idle_cycles=idle_cycles,
        surplus_cycles=2000,
        trace=trace,
        on_progress=progress,
    )
    if run.status != "done":
        what = describe_stuck(netlist, run)
        raise CheckFailed("rtl", what, "deepen the FIFO that is named, or shorten what it waits for")
    if run.excess:
        raise CheckFailed("rtl", f"more than {netlist.output.words} words an image came out", "the last block is wrong")
    got = run.outputs["out0_V"]
    if has_cam and cam_backend == "hls":
        got = _through_cpp(model, netlist, got, images, cache)
    values, mismatches, first = _compare(got, expected, images)
    return _result(
        accelerator, run, values, mismatches, first, images=images, clock_mhz=clock_mhz, build_seconds=build_seconds,
        cam_backend=cam_backend, stalls_seed=stalls_seed,
    )  # fmt: skip


def code_digest(netlist: Netlist) -> str:
    """Digest of everything that the simulated hardware is made of: sources and memory contents."""
    digest = sha256()
    for block in netlist.blocks:
        for source in block.sources:
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    for path in memory_files(netlist):
        digest.update(path.relative_to(netlist.folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _golden(path: Path, images: int) -> dict[str, UInt8]:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    index = np.arange(images) % len(arrays["images"])
    chosen = {name: arrays[name][index] for name in ("images", "tap", "packet") if name in arrays}
    if "packet" in chosen:
        # The hardware counts the frames that it sees.
        counters = np.arange(images, dtype="<u4").view(np.uint8).reshape(images, 4)
        chosen["packet"] = chosen["packet"].copy()
        chosen["packet"][:, FRAME_BYTES] = counters
    return chosen


def _words_in(netlist: Netlist, images: UInt8) -> bytes:
    lanes = images[0].size // netlist.input.words
    if lanes * netlist.input.words != images[0].size or lanes * 8 > netlist.input.bits:
        got = f"{images[0].size} values an image"
        raise UserError("golden images", f"{netlist.input.words} words of {netlist.input.bits} bits", got, "rebuild")
    return pack_words(images.reshape(-1, lanes), 8)


def _expected(netlist: Netlist, arrays: dict[str, UInt8], has_cam: bool, cam_backend: CamBackend) -> bytes:
    if has_cam and cam_backend == "hls":
        return arrays["packet"].tobytes()
    values = arrays["packet" if has_cam else "tap"]
    if values[0].size != netlist.output_values:
        got = f"{values[0].size} values an image"
        raise UserError(
            "golden set", f"{netlist.output_values}, as the graph's output", got, "make the golden set again"
        )
    lanes = netlist.output_values // netlist.output.words
    return pack_words(values.reshape(-1, lanes), netlist.output_value_bits)


def _frame_words(netlist: Netlist) -> dict[str, int]:
    words = {edge.tensor: edge.words for edge in netlist.edges}
    return {**words, "in0_V": netlist.input.words, "out0_V": netlist.output.words}


def _through_cpp(model: Any, netlist: Netlist, tap: bytes, images: int, cache: Path) -> bytes:
    """The CAM block's C++ on the tap's words, as the hardware sent them."""
    from qonnx.custom_op.registry import getCustomOp

    from cam_postproc.hls.csim import CamCsim
    from finn_build.rtl.words import unpack_words

    node = next(node for node in model.graph.node if str(node.op_type).startswith(CAM))
    block = getCustomOp(node).block
    spec = block.spec
    weights, bias = (np.asarray(model.get_initializer(name)) for name in node.input[1:3])
    lanes = netlist.output_values // netlist.output.words
    values = unpack_words(
        tap[: images * netlist.output.words * (netlist.output.bits // 8)], lanes, spec.tap_bits, signed=False
    )
    frames = values.astype(np.uint8).reshape(images, spec.map_height, spec.map_width, spec.channels)
    biases = bias.reshape(-1).astype(np.int32) if spec.bias_bits else None
    block_run = CamCsim(block, weights.astype(np.int8), biases, cache / "cam").run(frames)
    return np.ascontiguousarray(block_run["packet"]).tobytes()


def _compare(got: bytes, expected: bytes, images: int) -> tuple[int, int, str | None]:
    """Byte by byte: values compared, values that differ, and the first of those in words."""
    length = min(len(got), len(expected))
    left = np.frombuffer(got, np.uint8, length)
    right = np.frombuffer(expected, np.uint8, length)
    different = np.flatnonzero(left != right)
    missing = len(expected) - length
    first = None
    if different.size:
        index = int(different[0])
        image, at = divmod(index, len(expected) // images)
        first = f"image {image}, byte {at}: {left[index]} instead of {right[index]}"
    elif missing:
        first = f"the last {missing} bytes did not come"
    return len(expected), int(different.size) + missing, first


def _result(
    accelerator: Accelerator,
    run: Run,
    values: int,
    mismatches: int,
    first: str | None,
    *,
    images: int,
    clock_mhz: float,
    build_seconds: float,
    cam_backend: CamBackend,
    stalls_seed: int | None,
) -> SimulationResult:
    netlist = accelerator.netlist
    last = run.sides["out0_V"].last
    gaps = [b - a for a, b in pairwise(last)]
    # The pipeline still fills behind the first images: the interval is that of the later half.
    interval = int(median(gaps[len(gaps) // 2 :])) if gaps else None
    return SimulationResult(
        images=images,
        values=values,
        mismatches=mismatches,
        latency_cycles=last[0] - run.sides["in0_V"].first[0] + 1,
        interval_cycles=interval,
        clock_mhz=clock_mhz,
        fps=clock_mhz * 1e6 / interval if interval else None,
        cycles=run.cycles,
        cycles_per_second=run.cycles / run.seconds if run.seconds else 0.0,
        seconds=run.seconds,
        build_seconds=build_seconds,
        cam_backend=cam_backend,
        stalls_seed=stalls_seed,
        graph=code_digest(netlist),
        fifos=tuple(FifoUse(b.name, b.depth, run.high_water[b.name]) for b in accelerator.fifos),
        timeline=tuple(
            LayerTime(edge.title, run.sides[edge.tensor].first, run.sides[edge.tensor].last) for edge in netlist.edges
        ),
        first_difference=first,
    )
