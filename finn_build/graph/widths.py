"""The narrowest types of weights, accumulators and thresholds."""

from dataclasses import dataclass

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes

from finn_build.adapter import apply_passes, quiet
from finn_build.graph.integer import smallest_type
from finn_build.graph.walk import constant

LEAST_WEIGHT_BITS = 2
"""What the RTL matrix-vector unit takes at least."""


@dataclass(frozen=True)
class LayerWidths:
    """A matrix product's types, as QONNX names."""

    node: str
    weights: str
    accumulator: str


def minimise_widths(model: ModelWrapper) -> tuple[ModelWrapper, list[LayerWidths]]:
    """Narrows every layer's types to what its constants and inputs need.

    FINN's MinimizeWeightBitWidth turns weights of [-8, 7] into INT4. The RTL multiplier of this chip takes narrow-range
    weights alone, so that layer would silently become HLS; here a type is only taken if its lowest value is unused.

    Args:
        model: the dataflow graph, generic.
    """
    from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds

    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        if node.op_type == "MVAU":
            weights = constant(model, node, 1)
            if weights is not None:
                kind = narrow_range_type(int(weights.min()), int(weights.max()))
                getCustomOp(node).set_nodeattr("weightDataType", kind.name)
                model.set_tensor_datatype(node.input[1], kind)
    model = apply_passes(model, [MinimizeAccumulatorWidth(), InferDataTypes(), RoundAndClipThresholds()])
    for node in model.graph.node:
        if node.op_type == "Thresholding":
            thresholds = constant(model, node, 1)
            if thresholds is not None:
                source = model.get_tensor_datatype(node.input[0])
                kind = threshold_type(int(thresholds.min()), int(thresholds.max()), source)
                getCustomOp(node).set_nodeattr("weightDataType", kind.name)
                model.set_tensor_datatype(node.input[1], kind)
    model = apply_passes(model, [InferDataTypes(), InferDataLayouts()])
    return model, [
        LayerWidths(node.name, instance.get_nodeattr("weightDataType"), instance.get_nodeattr("accDataType"))
        for node in model.graph.node
        if node.op_type == "MVAU" and (instance := getCustomOp(node)) is not None
    ]


def threshold_type(low: int, high: int, source: DataType) -> DataType:
    """The type of a layer's thresholds.

    Where it is narrower than the input's, the RTL saturates inputs to it before it compares. An input below every
    threshold must stay so: the type has to hold one value less than the lowest threshold.

    Args:
        low: lowest threshold.
        high: highest threshold.
        source: type of the layer's input.
    """
    if not source.signed():
        return smallest_type(max(low, 0), high)
    kind = smallest_type(min(low, -1), high)
    return kind if kind.bitwidth() >= source.bitwidth() else smallest_type(min(low - 1, -1), high)


def narrow_range_type(low: int, high: int) -> DataType:
    """The smallest signed type that holds low … high and whose lowest value is none of them."""
    largest = max(-low, high, 0)
    return DataType[f"INT{max(int(np.int64(largest)).bit_length() + 1, LEAST_WEIGHT_BITS)}"]
