"""What every pass group ends with: shapes, types, names and order as the next one expects them."""

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
    SortCommutativeInputsInitializerLast,
    SortGraph,
)
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finn_build.adapter import apply_passes
from finn_build.graph.walk import attributes, constant, remove_pass_through, shape

INPUT = "image"
"""Name of the graph's input."""


def clean(model: ModelWrapper) -> ModelWrapper:
    """Shapes, folded constants as second operands, one tensor a parameter, types, layouts, no leftovers.

    The nodes keep their names.
    """
    return apply_passes(
        model,
        [
            InferShapes(),
            FoldConstants(),
            RemoveStaticGraphInputs(),
            SortCommutativeInputsInitializerLast(),
            GiveUniqueParameterTensors(),
            RemoveIdentities(),
            SortGraph(),
            RemoveUnusedTensors(),
            InferShapes(),
            InferDataTypes(),
            InferDataLayouts(),
        ],
    )


def rename(model: ModelWrapper, keep: tuple[str, ...] = ()) -> ModelWrapper:
    """Names nodes and tensors after their operators; the input is `image`, and `keep` get their names back."""
    places = {name: _place(model, name) for name in keep}
    model = apply_passes(model, [GiveUniqueNodeNames(), GiveReadableTensorNames()])
    for name, (node, index) in places.items():
        model.rename_tensor(model.graph.node[node].output[index], name)
    model.rename_tensor(model.graph.input[0].name, INPUT)
    return model


def _place(model: ModelWrapper, tensor: str) -> tuple[int, int]:
    for position, node in enumerate(model.graph.node):
        if tensor in node.output:
            return position, list(node.output).index(tensor)
    raise ValueError(f"no node computes tensor {tensor}")


class RemoveIdentities(Transformation):  # type: ignore[misc]
    """Removes what changes no value: Identity, zero Pad, Add of 0, Mul by 1, Dropout.

    qonnx 1.0.0's RemoveIdentityOps compares with a tolerance of 1e-5: it removes a scale of 1.00001 and a bias of 1e-6,
    which changes results. Here a constant counts only if it is exactly 0 or 1.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Removes the first one found."""
        for node in model.graph.node:
            if _is_identity(model, node) and model.find_producer(node.input[0]) is not None:
                remove_pass_through(model, node)
                return model, True
        return model, False


def _is_identity(model: ModelWrapper, node: NodeProto) -> bool:
    if node.op_type in ("Identity", "Dropout"):
        return True
    if node.op_type == "Pad":
        pads = attributes(node).get("pads", constant(model, node, 1))
        return pads is not None and not np.any(np.asarray(pads))
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return False
    operand = constant(model, node, 1)
    neutral = 0 if node.op_type in ("Add", "Sub") else 1
    if operand is None or not np.all(operand == neutral):
        return False
    full = tuple(shape(model, node.input[0]))
    return np.broadcast_shapes(operand.shape, full) == full
