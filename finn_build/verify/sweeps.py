"""Each thresholding layer by itself, on inputs that meet every threshold from both sides.

Pictures meet few of a layer's thresholds exactly. So each layer's node is run alone on t - 1 and t, for every threshold
t of every channel, of the reference's and of its own, and on the ends of the range that its accumulator can reach.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node
from qonnx.util.basic import get_preferred_qonnx_opset

from finn_build.errors import CheckFailed
from finn_build.executors.base import take_in
from finn_build.executors.batch import BatchExecutor
from finn_build.report.schema import Verification, VerifiedStage
from finn_build.verify.structure import Layer, layers_of, matching_layers

Array = NDArray[Any]
_REMEDY = "the passes of this stage changed a threshold"


def require_equal_thresholds(stage: VerifiedStage, reference: ModelWrapper, model: ModelWrapper) -> list[Verification]:
    """Sweeps every thresholding layer of a graph and of the reference.

    Args:
        stage: the stage that made `model`.
        reference: the streamlined integer graph.
        model: the later stage's graph (or the reference itself, which compares it with the definition alone).

    Returns:
        one row a layer: the number of (channel, input) pairs.

    Raises:
        CheckFailed: a layer gives another value than the reference, or than the number of thresholds that the input
            reaches; it names the layer, the channel, the input and both values.
    """
    ranges = BatchExecutor(reference).ranges
    rows = []
    for index, (ours, theirs) in enumerate(matching_layers(stage, layers_of(reference), layers_of(model))):
        bounds = ranges[ours.source]
        thresholds = _thresholds(stage, reference, ours), _thresholds(stage, model, theirs)
        inputs = sweep_inputs(thresholds[0], thresholds[1], int(bounds.lo), int(bounds.hi), _channels(reference, ours))
        expected = _run(reference, ours, inputs)
        got = _run(model, theirs, inputs)
        defined = _definition(reference, ours, thresholds[0], inputs)
        label = f"sweep of layer {index} ({ours.name})"
        _require_same(stage, label, inputs, defined, expected)
        _require_same(stage, label, inputs, expected, got)
        rows.append(Verification(stage=stage, output=label, values=inputs.size, mismatches=0, max_abs_diff=0.0))
    return rows


def sweep_inputs(first: Array, second: Array, lowest: int, highest: int, channels: int) -> Array:
    """What to feed a layer.

    Args:
        first: thresholds, [channels or 1, steps].
        second: more thresholds, likewise.
        lowest: the smallest value that the layer's input can take.
        highest: the largest.
        channels: of the layer.

    Returns:
        float32 [1, points, 1, channels]: column c holds t - 1 and t of every threshold t of channel c within the range,
        and its ends; shorter columns repeat `highest`.
    """
    columns = []
    for channel in range(channels):
        edges = np.concatenate([t[min(channel, len(t) - 1)] for t in (first, second)])
        edges = np.ceil(np.clip(edges.astype(np.float64), lowest - 1, highest + 1))
        points = np.unique(np.concatenate([edges - 1, edges, [lowest, highest]]))
        columns.append(points[(points >= lowest) & (points <= highest)])
    length = max(len(column) for column in columns)
    padded = [np.pad(column, (0, length - len(column)), constant_values=highest) for column in columns]
    return np.stack(padded, axis=1).astype(np.float32)[None, :, None, :]


def _thresholds(stage: str, model: ModelWrapper, layer: Layer) -> Array:
    node = _node(model, layer)
    values = model.get_initializer(node.input[1]) if "hreshold" in node.op_type else None
    if values is None:
        what = f"layer {layer.name}: expected a node of thresholds alone, got {node.op_type}"
        raise CheckFailed(stage, what, "keep thresholds out of other nodes, so that they can be checked")
    return np.asarray(values)


def _channels(model: ModelWrapper, layer: Layer) -> int:
    shape = model.get_tensor_shape(layer.tensor)
    return int(shape[1] if layer.layout == "NCHW" else shape[-1])


def _run(model: ModelWrapper, layer: Layer, inputs: Array) -> Array:
    """The node's own code on the sweep."""
    node = _node(model, layer)
    context = {name: model.get_initializer(name) for name in node.input[1:]}
    context[node.input[0]] = take_in(inputs, layer.output)
    context[node.output[0]] = np.zeros_like(context[node.input[0]])
    execute_node(node, context, model.graph, get_preferred_qonnx_opset())
    found: Array = context[node.output[0]]
    return found.transpose(0, 2, 3, 1) if layer.layout == "NCHW" else found


def _definition(model: ModelWrapper, layer: Layer, thresholds: Array, inputs: Array) -> Array:
    """out_scale · (number of thresholds reached) + out_bias, counted one by one."""
    count = np.zeros(inputs.shape, np.float64)
    for step in range(thresholds.shape[1]):
        count += inputs >= thresholds[:, step]
    values = {a.name: a.f for a in _node(model, layer).attribute}
    return np.asarray(values.get("out_scale", 1.0) * count + values.get("out_bias", 0.0))


def _node(model: ModelWrapper, layer: Layer) -> NodeProto:
    node: NodeProto = model.find_producer(layer.tensor)
    return node


def _require_same(stage: str, label: str, inputs: Array, expected: Array, got: Array) -> None:
    wrong = expected != got
    if wrong.any():
        at = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        what = f"{label}, channel {at[-1]}, input {inputs[at]:g}: expected {expected[at]:g}, got {got[at]:g}"
        raise CheckFailed(stage, what, _REMEDY)
