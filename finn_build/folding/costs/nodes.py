"""What a node of the graph takes: as folded, or with attributes that it might have."""

from collections.abc import Mapping
from typing import Any

from onnx import NodeProto
from qonnx.core.datatype import DataType

from finn_build.folding.costs.cost import Cost
from finn_build.folding.costs.fit import predict
from finn_build.folding.rules import generic_op
from finn_build.graph.walk import SHARED_THRESHOLDS, attributes
from finn_build.resources.devices import multiplier_bits

DMA = Cost(lut=900, ff=1300, bram18=2)
"""An allowance for each of the two DMAs, which are HLS: nothing here synthesises them."""

Values = Mapping[str, Any]
DEFAULTS: Values = {"PE": 1, "SIMD": 1}
"""Of FINN's nodes before they are folded."""


def modules_of(node: NodeProto, changes: Values | None = None) -> list[tuple[str, dict[str, Any]]]:
    """The calibrated modules that a node consists of, with their sizes; none where nothing is known of its operator.

    Args:
        node: specialised.
        changes: attributes in place of those that it has.
    """
    make = _MODULES.get(generic_op(node))
    return make({**DEFAULTS, **attributes(node), **(changes or {})}) if make is not None else []


def cost_of(node: NodeProto, changes: Values | None = None, part: str = "xc7z020") -> Cost | None:
    """What a node takes on a part; None where nothing is known of its operator."""
    if generic_op(node) == "IODMA":
        return DMA
    modules = modules_of(node, changes)
    if not modules:
        return None
    cost = Cost()
    for kind, size in modules:
        cost = cost + predict(kind, {**size, "wide": multiplier_bits(part)})
    return cost


def bits(kind: str) -> int:
    """Of a value of a type, by the type's name."""
    return int(DataType[kind].bitwidth())


def _matrix(get: Values) -> list[tuple[str, dict[str, Any]]]:
    weight_bits, pe, simd = bits(get["weightDataType"]), get["PE"], get["SIMD"]
    size = {
        "mw": get["MW"], "mh": get["MH"], "pe": pe, "simd": simd, "weight_bits": weight_bits,
        "act_bits": bits(get["inputDataType"]), "accumulator_bits": bits(get["outputDataType"]),
        "multipliers": multipliers(get),
    }  # fmt: skip
    depth = get["MW"] * get["MH"] // (pe * simd)
    memory = {"width": pe * simd * weight_bits, "depth": depth, "style": memory_style(get, depth)}
    return [("core", size), ("weights", memory)]


def multipliers(get: Values) -> str:
    """Which core a matrix-vector unit has: `lut`, `chain`, or `dsp` for FINN's lanes."""
    if get.get("resType") == "lut":
        return "lut"
    return "chain" if get.get("dspStyle") == "chain" else "dsp"


AUTO_BLOCK_DEPTH = 512
"""Words from which a memory of weights without a style is taken to be in block RAM."""


def memory_style(get: Values, depth: int) -> str:
    """Where a memory of weights or a window lies: as said, or by its depth where nothing is said."""
    style = get.get("ram_style", "auto")
    return (
        str(style) if style in ("block", "distributed") else ("block" if depth >= AUTO_BLOCK_DEPTH else "distributed")
    )


def _window(get: Values) -> list[tuple[str, dict[str, Any]]]:
    size = {
        "channels": get["IFMChannels"], "simd": get["SIMD"], "bits": bits(get["inputDataType"]),
        "size": get["IFMDim"][1], "kernel": get["ConvKernelDim"][0], "stride": get["Stride"][0],
    }  # fmt: skip
    from finn_build.folding.costs.forms import window_depth

    return [("ConvolutionInputGenerator", {**size, "style": memory_style(get, window_depth(size))})]


def _threshold(get: Values) -> list[tuple[str, dict[str, Any]]]:
    size = {
        "channels": get["NumChannels"], "pe": get["PE"], "in_bits": bits(get["inputDataType"]),
        "out_bits": int(get["numSteps"]).bit_length(), "block_depth": int(get.get("depth_trigger_bram", 0)),
    }  # fmt: skip
    return [("Thresholding", size | {"shared": True} if get.get(SHARED_THRESHOLDS) else size)]


def _padding(get: Values) -> list[tuple[str, dict[str, Any]]]:
    size = {"channels": get["NumChannels"], "simd": get["SIMD"], "bits": bits(get["inputDataType"])}
    return [("FMPadding", size)]


def _fork(get: Values) -> list[tuple[str, dict[str, Any]]]:
    width = get["PE"] * bits(get["inputDataType"])
    return [("DuplicateStreams", {"outputs": get["NumOutputStreams"], "width": width})]


def _add(get: Values) -> list[tuple[str, dict[str, Any]]]:
    return [("ElementwiseAdd", {"pe": get["PE"], "bits": max(bits(get[f"{side}_dtype"]) for side in ("lhs", "rhs"))})]


def _fifo(get: Values) -> list[tuple[str, dict[str, Any]]]:
    width = get["folded_shape"][-1] * bits(get["dataType"])
    return [("StreamingFIFO", {"width": width, "depth": get["depth"], "style": get.get("ram_style", "auto")})]


def _converter(get: Values) -> list[tuple[str, dict[str, Any]]]:
    return [("StreamingDataWidthConverter", {"in_bits": get["inWidth"], "out_bits": get["outWidth"]})]


def _cam(get: Values) -> list[tuple[str, dict[str, Any]]]:
    size = {
        "size": get["MapHeight"], "channels": get["NumChannels"], "classes": get["Classes"], "pe": get["PE"],
        "class_pe": get.get("ClassPE", 1), "out": get["OutHeight"],
        "product_bits": bits(get["inputDataType"]) + bits(get["weightDataType"]),
        "weight_bits": bits(get["weightDataType"]),
    }  # fmt: skip
    return [("ClassActivationMap", size)]


_MODULES = {
    "MVAU": _matrix,
    "ConvolutionInputGenerator": _window,
    "Thresholding": _threshold,
    "FMPadding": _padding,
    "DuplicateStreams": _fork,
    "ElementwiseAdd": _add,
    "StreamingFIFO": _fifo,
    "StreamingDataWidthConverter": _converter,
    "ClassActivationMap": _cam,
}
