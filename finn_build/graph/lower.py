"""The lowered graph: channels last, a convolution as sliding window and matrix product, as hardware computes it."""

from collections.abc import Callable

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.graph.cleanup import rename
from finn_build.graph.integer import annotate_ranges, assert_integer
from finn_build.graph.output import LOGITS, TAP
from finn_build.graph.walk import attributes, constant, label, shape

CUSTOM = "qonnx.custom_op.general"


def lower(model: ModelWrapper) -> ModelWrapper:
    """Rewrites the integer graph in NHWC, a node at a time.

    Every operator of the integer graph has a channels-last form, so no Transpose arises that would have to be moved and
    absorbed again. A convolution becomes Im2Col and MatMul with weights [kh · kw · C_in, C_out], channels innermost;
    one with a 1×1 kernel, stride 1 and no padding is a MatMul alone.

    Args:
        model: streamlined: input `image` NCHW, outputs `tap` and `logits`.

    Returns:
        The same network: input `image` UINT8 NHWC [1, S, S, 3]; outputs `tap` (NHWC [1, h, w, C]) and `logits`.

    Raises:
        UserError: an operator has no such form, for instance a grouped convolution.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        if node.op_type not in _FORMS:
            remedy = "use convolutions, residual adds, max-pooling and one average pooling"
            raise UserError(label(node), "an operator that hardware knows", node.op_type, remedy)
    shapes = {name: shape(model, name) for node in model.graph.node for name in (*node.input, *node.output)}
    datatypes = {name: model.get_tensor_datatype(name) for name in shapes}
    nodes = list(model.graph.node)
    spatial = {name for name, size in shapes.items() if len(size) == 4 and model.get_initializer(name) is None}
    for name in spatial:
        _set_shape(model, name, [shapes[name][axis] for axis in (0, 2, 3, 1)])
        model.set_tensor_layout(name, ["N", "H", "W", "C"])
    for node in nodes:
        _FORMS[node.op_type](model, node, shapes)
    for name, datatype in datatypes.items():
        model.set_tensor_datatype(name, datatype)
    model = annotate_ranges(rename(model, keep=(TAP, LOGITS)))
    assert_integer(model)
    return model


def _convolution(model: ModelWrapper, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    values = attributes(node)
    weights = constant(model, node, 1)
    kernel, stride = list(values["kernel_shape"]), list(values.get("strides", [1, 1]))
    pads, dilations = list(values.get("pads", [0] * 4)), list(values.get("dilations", [1, 1]))
    if weights is None or values.get("group", 1) != 1 or len(node.input) > 2:
        got = f"{values.get('group', 1)} groups" if weights is not None else "computed weights"
        raise UserError(label(node), "a dense convolution with constant weights", got, "use ungrouped convolutions")
    matrix = np.ascontiguousarray(weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0]))
    source, target = node.input[0], node.output[0]
    datatype = model.get_tensor_datatype(node.input[1])
    model.set_initializer(node.input[1], matrix)
    model.set_tensor_datatype(node.input[1], datatype)
    new = []
    if kernel != [1, 1] or stride != [1, 1] or any(pads):
        _, channels, height, width = shapes[source]
        window = f"{target}_window"
        new.append(
            helper.make_node(
                "Im2Col", [source], [window], domain=CUSTOM, stride=stride, kernel_size=kernel, pad_amount=pads,
                input_shape=f"(1,{height},{width},{channels})", depthwise=0, dilations=dilations,
            )
        )  # fmt: skip
        _, _, out_height, out_width = shapes[target]
        _set_shape(model, window, [1, out_height, out_width, matrix.shape[0]])
        model.set_tensor_datatype(window, model.get_tensor_datatype(source))
        source = window
    new.append(helper.make_node("MatMul", [source, node.input[1]], [target]))
    _replace(model, node, new)


def _max_pool(model: ModelWrapper, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    values = attributes(node)
    if len(node.output) > 1 or values.get("dilations", [1, 1]) != [1, 1]:
        raise UserError(label(node), "a max-pool without dilation or indices", "one", "use a plain max-pool")
    new = helper.make_node(
        "MaxPoolNHWC", list(node.input), list(node.output), domain=CUSTOM, kernel_shape=list(values["kernel_shape"]),
        strides=list(values.get("strides", [1, 1])), pads=list(values.get("pads", [0] * 4)),
        ceil_mode=values.get("ceil_mode", 0),
    )  # fmt: skip
    _replace(model, node, [new])


def _thresholds(model: ModelWrapper, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    if len(shapes[node.output[0]]) == 4:
        for attribute in list(node.attribute):
            if attribute.name == "data_layout":
                node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute("data_layout", "NHWC"))


def _sum(model: ModelWrapper, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    axes = constant(model, node, 1)
    if axes is None or sorted(int(axis) for axis in axes) != [2, 3]:
        raise UserError(label(node), "a sum over both spatial axes", f"axes {axes}", "use global average pooling")
    model.set_initializer(node.input[1], np.asarray([1, 2], np.int64))


def _add(model: ModelWrapper, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    operand = constant(model, node, 1)
    if operand is not None and operand.ndim == 4:
        model.set_initializer(node.input[1], np.ascontiguousarray(operand.transpose(0, 2, 3, 1)))


def _same(model: ModelWrapper, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    """Operators on [1, C], which have no layout."""


_FORMS: dict[str, Callable[[ModelWrapper, NodeProto, dict[str, list[int]]], None]] = {
    "Conv": _convolution,
    "MaxPool": _max_pool,
    "MultiThreshold": _thresholds,
    "ReduceSum": _sum,
    "Add": _add,
    "MatMul": _same,
}


def _replace(model: ModelWrapper, node: NodeProto, new: list[NodeProto]) -> None:
    position = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    for offset, item in enumerate(new):
        model.graph.node.insert(position + offset, item)


def _set_shape(model: ModelWrapper, name: str, size: list[int]) -> None:
    for value in (*model.graph.input, *model.graph.output):
        if value.name == name:
            for dim, length in zip(value.type.tensor_type.shape.dim, size, strict=True):
                dim.dim_value = length
            return
    model.set_tensor_shape(name, size, TensorProto.FLOAT)
