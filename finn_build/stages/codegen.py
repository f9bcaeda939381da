"""Stage `codegen`: RTL and HLS sources of every node, with weights and thresholds read back from them."""

from pathlib import Path

from finn_build.config import HardwareSpec
from finn_build.report.schema import Verification, check
from finn_build.stages.files import GRAPH, NODES
from finn_build.stages.result import Progress, StageResult


def generate_code(connected: Path, hardware: HardwareSpec, out: Path, progress: Progress) -> StageResult:
    """Generates each node's sources below `nodes/`, and compares every constant in them with the graph.

    Raises:
        CheckFailed: a node has no files, or a word in them is not the graph's.
    """
    from finn_build.graph.codegen import generate_code as generate
    from finn_build.stages.inputs import load_graph, save_graph

    progress(0.05)
    model, report = generate(load_graph(connected), hardware.part, 1000.0 / hardware.clock_mhz, out / NODES)
    save_graph(model, out / GRAPH)
    nodes = len(model.graph.node)
    return StageResult(
        checks=(check("nodes with generated sources", len(report.folders), "==", nodes, unit="nodes"),),
        verification=tuple(Verification(**row) for row in report.rows),
    )
