"""What a network from elsewhere has to be before any pass sees it: a whole graph of operators that are known."""

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import UserError
from finn_build.graph.walk import label

REMEDY = "export the network again"
STANDARD = ("", "ai.onnx")
QUANTISED = ("qonnx.custom_op.general", "onnx.brevitas")
LAYERS = frozenset(
    {"Add", "AveragePool", "BatchNormalization", "Constant", "Conv", "Div", "Flatten", "Gemm", "GlobalAveragePool",
     "GlobalMaxPool", "Identity", "MatMul", "MaxPool", "Mul", "Pad", "ReduceMax", "ReduceMean", "ReduceSum", "Relu",
     "Reshape", "Squeeze", "Sub", "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Standard operators that passes turn into hardware, fold into their neighbours, or refuse in words of their own."""


def require_wellformed(proto: ModelProto, place: str) -> None:
    """Refuses a file whose graph hangs together in no way that third-party passes would survive.

    Args:
        proto: as read, its domains today's.
        place: the file, for the message.

    Raises:
        UserError: an opset is newer than this ONNX, an operator is unknown, a constant is broken or not a number, the
            image is missing or of unknown shape, or a node reads what nothing computes, or its own output.
    """
    known = onnx.defs.onnx_opset_version()
    for entry in proto.opset_import:
        if entry.domain in STANDARD and entry.version > known:
            raise UserError(place, f"opset {known} or older", f"opset {entry.version}", "export it with an older opset")
    constants = _require_constants(proto.graph, place)
    for node in proto.graph.node:
        _require_known(node, place)
    images = [value for value in proto.graph.input if value.name not in constants]
    if not images:
        raise UserError(place, "an input, the image", "none", REMEDY)
    for value in images:
        if not value.type.tensor_type.HasField("shape"):
            raise UserError(f"{place}: input {value.name}", "a shape of four sizes", "none", REMEDY)
    _require_order(proto.graph, constants | {value.name for value in images}, place)


def _require_constants(graph: GraphProto, place: str) -> set[str]:
    for tensor in graph.initializer:
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{place}: constant {tensor.name}", "values of its shape", str(error), REMEDY) from None
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise UserError(f"{place}: constant {tensor.name}", "numbers", "nan", REMEDY)
    return {tensor.name for tensor in graph.initializer}


def _require_known(node: NodeProto, place: str) -> None:
    # Whether QONNX has an operator of that name, the passes say.
    if not (onnx.defs.has(node.op_type) if node.domain in STANDARD else node.domain in QUANTISED):
        got = f"{node.domain or 'ai.onnx'}::{node.op_type}"
        raise UserError(f"{place}: {label(node)}", "an operator of ONNX or QONNX", got, REMEDY)


def _require_order(graph: GraphProto, there: set[str], place: str) -> None:
    computed = {name for node in graph.node for name in node.output}
    waiting = list(graph.node)
    for node in waiting:
        missing = [name for name in node.input if name and name not in there and name not in computed]
        if missing:
            raise UserError(f"{place}: {label(node)}", f"a tensor {missing[0]}", "nothing that computes it", REMEDY)
    while waiting:
        ready = [node for node in waiting if all(not name or name in there for name in node.input)]
        if not ready:
            raise UserError(f"{place}: {label(waiting[0])}", "a graph without circles", "a circle through it", REMEDY)
        for node in ready:
            there = there | set(node.output)
        waiting = [node for node in waiting if not set(node.output) <= there]
    for value in graph.output:
        if value.name not in there:
            raise UserError(f"{place}: output {value.name}", "a node that computes it", "none", REMEDY)


def require_shapes(model: ModelWrapper) -> None:
    """Refuses a graph in which shape inference got stuck, at the first node whose output has no shape.

    Raises:
        UserError: the shapes of a node's inputs do not fit each other, or ONNX does not know this use of it.
    """
    for node in model.graph.node:
        for name in node.output:
            if name and not model.get_tensor_shape(name):
                read = (model.get_tensor_shape(tensor) for tensor in node.input if tensor)
                shapes = " and ".join(str(shape) for shape in read)
                raise UserError(label(node), "inputs whose shapes fit each other", shapes, REMEDY)


def require_layers(model: ModelWrapper) -> None:
    """Refuses operators that no pass turns into hardware, once constants are folded.

    Raises:
        UserError: names the first.
    """
    remedy = "use convolutions, residual adds, max-pooling and one average pooling, and ReLU for activations"
    for node in model.graph.node:
        if node.domain in STANDARD and node.op_type not in LAYERS:
            raise UserError(label(node), "an operator that hardware knows", node.op_type, remedy)
