"""The graph's input: raw UINT8 pixels, whatever the network was trained on.

Two forms of input are known. A network of this project has an 8-bit quantiser with scale 1/255, the identity on pixels
divided by 255: it becomes a Mul, which streamlining moves through the first convolution. Any other quantiser is folded
together with the preprocessing before it: both are functions of one pixel, so all 256 values are enumerated a channel
and the codes' boundaries become integer thresholds on UINT8.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.graph.cleanup import INPUT
from finn_build.graph.pixels import Layout, Preprocessing, codes_of_pixels, integer_thresholds
from finn_build.graph.quantiser import QUANTISERS, quant_parameters
from finn_build.graph.walk import (
    Array,
    attributes,
    computed_inputs,
    constant,
    consumers,
    label,
    only_consumer,
    producer,
    redirect,
    shape,
)

__all__ = ["InputReport", "Preprocessing", "raw_pixel_input"]

ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Identity", "Cast")


@dataclass(frozen=True)
class InputReport:
    """How the input was brought to UINT8.

    Attributes:
        form: `scale` (the quantiser was the identity on pixels) or `thresholds` (folded into thresholds).
        thresholds: int64 [3, steps] in the network's channel order, or None.
        datatype: QONNX type of the first convolution's input.
    """

    form: Literal["scale", "thresholds"]
    thresholds: Array | None
    datatype: str


def raw_pixel_input(model: ModelWrapper, size: int, preprocessing: Preprocessing) -> tuple[ModelWrapper, InputReport]:
    """Makes the graph's input `image`: UINT8 values, NCHW [1, 3, size, size], RGB.

    Args:
        model: with shapes and folded constants.
        size: image height and width in pixels.
        preprocessing: what the network expects.

    Raises:
        UserError: the input has another shape, or no quantiser that pixels could be folded into.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    source = _image_input(model, size, preprocessing.layout)
    chain, quantiser = _first_quantiser(model, source)
    if preprocessing.plain and not chain and _is_identity_on_pixels(model, quantiser):
        report = _to_scale(model, source, quantiser)
    else:
        report = _to_thresholds(model, source, chain, quantiser, preprocessing)
    return model, report


def _image_input(model: ModelWrapper, size: int, layout: Layout) -> str:
    initialisers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialisers and consumers(model, value.name)]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise UserError("network", "one input, the image", names, "export the network with the image as its only input")
    source = inputs[0]
    dims = source.type.tensor_type.shape.dim
    got = [dim.dim_value for dim in dims]
    want = [1, 3, size, size] if layout == "NCHW" else [1, size, size, 3]
    if len(got) != 4 or got[1:] != want[1:] or got[0] not in (0, 1):
        remedy = "correct [input] size or layout, or export the network for one image"
        raise UserError(f"network input {source.name}", f"{layout} {want}", str(got), remedy)
    dims[0].dim_value = 1
    return str(source.name)


def _first_quantiser(model: ModelWrapper, source: str) -> tuple[list[NodeProto], NodeProto]:
    chain: list[NodeProto] = []
    tensor = source
    while True:
        node = only_consumer(model, tensor)
        if node is None:
            readers = ", ".join(label(n) for n in consumers(model, tensor))
            raise _no_quantiser(source, f"{readers} reading it")
        if node.op_type in QUANTISERS:
            return chain, node
        if node.op_type not in ELEMENTWISE or computed_inputs(model, node) != [tensor]:
            raise _no_quantiser(source, label(node))
        chain.append(node)
        tensor = node.output[0]


def _no_quantiser(source: str, got: str) -> UserError:
    remedy = "begin the network with a QuantIdentity, so that its input is integer"
    return UserError(f"network input {source}", "a quantiser on the image", got, remedy)


def _is_identity_on_pixels(model: ModelWrapper, quantiser: NodeProto) -> bool:
    if quantiser.op_type == "MultiThreshold":
        return False
    parameters = quant_parameters(model, quantiser)
    scale = constant(model, quantiser, 1)
    if parameters.datatype != "UINT8" or parameters.highest != 255 or scale is None or scale.size != 1:
        return False
    pixels = np.arange(256, dtype=np.float32)
    codes = np.rint(pixels / np.float32(255) / scale.reshape(-1).astype(np.float32))
    return bool(np.array_equal(codes, pixels))


