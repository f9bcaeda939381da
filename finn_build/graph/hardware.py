"""The hardware graph: FINN's dataflow operators, still generic, which Python executes exactly."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes

from finn_build.adapter import apply_passes, quiet
from finn_build.errors import UserError
from finn_build.graph.integer import smallest_type
from finn_build.graph.tap import cut_at_logits, cut_at_tap
from finn_build.graph.walk import attributes, constant, consumers, label, shape
from finn_build.nodes.cam import CamNode, append_cam

HeadKind = Literal["cam", "tap", "logits"]
DOMAIN = "finn.custom_op.fpgadataflow"
PACKET = "packet"


def to_hardware(model: ModelWrapper, head: HeadKind, cam: CamNode | None = None) -> ModelWrapper:
    """Replaces every operator by its dataflow layer.

    Thresholds become layers of their own before the matrix products do, which would otherwise absorb them: the RTL
    matrix-vector unit takes none.

    Args:
        model: lowered, with outputs `tap` and `logits`.
        head: `tap` ends the graph there; `cam` adds the CAM block behind it; `logits` keeps pooling and classifier.
        cam: the block's parameters; needed with `cam`.

    Returns:
        A graph of FINN's generic dataflow nodes; its output is `tap`, `packet` (UINT8 [1, L]) or `logits` (INT
        [1, 1, 1, classes]).

    Raises:
        UserError: a node stayed outside hardware; the message names it and the tensor that caused it.
    """
    from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
    from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
    from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
        InferElementwiseBinaryOperation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer

    model = _sum_as_layer(cut_at_logits(model)) if head == "logits" else cut_at_tap(model)
    _check_forms(model)
    model = apply_passes(
        model,
        [
            InferThresholdingLayer(),
            InferQuantizedMatrixVectorActivation(),
            InferPool(),
            InferConvInpGen(),
            InferElementwiseBinaryOperation(),
        ],
    )
    if head == "cam":
        if cam is None:
            raise ValueError("head = cam needs the CAM block's parameters")
        model = append_cam(model, cam, PACKET)
    model = apply_passes(model, [InferDuplicateStreamsLayer(), GiveUniqueNodeNames()])
    model = apply_passes(tighten_adds(model), [InferDataTypes(), InferDataLayouts()])
    outside = nodes_outside_hardware(model)
    if outside:
        first = outside[0]
        remedy = "every node between the image and the pooling needs integer tensors and a dataflow layer"
        raise UserError(f"node {first[0]}", "a dataflow layer", f"none, because of {first[1]}", remedy)
    return model


def nodes_outside_hardware(model: ModelWrapper) -> list[tuple[str, str]]:
    """Nodes that are no dataflow layers, each with the tensor that caused it.

    Returns:
        (node, cause) in the order of execution; the cause is the first tensor at the node that is not integer, or the
        operator itself if all are.
    """
    found = []
    for node in model.graph.node:
        if not node.domain.startswith(DOMAIN):
            floats = [
                name
                for name in (*node.input, *node.output)
                if name and not model.get_tensor_datatype(name).is_integer() and not _is_shape_operand(model, name)
            ]
            cause = f"float tensor {floats[0]}" if floats else f"operator {node.op_type}, which has no layer"
            found.append((label(node), cause))
    return found


def _is_shape_operand(model: ModelWrapper, name: str) -> bool:
    value = model.get_initializer(name)
    return value is not None and np.asarray(value).dtype.kind in "iu"


def tighten_adds(model: ModelWrapper) -> ModelWrapper:
    """Gives every addition the type that holds its sum; FINN sets INT32 until accumulators are minimised."""
    from qonnx.custom_op.registry import getCustomOp

    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        if node.op_type == "ElementwiseAdd":
            kinds = [model.get_tensor_datatype(name) for name in node.input]
            total = smallest_type(int(sum(k.min() for k in kinds)), int(sum(k.max() for k in kinds)))
            getCustomOp(node).set_nodeattr("out_dtype", total.name)
            model.set_tensor_datatype(node.output[0], total)
            for reader in consumers(model, node.output[0]):
                if reader.op_type == "Thresholding":
                    getCustomOp(reader).set_nodeattr("inputDataType", total.name)
    return model


def _check_forms(model: ModelWrapper) -> None:
    """Refuses what FINN's conversions would leave or reject, in words that name the node."""
    for node in model.graph.node:
        if node.op_type == "MaxPoolNHWC":
            kind = model.get_tensor_datatype(node.input[0])
            if kind.signed() and any(attributes(node).get("pads", [0])):
                remedy = "put the max-pool behind a quantised ReLU"
                raise UserError(label(node), "unsigned values in a padded max-pool", kind.name, remedy)
        if node.op_type == "MultiThreshold":
            kind = model.get_tensor_datatype(node.output[0])
            offset = float(attributes(node).get("out_bias", 0.0))
            if kind.signed() and offset >= 0:
                remedy = "export the quantiser with its lowest code as bias"
                raise UserError(label(node), "a negative lowest code with a signed type", f"{offset:g}", remedy)


def _sum_as_layer(model: ModelWrapper) -> ModelWrapper:
    """ReduceSum over the map as GlobalAccPool; the classifier behind it on [1, 1, 1, C]."""
    for node in list(model.graph.node):
        if node.op_type != "ReduceSum":
            continue
        size = shape(model, node.input[0])
        layer = helper.make_node(
            "GlobalAccPool", [node.input[0]], [node.output[0]], domain=DOMAIN, backend="fpgadataflow",
            NumChannels=size[3], PE=1, inputDataType=model.get_tensor_datatype(node.input[0]).name,
            numInputVectors=size[:3], name="GlobalAccPool",
        )  # fmt: skip
        model.graph.node.insert(list(model.graph.node).index(node), layer)
        model.graph.node.remove(node)
        _widen(model, layer)
    return model


def _widen(model: ModelWrapper, layer: NodeProto) -> None:
    tensors: Sequence[str] = [layer.output[0]]
    while tensors:
        name = tensors[0]
        size = [1, 1, 1, shape(model, name)[-1]]
        for value in model.graph.output:
            if value.name == name:
                model.graph.output.remove(value)
                model.graph.output.append(helper.make_tensor_value_info(name, 1, size))
                break
        else:
            model.set_tensor_shape(name, size)
        following = consumers(model, name)
        for node in following:
            operand = constant(model, node, 1)
            if node.op_type == "Add" and operand is not None:
                model.set_initializer(node.input[1], operand.reshape(1, 1, 1, -1))
        tensors = [node.output[0] for node in following]
