"""The end of the integer graph: pooling as a sum, the scales behind the classifier as numbers."""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.graph.walk import (
    Array,
    computed_inputs,
    constant,
    insert_after,
    label,
    only_consumer,
    producer,
    scalar,
    shape,
)

TAP = "tap"
LOGITS = "logits"


@dataclass(frozen=True)
class OutputScale:
    """`logit = logit_scale · (integer logit)`, the integer logit being `Σ_xy Σ_k w·f + bias`."""

    logit_scale: float
    positions: int
    bias: list[int]
    bias_error: float


def strip_output_scale(model: ModelWrapper) -> tuple[ModelWrapper, OutputScale]:
    """Ends the graph with ReduceSum, MatMul and, where the classifier has a bias, an integer Add.

    GlobalAveragePool divides by the number of positions N; the sum does not, so N joins the scale behind the
    classifier: `logit = s/N · (Σ_xy M + B)` with `B = bias · N / s` rounded to an integer.

    Args:
        model: streamlined; it ends GlobalAveragePool, Flatten, MatMul, then Mul and Add by constants.

    Returns:
        The model with outputs `tap` and `logits`, and the scales.

    Raises:
        UserError: the graph ends in another way; the message names the node.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    product, tail = _find_classifier(model)
    pooling = _find_pooling(model, product)
    tap = pooling.input[0]
    size = shape(model, tap)
    positions = size[2] * size[3]
    scale, bias = _scale_and_bias(model, tail)
    classes = shape(model, product.output[0])[1]
    exact = np.broadcast_to(bias * positions / scale, (classes,))
    rounded = np.rint(exact).astype(np.int64)
    for node in tail:
        model.graph.node.remove(node)
    _sum_instead_of_average(model, pooling, product, size[1])
    _end_with(model, product, rounded)
    tap_producer = producer(model, tap)
    if tap_producer is None:
        raise UserError(label(pooling), "a feature map that the network computes", "its input", "export it again")
    model.rename_tensor(tap, TAP)
    _make_output(model, TAP, size, 0)
    error = float(np.abs(exact - rounded).max())
    return model, OutputScale(scale / positions, positions, [int(value) for value in rounded], error)


def _find_classifier(model: ModelWrapper) -> tuple[NodeProto, list[NodeProto]]:
    tensor = model.graph.output[0].name
    tail: list[NodeProto] = []
    while True:
        node = producer(model, tensor)
        if node is None:
            raise _other_head("nothing before it")
        if node.op_type == "MatMul" and constant(model, node, 1) is not None:
            return node, tail[::-1]
        inputs = computed_inputs(model, node)
        if node.op_type not in ("Mul", "Add") or len(inputs) != 1 or node.input[0] != inputs[0]:
            raise _other_head(label(node))
        tail.append(node)
        tensor = inputs[0]


def _find_pooling(model: ModelWrapper, product: NodeProto) -> NodeProto:
    node = producer(model, product.input[0])
    while node is not None and node.op_type in ("Flatten", "Reshape"):
        node = producer(model, node.input[0])
    if node is None or node.op_type != "GlobalAveragePool":
        raise _other_head("the graph's input" if node is None else label(node))
    return node


def _other_head(got: str) -> UserError:
    remedy = "end the network with average pooling and one fully connected layer with one weight scale"
    return UserError("network head", "global average pooling, a fully connected layer and its scale", got, remedy)


def _scale_and_bias(model: ModelWrapper, tail: list[NodeProto]) -> tuple[float, Array]:
    scale, bias = 1.0, np.zeros(1)
    for node in tail:
        operand = constant(model, node, 1)
        if operand is None:
            raise _other_head(label(node))
        if node.op_type == "Add":
            bias = bias + np.asarray(operand, np.float64).reshape(-1)
            continue
        factor = scalar(operand)
        if factor is None:
            remedy = "quantise the classifier's weights with one scale for the whole tensor"
            raise UserError(label(node), "one classifier scale", f"{operand.size} scales, one a class", remedy)
        scale, bias = scale * factor, bias * factor
    if scale <= 0:
        raise UserError("network head", "a positive scale", f"{scale:g}", "export the network again")
    return scale, bias


def _sum_instead_of_average(model: ModelWrapper, pooling: NodeProto, product: NodeProto, channels: int) -> None:
    node = pooling
    while node is not product:
        following = only_consumer(model, node.output[0])
        if following is None:
            raise _other_head(f"another reader of {label(node)}")
        if node is not pooling:
            model.graph.node.remove(node)
        node = following
    axes, pooled = "pool_axes", "pooled"
    model.set_initializer(axes, np.asarray([2, 3], np.int64))
    insert_after(model, pooling, helper.make_node("ReduceSum", [pooling.input[0], axes], [pooled], keepdims=0))
    model.graph.node.remove(pooling)
    product.input[0] = pooled
    model.set_tensor_shape(pooled, [1, channels])


def _end_with(model: ModelWrapper, product: NodeProto, bias: Array) -> None:
    size = shape(model, product.output[0])
    last = product.output[0]
    if np.any(bias):
        last = "class_sums"
        product.output[0] = last
        model.set_tensor_shape(last, size)
        model.set_initializer("class_bias", bias.astype(np.float32).reshape(1, -1))
        insert_after(model, product, helper.make_node("Add", [last, "class_bias"], [LOGITS]))
    else:
        product.output[0] = LOGITS
    while model.graph.output:
        model.graph.output.pop()
    _make_output(model, LOGITS, size, 0)


def _make_output(model: ModelWrapper, tensor: str, size: list[int], position: int) -> None:
    for value in list(model.graph.value_info):
        if value.name == tensor:
            model.graph.value_info.remove(value)
    model.graph.output.insert(position, helper.make_tensor_value_info(tensor, TensorProto.FLOAT, size))
