"""What a quantiser of the graph does, read from its node: Quant (QONNX) or MultiThreshold (FINN-ONNX)."""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import UserError
from finn_build.graph.walk import Array, attributes, constant, label

QUANTISERS = ("Quant", "IntQuant", "MultiThreshold")


@dataclass(frozen=True)
class QuantParameters:
    """A Quant node: `y = scale · round(clip(x / scale, lowest, highest))`, halves to even.

    Attributes:
        scale: float64; one element, or one a channel in the shape that broadcasts against the tensor.
        bits: bit width.
        lowest: smallest code.
        highest: largest code.
    """

    scale: Array
    bits: int
    lowest: int
    highest: int

    @property
    def datatype(self) -> str:
        """The QONNX type of the codes."""
        return f"INT{self.bits}" if self.lowest < 0 else f"UINT{self.bits}"


def quant_parameters(model: ModelWrapper, node: NodeProto) -> QuantParameters:
    """Reads a Quant node.

    Raises:
        UserError: its parameters are computed, its zero point is not 0, it does not round to nearest, it has no whole
            number of bits from 2 to 8, or its scale is not positive.
    """
    place = f"quantiser {label(node)}"
    scale, zero, bits = (constant(model, node, index) for index in (1, 2, 3))
    if scale is None or zero is None or bits is None:
        raise UserError(place, "constant scale, zero point and bit width", "computed ones", "freeze the quantisers")
    if np.any(zero != 0):
        raise UserError(place, "zero point 0", f"{float(zero.reshape(-1)[0]):g}", "use symmetric quantisers")
    width = float(bits.reshape(-1)[0])
    if bits.size != 1 or width != int(width) or not 2 <= width <= 8:
        raise UserError(place, "2 to 8 bits", f"{width:g}", "quantise to at most 8 bits")
    values = attributes(node)
    mode = str(values.get("rounding_mode", "ROUND")).upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        raise UserError(place, "rounding_mode ROUND", mode, "export with rounding to nearest")
    if np.any(scale <= 0):
        raise UserError(place, "a positive scale", f"{float(scale.min()):g}", "export the network again")
    signed, narrow = bool(values.get("signed", 1)), bool(values.get("narrow", 0))
    count = 1 << int(width)
    lowest = -(count // 2) + narrow if signed else 0
    highest = count // 2 - 1 if signed else count - 1 - narrow
    return QuantParameters(scale.astype(np.float64), int(width), lowest, highest)


def code_boundaries(parameters: QuantParameters) -> Array:
    """The smallest float64 that a Quant node maps to each code above its lowest.

    Code q begins at (q − ½)·scale. There x/scale is a half, which rounds to the even code: to q if q is even; if q is
    odd the boundary itself still belongs to q − 1, and q begins at the next float64.

    Returns:
        float64 [C or 1, highest − lowest], rising.
    """
    codes = np.arange(parameters.lowest + 1, parameters.highest + 1, dtype=np.float64)
    edges = (codes - 0.5) * parameters.scale.reshape(-1, 1)
    return np.where(codes % 2 == 0, edges, np.nextafter(edges, np.inf))


def scale_of(model: ModelWrapper, node: NodeProto) -> float:
    """The step of a Quant node with one scale for the whole tensor.

    Raises:
        UserError: it has one a channel, or is none that this project takes.
    """
    scale = quant_parameters(model, node).scale
    if scale.size != 1:
        raise UserError(
            f"quantiser {label(node)}", "one scale a tensor", f"{scale.size} scales", "quantise activations per tensor"
        )
    return float(scale.reshape(-1)[0])