def _to_scale(model: ModelWrapper, source: str, quantiser: NodeProto) -> InputReport:
    scale = constant(model, quantiser, 1)
    mul = helper.make_node("Mul", [source, f"{source}_scale"], [quantiser.output[0]], name="pixel_scale")
    model.graph.node.insert(list(model.graph.node).index(quantiser), mul)
    model.graph.node.remove(quantiser)
    model.set_initializer(mul.input[1], np.asarray(scale, np.float32).reshape(()))
    _name_input(model, source)
    return InputReport("scale", None, "UINT8")


def _to_thresholds(
    model: ModelWrapper, source: str, chain: list[NodeProto], quantiser: NodeProto, preprocessing: Preprocessing
) -> InputReport:
    table = codes_of_pixels(model, source, quantiser, preprocessing)
    lowest, datatype, scale = table.lowest, table.datatype, table.scale
    thresholds = integer_thresholds(table.codes - lowest, table.steps, label(quantiser))
    nchw = shape(model, source) if preprocessing.layout == "NCHW" else [shape(model, source)[i] for i in (0, 3, 1, 2)]
    rows = thresholds if preprocessing.channel_order == "RGB" else thresholds[::-1]
    target = quantiser.output[0]
    for node in (*chain, quantiser):
        model.graph.node.remove(node)
    codes = "image_codes"
    new = [
        helper.make_node(
            "MultiThreshold", [source, "image_thresholds"], [codes], name="image_quantiser",
            domain="qonnx.custom_op.general", out_dtype=datatype, out_bias=float(lowest), data_layout="NCHW",
        )
    ]  # fmt: skip
    model.set_initializer("image_thresholds", np.ascontiguousarray(rows, dtype=np.float32))
    if scale != 1.0:
        new.append(helper.make_node("Mul", [codes, "image_code_scale"], ["image_values"], name="image_code_scale"))
        model.set_initializer("image_code_scale", np.asarray(scale, np.float32))
    last = new[-1].output[0]
    if preprocessing.layout == "NHWC" and not _already_turned(model, target, last):
        new.append(helper.make_node("Transpose", [last], ["image_nhwc"], name="image_to_nhwc", perm=[0, 2, 3, 1]))
        last = "image_nhwc"
    redirect(model, target, last)
    for node in reversed(new):
        model.graph.node.insert(0, node)
    for tensor in (codes, "image_values"):
        model.set_tensor_shape(tensor, nchw)
    source_value = next(value for value in model.graph.input if value.name == source)
    for dim, length in zip(source_value.type.tensor_type.shape.dim, nchw, strict=True):
        dim.dim_value = length
    if preprocessing.channel_order == "BGR":
        _reverse_input_channels(model, last)
    _name_input(model, source)
    return InputReport("thresholds", thresholds, datatype)


def _already_turned(model: ModelWrapper, tensor: str, nchw: str) -> bool:
    """Lets what the network itself turns to NCHW read it there; whether nothing is left that reads it as NHWC."""
    for node in consumers(model, tensor):
        if node.op_type == "Transpose" and attributes(node).get("perm") == [0, 3, 1, 2]:
            redirect(model, node.output[0], nchw)
            model.graph.node.remove(node)
    return not consumers(model, tensor)


def _reverse_input_channels(model: ModelWrapper, tensor: str) -> None:
    """Gives the first convolutions their input channels in RGB order.

    Raises:
        UserError: something else reads the input, or a convolution is grouped.
    """
    for node in consumers(model, tensor):
        while node.op_type == "Transpose":
            following = only_consumer(model, node.output[0])
            if following is None:
                break
            node = following
        grouped = attributes(node).get("group", 1) != 1
        weights = node.input[1] if node.op_type == "Conv" else ""
        origin = weights
        while origin and model.get_initializer(origin) is None:
            before = producer(model, origin)
            origin = before.input[0] if before is not None else ""
        values = model.get_initializer(origin) if origin else None
        if values is None or grouped or len(consumers(model, origin)) != 1:
            remedy = "export the network for RGB pictures"
            raise UserError(label(node), "an ungrouped convolution of the BGR image", "another reader", remedy)
        model.set_initializer(origin, np.ascontiguousarray(values[:, ::-1]))


def _name_input(model: ModelWrapper, source: str) -> None:
    if source != INPUT:
        model.rename_tensor(source, INPUT)
    model.set_tensor_datatype(INPUT, DataType["UINT8"])
