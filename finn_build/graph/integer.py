"""Whether a graph is integer throughout, and how wide its integers are."""

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, TensorProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.graph.walk import Array, attributes, constant, consumers, label, producer, shape

REMEDY = "quantise that tensor, or use an operator that scales pass through"


def to_single_precision(model: ModelWrapper) -> ModelWrapper:
    """Constants as float32 again, the container that QONNX and FINN keep integers in.

    Raises:
        UserError: an integer is too large for it.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.DOUBLE:
            continue
        value = np.asarray(model.get_initializer(tensor.name))
        single = value.astype(np.float32)
        whole = np.isfinite(value) & (value == np.rint(value))
        # Thresholds beyond every accumulator are clipped to ±2^31 and lose nothing that matters.
        if np.any(whole & (np.abs(value) < 1 << 31) & (single.astype(np.float64) != value) & (np.abs(value) < 1 << 24)):
            raise UserError(f"tensor {tensor.name}", "integers below 2^24", f"{value.max():g}", REMEDY)
        model.set_initializer(tensor.name, single)
    for value in list(model.graph.value_info) + list(model.graph.output) + list(model.graph.input):
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return model


def assert_integer_constants(model: ModelWrapper) -> None:
    """Refuses a graph with a constant that is not integer: a scale or bias that could not be absorbed.

    Raises:
        UserError: names the first one in the order of execution, and its node.
    """
    for node in model.graph.node:
        for name in node.input:
            value = model.get_initializer(name)
            if value is not None and not _integers(np.asarray(value)):
                got = f"constants of {label(node)} that are none{_stopped_by(model, node)}"
                raise UserError(f"tensor {name}", "integers", got, REMEDY)


def _stopped_by(model: ModelWrapper, node: NodeProto) -> str:
    """What a scale or bias could not be moved through or absorbed by."""
    if node.op_type not in ("Mul", "Add", "Sub", "Div"):
        return ""
    behind = node
    while (readers := consumers(model, behind.output[0])) and readers[0].op_type in ("Mul", "Add", "Sub", "Div"):
        behind = readers[0]
    return f", which {label(readers[0])} does not let pass" if readers else ""


def assert_integer(model: ModelWrapper) -> None:
    """Refuses a graph with a tensor or constant that is not integer.

    Raises:
        UserError: names the first such tensor in the order of execution, and the node that causes it.
    """
    assert_integer_constants(model)
    for node in model.graph.node:
        for name in (*node.input, *node.output):
            value = model.get_initializer(name)
            if value is not None and np.asarray(value).dtype.kind in "iu":
                continue
            datatype = model.get_tensor_datatype(name)
            if not datatype.is_integer():
                cause = producer(model, name)
                where = "the graph's input" if cause is None else label(cause)
                raise UserError(f"tensor {name}", "an integer type", f"{datatype.name} from {where}", REMEDY)


def _integers(values: Array) -> bool:
    return bool(np.all(np.isfinite(values)) and np.array_equal(values, np.rint(values)))


def annotate_ranges(model: ModelWrapper) -> ModelWrapper:
    """Gives every tensor of an integer graph the smallest type that holds all its possible values.

    The bounds follow from the weights and the types of the layer's inputs, so they hold for every image. Thresholds are
    clipped to what their accumulator can reach, which changes no output.

    Args:
        model: integer; operators of the streamlined graph.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    ranges: dict[str, tuple[int, int]] = {}
    for value in model.graph.input:
        kind = model.get_tensor_datatype(value.name)
        ranges[value.name] = (int(kind.min()), int(kind.max()))
    for node, low, high in _output_ranges(model, ranges):
        ranges[node.output[0]] = (low, high)
        operand = constant(model, node, 1) if node.op_type == "Add" else None
        if operand is not None:
            model.set_tensor_datatype(node.input[1], smallest_type(int(operand.min()), int(operand.max())))
        if node.op_type == "MultiThreshold":
            _clip_thresholds(model, node, *ranges[node.input[0]])
        else:
            model.set_tensor_datatype(node.output[0], smallest_type(low, high))
    return model


def _output_ranges(model: ModelWrapper, ranges: dict[str, tuple[int, int]]) -> Iterator[tuple[NodeProto, int, int]]:
    for node in model.graph.node:
        low, high = ranges[node.input[0]]
        if node.op_type == "MultiThreshold":
            kind = model.get_tensor_datatype(node.output[0])
            yield node, int(kind.min()), int(kind.max())
        elif node.op_type in ("Conv", "MatMul"):
            yield node, *_dot_range(model, node, low, high)
        elif node.op_type == "Add":
            other = constant(model, node, 1)
            more = ranges[node.input[1]] if other is None else (int(other.min()), int(other.max()))
            yield node, low + more[0], high + more[1]
        elif node.op_type == "ReduceSum":
            count = int(np.prod(shape(model, node.input[0]))) // int(np.prod(shape(model, node.output[0])))
            yield node, low * count, high * count
        elif node.op_type in ("MaxPool", "MaxPoolNHWC", "Transpose", "Im2Col", "Flatten", "Reshape", "Identity"):
            yield node, min(low, 0) if node.op_type == "Im2Col" else low, high
        else:
            raise UserError(label(node), "an operator of the integer graph", node.op_type, REMEDY)


def _dot_range(model: ModelWrapper, node: NodeProto, low: int, high: int) -> tuple[int, int]:
    weights = constant(model, node, 1)
    if weights is None:
        raise UserError(label(node), "constant weights", "computed ones", REMEDY)
    if node.op_type == "Conv" and any(attributes(node).get("pads", [0])):
        low, high = min(low, 0), max(high, 0)
    rows = weights.reshape(weights.shape[0], -1) if node.op_type == "Conv" else weights.T
    positive = np.maximum(rows, 0).astype(np.int64).sum(axis=1)
    negative = np.minimum(rows, 0).astype(np.int64).sum(axis=1)
    return int((positive * low + negative * high).min()), int((positive * high + negative * low).max())


def smallest_type(low: int, high: int) -> DataType:
    """The smallest QONNX integer type that holds low … high."""
    if low >= 0:
        return DataType[f"UINT{max(high.bit_length(), 2)}"]
    return DataType[f"INT{max((-low - 1).bit_length(), max(high, 0).bit_length()) + 1}"]


def _clip_thresholds(model: ModelWrapper, node: NodeProto, low: int, high: int) -> None:
    thresholds = constant(model, node, 1)
    if thresholds is None:
        raise UserError(label(node), "constant thresholds", "computed ones", REMEDY)
    # A threshold at the smallest value is always met, one above the largest never.
    clipped = np.clip(thresholds, low, high + 1).astype(np.float32)
    model.set_initializer(node.input[1], clipped)
    model.set_tensor_datatype(node.input[1], smallest_type(min(low, 0) if low < 0 else 0, high + 1))
