"""Pixels through a network's preprocessing and first quantiser: all 256 values a channel, and their thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.graph.integer import smallest_type
from finn_build.graph.quantiser import quant_parameters
from finn_build.graph.walk import Array, attributes, constant, label

Layout = Literal["NCHW", "NHWC"]
ChannelOrder = Literal["RGB", "BGR"]


@dataclass(frozen=True)
class Preprocessing:
    """What the network expects instead of pixels: `(pixel / 255 − mean) / std` a channel, in float32.

    Attributes:
        mean: one a channel, in the network's channel order.
        std: likewise.
        layout: of the network's input.
        channel_order: of the network's input; pixels are RGB.
    """

    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    layout: Layout = "NCHW"
    channel_order: ChannelOrder = "RGB"

    @property
    def plain(self) -> bool:
        """Whether the network is fed pixel / 255, RGB, NCHW."""
        unit = not any(self.mean) and all(s == 1.0 for s in self.std)
        return unit and self.layout == "NCHW" and self.channel_order == "RGB"

    def apply(self, pixels: Array) -> Array:
        """Preprocesses.

        Args:
            pixels: uint8 [..., 3], in the network's channel order.

        Returns:
            float32 of the same shape.
        """
        values = pixels.astype(np.float32) / np.float32(255)
        normalised: Array = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return normalised


@dataclass(frozen=True)
class CodeTable:
    """codes: int64 [3, 256]; `codes · scale` is what the quantiser gives for a pixel."""

    codes: Array
    lowest: int
    steps: int
    datatype: str
    scale: float


def codes_of_pixels(model: ModelWrapper, source: str, quantiser: NodeProto, preprocessing: Preprocessing) -> CodeTable:
    """Runs the network's first nodes on all 256 values a channel, in float32 as the network itself would."""
    pixels = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), 3, axis=3)
    image = preprocessing.apply(pixels)
    nchw = preprocessing.layout == "NCHW"
    values = _run_head(model, source, quantiser, image.transpose(0, 3, 1, 2) if nchw else image)
    by_channel = (values if nchw else values.transpose(0, 3, 1, 2)).reshape(3, 256).astype(np.float64)
    place = f"quantiser {label(quantiser)}"
    if quantiser.op_type == "MultiThreshold":
        thresholds = constant(model, quantiser, 1)
        if thresholds is None:
            raise UserError(place, "constant thresholds", "computed ones", "freeze the quantisers")
        bias, scale = (
            float(attributes(quantiser).get(key, default)) for key, default in (("out_bias", 0), ("out_scale", 1))
        )
        codes = np.rint((by_channel - bias) / scale + round(bias / scale)).astype(np.int64)
        lowest = round(bias / scale)
        highest = lowest + thresholds.shape[1]
        if bias / scale != lowest:
            raise UserError(place, "a bias that is a whole number of steps", f"{bias / scale:g}", "export it again")
        datatype = str(smallest_type(lowest, highest).name)
        return CodeTable(codes, lowest, int(thresholds.shape[1]), datatype, scale)
    parameters = quant_parameters(model, quantiser)
    if parameters.scale.size != 1:
        raise UserError(
            place, "one scale for all channels", f"{parameters.scale.size}", "quantise the input per tensor"
        )
    scale = float(parameters.scale.reshape(-1)[0])
    codes = np.rint(by_channel / scale).astype(np.int64)
    steps = parameters.highest - parameters.lowest
    return CodeTable(codes, parameters.lowest, steps, parameters.datatype, scale)


def _run_head(model: ModelWrapper, source: str, quantiser: NodeProto, image: Array) -> Array:
    with quiet():
        head = ModelWrapper(model.model, make_deepcopy=True)
    order = [node.output[0] for node in head.graph.node]
    last = order.index(quantiser.output[0])
    wanted = {quantiser.output[0]}
    for position in range(last, -1, -1):
        node = head.graph.node[position]
        if node.output[0] in wanted:
            wanted |= set(node.input)
        else:
            order[position] = ""
    nodes = [node for node, name in zip(head.graph.node, order[: last + 1], strict=False) if name]
    initialisers = [tensor for tensor in head.graph.initializer if tensor.name in wanted]
    graph = helper.make_graph(
        nodes, "head",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, list(image.shape))],
        [helper.make_tensor_value_info(quantiser.output[0], TensorProto.FLOAT, list(image.shape))],
        initialisers,
    )  # fmt: skip
    for node in nodes:
        if node.output[0] != quantiser.output[0]:
            graph.value_info.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, list(image.shape)))
    proto = helper.make_model(graph, opset_imports=list(head.model.opset_import))
    with quiet():
        result = execute_onnx(ModelWrapper(proto), {source: np.ascontiguousarray(image, dtype=np.float32)})
    return np.asarray(result[quantiser.output[0]])


def integer_thresholds(steps: Array, most: int, place: str) -> Array:
    """The pixel at which each step is reached.

    Args:
        steps: int64 [C, 256], the number of steps taken at each pixel value.
        most: the number of steps that the quantiser has.
        place: the quantiser in an error.

    Returns:
        int64 [C, most]: the smallest pixel with at least k + 1 steps, 256 where none has.

    Raises:
        UserError: the steps fall somewhere as the pixel rises, which thresholds cannot express.
    """
    if np.any(np.diff(steps, axis=1) < 0):
        channel = int(np.argwhere(np.diff(steps, axis=1) < 0)[0, 0])
        remedy = "check the sign of [input] std and of the network's own normalisation"
        raise UserError(f"quantiser {place}", "codes that rise with the pixel", f"a fall in channel {channel}", remedy)
    counts = np.arange(1, most + 1)
    thresholds: Array = (steps[:, :, None] < counts).sum(axis=1)
    return thresholds.astype(np.int64)
