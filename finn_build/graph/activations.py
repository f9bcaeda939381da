"""Activation quantisers as MultiThresholds, in float64.

FINN's own conversion rounds every threshold to float32 before it is divided by the accumulator's scale. Among the
50,000 thresholds of a ResNet8 several then land on the wrong integer, which flips an activation wherever the
accumulator meets exactly that value. Here parameters stay in float64 until thresholds are rounded to integers.
"""

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.graph.quantiser import code_boundaries, quant_parameters
from finn_build.graph.walk import attributes, computed_inputs, only_consumer, producer, shape

PARAMETRIC = ("Add", "Sub", "Mul", "Div", "BatchNormalization", "MultiThreshold")


def quantisers_to_thresholds(model: ModelWrapper) -> ModelWrapper:
    """Replaces every activation's Quant by MultiThreshold and Mul, and every MultiThreshold's out_scale by a Mul.

    Args:
        model: tidy.

    Returns:
        The graph in FINN-ONNX form; the parameters of element-wise nodes are float64.

    Raises:
        UserError: a quantiser is none that this project takes.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in list(model.graph.node):
        if node.op_type in ("Quant", "IntQuant") and computed_inputs(model, node):
            _replace_quant(model, node)
        elif node.op_type == "MultiThreshold":
            _split_scale(model, node)
    return with_double_parameters(model)


def with_double_parameters(model: ModelWrapper) -> ModelWrapper:
    """Every tensor as float64, so that what passes compute from parameters keeps its precision."""
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for node in model.graph.node:
        if node.op_type in PARAMETRIC:
            for name in node.input:
                if name in floats:
                    model.set_initializer(name, np.asarray(model.get_initializer(name), np.float64))
    return model


def _replace_quant(model: ModelWrapper, node: NodeProto) -> None:
    parameters = quant_parameters(model, node)
    source, target = node.input[0], node.output[0]
    thresholds = code_boundaries(parameters)
    before = producer(model, source)
    if before is not None and before.op_type == "Relu":
        if parameters.lowest == 0:
            # All thresholds are positive, so what the ReLU sets to 0 gets code 0 anyway.
            source = before.input[0]
            if only_consumer(model, before.output[0]) is node:
                model.graph.node.remove(before)
        else:
            thresholds = np.where(thresholds <= 0, -np.inf, thresholds)
            source = before.input[0]
            if only_consumer(model, before.output[0]) is node:
                model.graph.node.remove(before)
    codes, limits, step = f"{target}_codes", f"{target}_thresholds", f"{target}_scale"
    position = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    scale = parameters.scale
    model.graph.node.insert(
        position,
        helper.make_node(
            "MultiThreshold", [source, limits], [codes], name=node.name, domain="qonnx.custom_op.general",
            out_dtype=parameters.datatype, out_bias=float(parameters.lowest), data_layout=_layout(model, target),
        ),
    )  # fmt: skip
    model.graph.node.insert(position + 1, helper.make_node("Mul", [codes, step], [target]))
    model.set_initializer(limits, thresholds)
    model.set_initializer(step, scale.reshape(()) if scale.size == 1 else scale)
    model.set_tensor_shape(codes, shape(model, target))


def _split_scale(model: ModelWrapper, node: NodeProto) -> None:
    values = attributes(node)
    if not values.get("data_layout"):
        _set(node, "data_layout", _layout(model, node.output[0]))
    scale = float(values.get("out_scale", 1.0))
    if scale == 1.0:
        return
    bias = float(values.get("out_bias", 0.0))
    target = node.output[0]
    codes = f"{target}_codes"
    redirect_output = helper.make_node("Mul", [codes, f"{target}_scale"], [target])
    model.graph.node.insert(list(model.graph.node).index(node) + 1, redirect_output)
    node.output[0] = codes
    _set(node, "out_scale", 1.0)
    _set(node, "out_bias", bias / scale)
    model.set_initializer(f"{target}_scale", np.asarray(scale, np.float64))
    model.set_tensor_shape(codes, shape(model, target))


def _layout(model: ModelWrapper, tensor: str) -> str:
    return "NCHW" if len(shape(model, tensor)) == 4 else "NC"


def _set(node: NodeProto, name: str, value: float | str) -> None:
    for attribute in node.attribute:
        if attribute.name == name:
            node.attribute.remove(attribute)
            break
    node.attribute.append(helper.make_attribute(name, value))
