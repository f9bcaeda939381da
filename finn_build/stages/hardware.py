"""Stages `hardware` and `partition`: FINN's dataflow layers with the CAM block as the last, then one partition."""

from pathlib import Path
from typing import Any

from finn_build.config import CamSettings, HardwareSpec
from finn_build.report.schema import check
from finn_build.stages.integer import GRAPH
from finn_build.stages.result import Progress, StageResult

PARENT, CHILD = "parent.onnx", "partition_0.onnx"


def make_hardware(
    lowered: Path,
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
        CheckFailed: an output differs from the golden set.
    """
    from finn_build.graph.hardware import nodes_outside_hardware, to_hardware
    from finn_build.head import read_arrays, read_head
    from finn_build.nodes.cam import CamNode
    from finn_build.stages.inputs import load_graph

    block = CamNode(read_head(head), (output, output), cam.sampling) if hardware.head == "cam" else None
    graph = to_hardware(load_graph(lowered), hardware.head, block)
    progress(0.1)
    rows = executed("hardware", graph, read_arrays(golden), hardware.head)
    graph.save(str(out / GRAPH))
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
    from finn_build.stages.inputs import load_graph

    parts = partition(load_graph(hardware), out)
    parts.parent.save(str(out / PARENT))
    progress(0.1)
    rows = executed("partition", parts.child, read_arrays(golden), head)
    nodes = check("nodes in the partition", len(parts.child.graph.node), ">=", 1, unit="nodes")
    return StageResult(checks=(nodes,), verification=tuple(rows))


def executed(stage: Any, graph: Any, golden: dict[str, Any], head: str) -> Any:
    """The graph's output on the golden images, node by node in FINN's own Python, against the golden set."""
    from finn_build.executors.base import Output
    from finn_build.executors.nodes import NodeExecutor
    from finn_build.verify.compare import require_equal

    last = graph.graph.output[0].name
    name = {"cam": "packet", "tap": "tap", "logits": "logits"}[head]
    got = NodeExecutor(graph, {name: Output(last)}, stage=stage).run(golden["images"])
    expected = golden[name]
    if name == "packet":
        # A graph computes one image at a time, each as its first frame: the frame counter is the stream's, not its.
        expected = without_frame(expected)
    return require_equal(stage, {name: expected}, {name: got[name].reshape(expected.shape)})


def without_frame(packets: Any) -> Any:
    """Packets (uint8 [N, L]) with the frame counter of their headers set to 0."""
    cleared = packets.copy()
    cleared[:, 12:16] = 0
    return cleared
