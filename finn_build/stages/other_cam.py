"""The accelerator with its CAM block in the other language: the same graph, for simulation and synthesis alone."""

from pathlib import Path

from finn_build.config import HardwareSpec
from finn_build.report.schema import Verification
from finn_build.stages.files import GRAPH, NODES
from finn_build.stages.result import Progress, StageResult


def generate_other_cam(
    specialised: Path, backend: str, hardware: HardwareSpec, out: Path, progress: Progress
) -> StageResult:
    """Turns the CAM node alone, and generates every node's code anew; folding and FIFO depths stay.

    Args:
        specialised: the specialised graph, before FIFOs.
        backend: `rtl` or `hls`.
        hardware: chip and clock.
        out: takes the connected graph and the code, named as stage `codegen` does.
        progress: told the share done.

    Raises:
        CheckFailed: a word in the generated files is not the graph's.
    """
    from finn_build.graph.codegen import generate_code
    from finn_build.graph.fifos import connect
    from finn_build.nodes.variants import choose_rtl
    from finn_build.stages.inputs import load_graph, save_graph

    model = load_graph(specialised)
    choose_rtl(model, "rtl" if backend == "rtl" else "hls")
    model = connect(model, hardware.part)
    progress(0.4)
    model, report = generate_code(model, hardware.part, 1000.0 / hardware.clock_mhz, out / NODES)
    save_graph(model, out / GRAPH)
    return StageResult(verification=tuple(Verification(**row) for row in report.rows))
