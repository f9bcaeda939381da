"""Stages `hardware` and `partition`: FINN's dataflow layers with the CAM block as the last, then one partition."""

from pathlib import Path

from finn_build.config import CamSettings, HardwareSpec
from finn_build.report.schema import check
from finn_build.stages.executed import output_of, verify_layers, verify_outputs
from finn_build.stages.files import GRAPH, PARENT
from finn_build.stages.result import Progress, StageResult


def make_hardware(
    lowered: Path,
    integer: Path,
    golden: Path,
    head: Path,
    hardware: HardwareSpec,
    cam: CamSettings,
    output: int,
    out: Path,
    progress: Progress,
) -> StageResult:
    """Replaces every operator by its generic dataflow layer and appends the CAM block.

    Raises:
        UserError: a node has no dataflow layer; it names the node and the tensor that is the cause.
        CheckFailed: an output differs from the golden set, or a layer from the integer graph's.
    """
    from finn_build.graph.cleanup import rename
    from finn_build.graph.hardware import nodes_outside_hardware, to_hardware
    from finn_build.head import read_arrays, read_head
    from finn_build.nodes.cam import CamNode
    from finn_build.stages.inputs import load_graph, save_graph

    block = CamNode(read_head(head), (output, output), cam.sampling) if hardware.head == "cam" else None
    graph = to_hardware(load_graph(lowered), hardware.head, block)
    graph = rename(graph, keep=(graph.graph.output[0].name,))
    progress(0.1)
    rows = verify_layers("hardware", graph, output_of(graph, hardware.head), read_arrays(golden), integer)
    save_graph(graph, out / GRAPH)
    outside = check("nodes outside hardware", len(nodes_outside_hardware(graph)), "==", 0, unit="nodes")
    return StageResult(checks=(outside,), verification=tuple(rows))


def make_partition(hardware: Path, golden: Path, head: str, out: Path, progress: Progress) -> StageResult:
    """Cuts the dataflow graph out as one partition.

    Raises:
        UserError: there would be more than one partition, or none.
        CheckFailed: an output differs from the golden set.
    """
    from finn_build.graph.partition import partition
    from finn_build.head import read_arrays
    from finn_build.stages.inputs import load_graph, save_graph

    parts = partition(load_graph(hardware), out)
    save_graph(parts.parent, out / PARENT)
    progress(0.1)
    rows = verify_outputs("partition", parts.child, output_of(parts.child, head), read_arrays(golden))
    nodes = check("nodes in the partition", len(parts.child.graph.node), ">=", 1, unit="nodes")
    return StageResult(checks=(nodes,), verification=tuple(rows))
