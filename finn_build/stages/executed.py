"""What each stage from the integer graph on is held to: its outputs, every layer, and thresholds from both sides."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finn_build.report.schema import Verification, VerifiedStage

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.executors.base import Output

FRAME_BYTES = slice(12, 16)


def output_of(graph: "ModelWrapper", head: str) -> "dict[str, Output]":
    """The graph's only output under the golden set's name for it."""
    from finn_build.executors.base import Output

    name = {"cam": "packet", "tap": "tap", "logits": "logits"}[head]
    return {name: Output(graph.graph.output[0].name)}


def verify_outputs(
    stage: VerifiedStage, graph: "ModelWrapper", outputs: "dict[str, Output]", golden: dict[str, Any]
) -> list[Verification]:
    """Runs a graph node by node on the golden images and compares its outputs with the golden set.

    Raises:
        CheckFailed: a value differs.
    """
    return _compare(stage, _run(stage, graph, outputs, golden), outputs, golden)


def verify_layers(
    stage: VerifiedStage,
    graph: "ModelWrapper",
    outputs: "dict[str, Output]",
    golden: dict[str, Any],
    integer: Path,
) -> list[Verification]:
    """Compares a graph's outputs with the golden set, and every layer and threshold with the integer graph's.

    Args:
        stage: that made the graph.
        graph: executes in Python.
        outputs: where its outputs are, under the golden set's names.
        golden: arrays of the golden set.
        integer: the streamlined integer graph.

    Raises:
        CheckFailed: a value differs; it names the first.
    """
    from finn_build.executors.batch import BatchExecutor
    from finn_build.stages.inputs import load_graph
    from finn_build.verify.layers import layer_outputs, require_equal_layers
    from finn_build.verify.sweeps import require_equal_thresholds

    reference = load_graph(integer)
    layers = layer_outputs(graph)
    got = _run(stage, graph, {**outputs, **layers}, golden)
    rows = _compare(stage, {name: got[name] for name in outputs}, outputs, golden)
    values = BatchExecutor(reference, dict(layer_outputs(reference))).run(golden["images"])
    rows += require_equal_layers(stage, reference, values, graph, {name: got[name] for name in layers})
    return rows + require_equal_thresholds(stage, reference, graph)


def _run(
    stage: VerifiedStage, graph: "ModelWrapper", outputs: "dict[str, Output]", golden: dict[str, Any]
) -> dict[str, Any]:
    from finn_build.executors.nodes import NodeExecutor

    return NodeExecutor(graph, dict(outputs), stage=stage).run(golden["images"])


def _compare(
    stage: VerifiedStage, got: dict[str, Any], outputs: "dict[str, Output]", golden: dict[str, Any]
) -> list[Verification]:
    from finn_build.verify.compare import require_equal

    expected = {name: golden[name] for name in outputs}
    if "packet" in expected:
        # A graph computes one image at a time, each as its first frame: the frame counter is the stream's, not its.
        expected["packet"] = expected["packet"].copy()
        expected["packet"][:, FRAME_BYTES] = 0
    return require_equal(stage, expected, {name: got[name].reshape(expected[name].shape) for name in outputs})
