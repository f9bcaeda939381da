"""The whole accelerator in Verilator: images in, packets out, compared with words from a file."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from cam_postproc.hls.sources import pack_bank
from cam_postproc.rtl import BANKS, CONTROL
from cam_postproc.spec import ARGMAX, NO_GATE
from finn_build.errors import CheckFailed
from finn_build.rtl.design import PACKETS, Access
from finn_build.rtl.golden import (
    CAM,
    CamBackend,
    cam_of,
    compare,
    cpp_behind,
    frame_words,
    golden_arrays,
    words_in,
    words_out,
)
from finn_build.rtl.netlist import read_netlist
from finn_build.rtl.result import SimulationResult, result_of
from finn_build.rtl.stuck import describe_stuck
from finn_build.rtl.top import write_accelerator
from finn_build.rtl.verilator import build

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

CLASS_SELECT, GATE = 0x10, 0x18
"""Addresses of the CAM block's registers."""


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
        cam_backend: `hls` ends the hardware at the tap, whose words the C++ of the CAM block takes in the simulation.
        clock_mhz: for `fps`.
        idle_cycles: so many in which no stream moves count as a deadlock.
        trace: waveform (FST file, first cycle, cycle after the last); builds another program.
        on_progress: called with the share done and the seconds left, about once a second.

    Raises:
        CheckFailed: a deadlock, naming what waits for what; surplus words; a missing memory file; a word in one that is
            not the graph's.
        UserError: the golden set does not fit the graph.
        ToolFailed: Verilator or the simulation failed.
    """
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.graph.codegen import compare_constants

    model = ModelWrapper(str(graph))
    has_cam = any(str(node.op_type).startswith(CAM) for node in model.graph.node)
    in_cpp = has_cam and cam_backend == "hls"
    netlist = read_netlist(model, code, end_at=CAM if in_cpp else None)
    accelerator = write_accelerator(netlist, out)
    names = {block.name for block in netlist.blocks}
    for node in model.graph.node:
        # A wrong word would only show as a wrong packet: here it has a name and a place.
        if node.name in names:
            compare_constants(model, node, code / node.name)
    begin = monotonic()
    simulator = build(accelerator.design(), cache, trace=trace is not None)
    behind = cpp_behind(model, netlist, images, cache) if in_cpp else None
    build_seconds = monotonic() - begin if simulator.built else 0.0
    arrays = golden_arrays(golden, images)
    pictures, expected = words_in(netlist, arrays["images"]), words_out(netlist, arrays, has_cam, cam_backend)
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
        frame_words=frame_words(netlist),
        accesses=_host_writes(model) if accelerator.registers else (),
        behind=behind,
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
    got = run.outputs[PACKETS if in_cpp else "out0_V"]
    return result_of(
        accelerator,
        run,
        compare(got, expected, images),
        images=images,
        clock_mhz=clock_mhz,
        build_seconds=build_seconds,
        cam_backend=cam_backend,
        stalls_seed=stalls_seed,
    )


def _host_writes(model: "ModelWrapper") -> list[Access]:
    """What a host writes before the first image: bank 0 where weights are loaded; the argmax is shown, gate open."""
    block, weights, bias = cam_of(model)
    words = pack_bank(block, weights, bias).tolist() if block.runtime_weights else []
    writes = [(BANKS + 4 * index, word) for index, word in enumerate(words)]
    writes += [(CLASS_SELECT, ARGMAX), (GATE, NO_GATE & ARGMAX)]
    return [Access(CONTROL, "in0_V", 0, address, value) for address, value in writes]
