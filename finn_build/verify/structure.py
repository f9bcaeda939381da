"""Which layer of one graph is which of another, told by structure: passes rename, reorder and replace nodes.

A layer is a quantised activation, whatever computes it in that graph. It is known by its depth (layers on the longest
way from the image to it) and its fan-in (products in each sum since the last layer): that tells a residual block's
branches apart, the 3×3 convolution from the 1×1 one and from none.
"""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import CheckFailed
from finn_build.executors.base import Layout, Output

_THRESHOLDING = ("MultiThreshold", "Thresholding", "Thresholding_hls", "Thresholding_rtl")
_QUANTISERS = ("Quant", "IntQuant")
_PRODUCTS = ("Conv", "MatMul", "Gemm", "MVAU", "MVAU_hls", "MVAU_rtl")


@dataclass(frozen=True)
class Layer:
    """A quantised activation of a graph.

    Attributes:
        name: the node's.
        op: the node's type.
        tensor: its output.
        source: what it quantises.
        layout: of both.
        depth: layers on the longest way from the image to it, itself included.
        fan_in: products in each sum since the last layer, 0 if there was none.
    """

    name: str
    op: str
    tensor: str
    source: str
    layout: Layout
    depth: int
    fan_in: int

    @property
    def output(self) -> Output:
        """Its values as executors give them out, NHWC."""
        return Output(self.tensor, self.layout)


def layers_of(model: ModelWrapper) -> list[Layer]:
    """The layers of a graph, by depth and fan-in: the same order in every form of a network.

    Args:
        model: sorted topologically; QONNX (the image's own quantiser is no layer), integer, lowered or hardware.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    position: dict[str, tuple[int, int]] = {}
    layers = []
    for node in model.graph.node:
        computed = [position.get(name, (0, 0)) for name in node.input if name and name not in constants]
        depth = max((d for d, _ in computed), default=0)
        fan_in = max((f for _, f in computed), default=0)
        if _quantises(node, constants) and not (node.op_type in _QUANTISERS and (depth, fan_in) == (0, 0)):
            if node.op_type in _PRODUCTS:
                fan_in = _fan_in(model, node)
            depth += 1
            layers.append(_layer(model, node, depth, fan_in))
            fan_in = 0
        elif node.op_type in _PRODUCTS:
            fan_in = _fan_in(model, node)
        for name in node.output:
            position[name] = (depth, fan_in)
    return sorted(layers, key=lambda layer: (layer.depth, layer.fan_in))


def matching_layers(stage: str, reference: list[Layer], found: list[Layer]) -> list[tuple[Layer, Layer]]:
    """Pairs the layers of two graphs of one network.

    Raises:
        CheckFailed: they have not the same number of layers, or a layer another place in the network.
    """
    remedy = "the passes of this stage added, removed or moved an activation"
    if len(reference) != len(found):
        raise CheckFailed(stage, f"expected {len(reference)} quantised activations, got {len(found)}", remedy)
    for ours, theirs in zip(reference, found, strict=True):
        if (ours.depth, ours.fan_in) != (theirs.depth, theirs.fan_in):
            at = f"depth {ours.depth} with {ours.fan_in} products a value"
            got = f"{theirs.name} at depth {theirs.depth} with {theirs.fan_in}"
            raise CheckFailed(stage, f"layer {ours.name}: expected it at {at}, got {got}", remedy)
    return list(zip(reference, found, strict=True))


def _quantises(node: NodeProto, constants: set[str]) -> bool:
    if node.op_type in _THRESHOLDING:
        return True
    if node.op_type in _QUANTISERS:
        return node.input[0] not in constants
    return node.op_type in _PRODUCTS and node.op_type.startswith("MVAU") and not _attribute(node, "noActivation", 0)


def _fan_in(model: ModelWrapper, node: NodeProto) -> int:
    shape = [int(size) for size in model.get_tensor_shape(node.input[1]) or []]
    if node.op_type == "Conv" or (node.op_type == "Gemm" and _attribute(node, "transB", 0)):
        return int(np.prod(shape[1:]))
    return shape[0] if shape else 0


def _layer(model: ModelWrapper, node: NodeProto, depth: int, fan_in: int) -> Layer:
    layout = str(_attribute(node, "data_layout", "") or "NCHW")
    hardware = node.domain.startswith("finn.custom_op.fpgadataflow")
    channels_last = hardware or layout == "NHWC"
    return Layer(
        node.name or node.output[0],
        node.op_type,
        node.output[0],
        node.input[0],
        "NHWC" if channels_last else "NCHW",
        depth,
        fan_in,
    )


def _attribute(node: NodeProto, name: str, default: int | str) -> int | str:
    for attribute in node.attribute:
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else int(value)
    return default
