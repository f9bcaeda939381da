"""The operator and attributes of each calibration point."""

from collections.abc import Callable, Mapping
from typing import Any

from finn_build.folding.costs.points import Point

ROWS = 4
"""Height and width where they do not matter."""

MOST_IN_BLOCK = 2028
"""Deeper FIFOs would be UltraRAM in FINN; the build turns those to block."""

Size = Mapping[str, Any]
Made = tuple[str, dict[str, Any]]


def operator(point: Point) -> Made:
    """Operator and attributes of a point's node, as a specialised graph has them."""
    return _MAKERS[point.kind](point.size)


def _fork(size: Size) -> Made:
    kind = f"UINT{size['width']}"
    attributes = {
        "NumChannels": 1, "PE": 1, "NumOutputStreams": size["outputs"], "inputDataType": kind,
        "numInputVectors": [1, ROWS, ROWS],
    }  # fmt: skip
    return "DuplicateStreams_rtl", attributes


def _add(size: Size) -> Made:
    bits, shape = size["bits"], [1, ROWS, ROWS, size["pe"]]
    kind, sums = f"INT{bits}", f"INT{bits + 1}"
    attributes = {
        "lhs_dtype": kind, "rhs_dtype": kind, "out_dtype": sums, "lhs_shape": shape, "rhs_shape": shape,
        "out_shape": shape, "PE": size["pe"],
    }  # fmt: skip
    return "ElementwiseAdd_rtl", attributes


def _padding(size: Size) -> Made:
    kind, wide = f"UINT{size['bits']}", size["size"]
    attributes = {
        "ImgDim": [wide, wide], "Padding": [1, 1, 1, 1], "NumChannels": size["channels"], "inputDataType": kind,
        "SIMD": size["simd"], "numInputVectors": 1,
    }  # fmt: skip
    return "FMPadding_rtl", attributes


def _converter(size: Size) -> Made:
    left, right = size["in_bits"], size["out_bits"]
    shape = [1, left * right]
    attributes = {"inShape": shape, "outShape": shape, "inWidth": left, "outWidth": right, "dataType": "BINARY"}
    return "StreamingDataWidthConverter_rtl", attributes


def _fifo(size: Size) -> Made:
    kind, shape = f"UINT{size['width']}", [1, 2 * size["depth"], 1]
    attributes = {
        "depth": size["depth"], "folded_shape": shape, "normal_shape": shape[:2], "dataType": kind,
        "ram_style": "block" if size["depth"] > MOST_IN_BLOCK else "auto",
    }  # fmt: skip
    return "StreamingFIFO_rtl", attributes


def _window(size: Size) -> Made:
    kind, wide, kernel, stride = f"UINT{size['bits']}", size["size"], size["kernel"], size["stride"]
    out, channels = (wide - kernel) // stride + 1, size["channels"]
    attributes = {
        "ConvKernelDim": [kernel, kernel], "IFMChannels": channels, "IFMDim": [wide, wide], "OFMDim": [out, out],
        "SIMD": size["simd"], "Stride": [stride, stride], "Dilation": [1, 1], "inputDataType": kind,
        "outputDataType": kind, "depthwise": 0, "is1D": 0, "parallel_window": 0, "ram_style": size["style"], "M": 1,
    }  # fmt: skip
    return "ConvolutionInputGenerator_rtl", attributes


def _threshold(size: Size) -> Made:
    channels, steps = size["channels"], 2 ** size["out_bits"] - 1
    kind, out = f"INT{size['in_bits']}", f"UINT{size['out_bits']}"
    attributes = {
        "NumChannels": channels, "PE": size["pe"], "numSteps": steps, "inputDataType": kind, "weightDataType": kind,
        "outputDataType": out, "ActVal": 0, "numInputVectors": [1, ROWS, ROWS],
        "depth_trigger_bram": size.get("block_depth", 0),
    }  # fmt: skip
    return "Thresholding_rtl", attributes


def accumulator_bits(mw: int, weight_bits: int, act_bits: int) -> int:
    """Of a sum of random weights, about as FINN minimises it: half of the widest."""
    return int(mw * 2 ** (weight_bits + act_bits - 2)).bit_length() + 1


def _matrix(size: Size) -> Made:
    if "mw" not in size:  # a memory alone: as many lanes of bytes as give its word
        width, depth, bits = size["width"], size["depth"], 8
        pe = width // bits
        size = {
            "mw": depth, "mh": pe, "pe": pe, "simd": 1, "weight_bits": bits, "act_bits": 4, "multipliers": "lut",
            "style": size["style"],
        }  # fmt: skip
    weights, acts = size["weight_bits"], size["act_bits"]
    kinds = f"UINT{acts}", f"INT{weights}", f"INT{accumulator_bits(size['mw'], weights, acts)}"
    attributes = {
        "MW": size["mw"], "MH": size["mh"], "PE": size["pe"], "SIMD": size["simd"], "inputDataType": kinds[0],
        "weightDataType": kinds[1], "outputDataType": kinds[2], "accDataType": kinds[2], "noActivation": 1,
        "ActVal": 0, "binaryXnorMode": 0, "numInputVectors": [1, ROWS, ROWS],
        "resType": "lut" if size["multipliers"] == "lut" else "dsp",
        "dspStyle": "chain" if size["multipliers"] == "chain" else "lanes",
        "mem_mode": "internal_decoupled", "ram_style": size.get("style", "distributed"),
    }  # fmt: skip
    return "MVAU_rtl", attributes


def _cam(size: Size) -> Made:
    wide, channels, classes, out = size["size"], size["channels"], size["classes"], size["out"]
    attributes = {
        "MapHeight": wide, "MapWidth": wide, "NumChannels": channels, "Classes": classes, "OutHeight": out,
        "OutWidth": out, "Sampling": "half-pixel", "Shown": 1, "BiasBits": 0, "inputDataType": "UINT5",
        "weightDataType": "INT5", "PE": size["pe"], "ClassPE": size["class_pe"], "OutBytes": 1,
        "Storage": "maps",
    }  # fmt: skip
    return "ClassActivationMap_rtl", attributes


_MAKERS: Mapping[str, Callable[[Size], Made]] = {
    "DuplicateStreams": _fork,
    "ElementwiseAdd": _add,
    "FMPadding": _padding,
    "StreamingDataWidthConverter": _converter,
    "StreamingFIFO": _fifo,
    "ConvolutionInputGenerator": _window,
    "Thresholding": _threshold,
    "weights": _matrix,
    "core": _matrix,
    "ClassActivationMap": _cam,
}
