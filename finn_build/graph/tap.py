"""The tap and the classifier behind it: whether a CAM head is exact, and what it needs.

`logit[c] = Σ_xy M_c(x,y) + B_c` with `M_c(x,y) = Σ_k w[c,k] · f_k(x,y)` holds if pooling is a plain average over the
whole map with nothing requantised after it, and if the classifier has one scale. Each condition is checked by name.
"""

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors

from finn_build.adapter import apply_pass, quiet
from finn_build.errors import UserError
from finn_build.graph.output import LOGITS, TAP
from finn_build.graph.quantiser import QUANTISERS, quant_parameters
from finn_build.graph.walk import Array, attributes, computed_inputs, constant, label, producer, scalar, shape
from finn_build.head import Head

KEEPS_CODES = ("MaxPool", "Identity", "Relu")


def head_of_graph(model: ModelWrapper, labels: Sequence[str] = ()) -> Head:
    """Reads the classifier from the tidy graph and checks that a CAM head computes the same logits.

    Args:
        model: tidy.
        labels: the classes' names; numbers if there are none.

    Raises:
        UserError: names the condition that fails: max-pooling instead of average pooling, pooling over a part of the
            map or requantised after it, one classifier scale a class, a tap or weights that are not integers.
    """
    product, tail = _classifier(model)
    pooling = _pooling(model, product)
    weights = constant(model, product, 1)
    kind = model.get_tensor_datatype(product.input[1])
    if weights is None or not kind.is_integer() or kind.bitwidth() > 8 or not np.array_equal(weights, np.rint(weights)):
        remedy = "quantise the classifier's weights to at most 8 bits"
        raise UserError(f"CAM head, {label(product)}", "integer weights of at most 8 bits", kind.name, remedy)
    factors = [constant(model, node, 1) for node in tail if node.op_type == "Mul"]
    if any(factor is None or factor.size != 1 for factor in factors):
        remedy = "quantise the classifier's weights per tensor, not per channel"
        raise UserError(f"CAM head, {label(product)}", "one weight scale for all classes", "one a class", remedy)
    weight_scale = float(np.prod([float(np.asarray(factor).reshape(-1)[0]) for factor in factors]))
    tap_scale, bits = _tap_quantiser(model, pooling.input[0])
    _, channels, height, width = shape(model, pooling.input[0])
    unit = weight_scale * tap_scale / (height * width)
    return Head(
        fc_weight=weights.T.astype(np.int8),
        bias=_bias(model, tail, weights.shape[1], unit),
        weight_scale=weight_scale,
        tap_scale=tap_scale,
        tap_shape=(1, height, width, channels),
        tap_bits=bits,
        labels=tuple(labels) or tuple(str(index) for index in range(weights.shape[1])),
    )


def _classifier(model: ModelWrapper) -> tuple[NodeProto, list[NodeProto]]:
    tensor = model.graph.output[0].name
    tail: list[NodeProto] = []
    while (node := producer(model, tensor)) is not None and node.op_type in ("Mul", "Add"):
        tail.append(node)
        tensor = computed_inputs(model, node)[0]
    if node is None or node.op_type != "MatMul":
        got = "nothing" if node is None else label(node)
        remedy = "end the network with one fully connected layer, whose output are the logits"
        raise UserError("CAM head", "a fully connected layer at the end", got, remedy)
    return node, tail[::-1]


def _pooling(model: ModelWrapper, product: NodeProto) -> NodeProto:
    place, node = "CAM head", producer(model, product.input[0])
    while node is not None and node.op_type in ("Flatten", "Reshape", "Identity"):
        node = producer(model, node.input[0])
    expected = "global average pooling before the classifier"
    if node is None:
        raise UserError(place, expected, "no pooling", "add global average pooling")
    if node.op_type == "GlobalAveragePool":
        return node
    if node.op_type in ("GlobalMaxPool", "MaxPool", "ReduceMax"):
        remedy = "train with average pooling: a maximum is no sum of class maps"
        raise UserError(place, expected, f"global max-pooling, {label(node)}", remedy)
    if node.op_type in (*QUANTISERS, "Trunc"):
        remedy = "leave the average as it is: requantising it makes the logits no sum of the class maps"
        raise UserError(place, expected, f"a pooled value that {label(node)} requantises", remedy)
    remedy = "pool over the whole map, with nothing between pooling and classifier"
    raise UserError(place, expected, label(node), remedy)


def _tap_quantiser(model: ModelWrapper, tap: str) -> tuple[float, int]:
    scale, tensor = 1.0, tap
    while (node := producer(model, tensor)) is not None:
        if node.op_type in ("Quant", "IntQuant"):
            parameters = quant_parameters(model, node)
            if parameters.scale.size == 1 and parameters.lowest == 0:
                return scale * float(parameters.scale.reshape(-1)[0]), parameters.bits
            break
        if node.op_type == "MultiThreshold":
            values = attributes(node)
            kind = model.get_tensor_datatype(node.output[0])
            if values.get("out_bias", 0.0) == 0.0 and kind.is_integer() and not kind.signed():
                return scale * float(values.get("out_scale", 1.0)), int(kind.bitwidth())
            break
        factor = scalar(constant(model, node, 1)) if node.op_type == "Mul" else None
        if factor is not None:
            scale *= factor
        elif node.op_type not in KEEPS_CODES:
            break
        tensor = computed_inputs(model, node)[0]
    got = "the network's input" if node is None else label(node)
    remedy = "end the last block with a quantised ReLU that has one scale"
    raise UserError("CAM head", "an unsigned quantised feature map before the pooling", got, remedy)


def _bias(model: ModelWrapper, tail: list[NodeProto], classes: int, unit: float) -> Array:
    """The bias in integer logits: `bias / (s_w · s_f / N)`, rounded."""
    total = np.zeros(classes)
    for node in tail:
        operand = constant(model, node, 1)
        if operand is None:
            raise UserError("CAM head", "a constant bias", label(node), "freeze the classifier")
        values = np.asarray(operand, np.float64).reshape(-1)
        total = total + values if node.op_type == "Add" else total * values
    rounded = np.rint(total / unit)
    if np.any(np.abs(rounded) > np.iinfo(np.int32).max):
        raise UserError(
            "CAM head", "a bias within 32 bits", f"{np.abs(rounded).max():g}", "check the classifier's scale"
        )
    return rounded.astype(np.int32)


def cut_at_tap(model: ModelWrapper) -> ModelWrapper:
    """Ends the lowered graph at the tap: its only output, NHWC [1, h, w, C], UINTb."""
    return _with_outputs(model, (TAP,))


def cut_at_logits(model: ModelWrapper) -> ModelWrapper:
    """Leaves the logits as the lowered graph's only output."""
    return _with_outputs(model, (LOGITS,))


def _with_outputs(model: ModelWrapper, names: tuple[str, ...]) -> ModelWrapper:
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    sizes = {value.name: shape(model, value.name) for value in model.graph.output}
    needed = set(names)
    for node in reversed(list(model.graph.node)):
        if needed & set(node.output):
            needed |= set(node.input)
        else:
            model.graph.node.remove(node)
    for value in list(model.graph.output):
        model.graph.output.remove(value)
    for name in names:
        for value in list(model.graph.value_info):
            if value.name == name:
                model.graph.value_info.remove(value)
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes[name]))
    computed = {tensor for node in model.graph.node for tensor in node.output}
    for name, size in sizes.items():
        if name not in names and name in computed:
            model.set_tensor_shape(name, size)
    return apply_pass(model, RemoveUnusedTensors())
