"""A tiny residual network in QONNX form, written node by node, and the chain of graphs that comes of it."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.executors.base import RAW, InputFormat, Output
from finn_build.executors.batch import BatchExecutor
from finn_build.graph.frontend import Preprocessing
from finn_build.graph.hardware import to_hardware
from finn_build.graph.lower import lower
from finn_build.graph.streamline import StreamlineReport, streamline
from finn_build.graph.tap import head_of_graph
from finn_build.graph.tidy import tidy
from finn_build.graph.widths import minimise_widths
from finn_build.head import Head
from finn_build.nodes import register_nodes
from finn_build.nodes.cam import CamNode

SIZE, CLASSES, PART = 8, 4, "xc7z020clg400-1"
register_nodes()


@dataclass
class Options:
    """What the network is to be like; the defaults are a network of this project's kind."""

    seed: int = 0
    bits: int = 4
    power_of_two: bool = False
    input_quant: str = "pixels"  # pixels, signed, normalised, none
    channels_last: bool = False
    max_pool: bool = False
    other_scale: bool = False
    float_node: str = ""
    pooling: str = "average"  # average, max, part
    requantise: bool = False
    fc_scales: int = 1
    fc_bias: bool = False
    fc_bias_scale: float = 0.0
    groups: int = 1
    weight_limit: int | None = None


@dataclass
class Builder:
    """Collects nodes and constants."""

    options: Options
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.options.seed)

    def add(self, op: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, inputs, [output], f"{op}_{len(self.nodes)}", domain=domain, **attributes)
        )
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def scale(self, value: float) -> float:
        return float(2.0 ** np.round(np.log2(value))) if self.options.power_of_two else value

    def quant(self, source: str, scale: Any, bits: int, signed: bool, narrow: bool = False) -> str:
        inputs = [source, self.constant(scale), self.constant(0.0), self.constant(float(bits))]
        return self.add(
            "Quant", inputs, "qonnx.custom_op.general", signed=int(signed), narrow=int(narrow), rounding_mode="ROUND"
        )

    def weights(self, shape: tuple[int, ...], scale: Any = 0.07) -> str:
        most = self.options.weight_limit or 2 ** (self.options.bits - 1) - 1
        codes = self.rng.integers(-most, most + 1, shape)
        step = np.asarray(scale if np.ndim(scale) else self.scale(scale), np.float32)
        return self.quant(self.constant(codes * step), step, self.options.bits, signed=True, narrow=True)

    def convolution(self, source: str, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> str:
        y = self.add(
            "Conv", [source, self.weights((outputs, inputs // groups, kernel, kernel))], kernel_shape=[kernel] * 2,
            strides=[stride] * 2, pads=[kernel // 2] * 4, dilations=[1, 1], group=groups,
        )  # fmt: skip
        if self.options.power_of_two:
            return y
        sign = self.rng.choice([-1.0, 1.0], outputs, p=[0.2, 0.8])
        gamma, beta = sign * self.rng.uniform(0.5, 1.5, outputs), self.rng.normal(0, 0.5, outputs)
        mean, variance = self.rng.normal(0, 0.3, outputs), self.rng.uniform(0.3, 2.0, outputs)
        return self.add("BatchNormalization", [y, *(self.constant(v) for v in (gamma, beta, mean, variance))])

    def relu(self, source: str, scale: float) -> str:
        return self.quant(self.add("Relu", [source]), self.scale(scale), self.options.bits, signed=False)

    def block(self, x: str, inputs: int, outputs: int, stride: int, other_scale: bool = False) -> str:
        hidden = self.relu(self.convolution(x, inputs, outputs, 3, stride, self.options.groups), 0.11)
        branch = self.convolution(hidden, outputs, outputs, 3, 1)
        if self.options.float_node and stride == 1:
            branch = self.add(self.options.float_node, [branch])
        shortcut = x if stride == 1 else self.convolution(x, inputs, outputs, 1, stride)
        shared = self.scale(0.17)
        left = self.quant(branch, shared, self.options.bits, signed=True)
        right = self.quant(shortcut, shared * (1.5 if other_scale else 1.0), self.options.bits, signed=True)
        return self.relu(self.add("Add", [left, right]), 0.13)


def network(**options: Any) -> ModelWrapper:
    """Stem, a block with identity shortcut, one with a strided 1×1 shortcut (tap 4×4×8), pooling, classifier."""
    o = Options(**options)
    b = Builder(o)
    x = "x"
    if o.input_quant == "normalised":
        mean, std = (
            b.constant(np.reshape(v, (1, 1, 1, 3) if o.channels_last else (1, 3, 1, 1)))
            for v in ([0.1, 0.2, 0.3], [0.5, 0.4, 0.3])
        )
        x = b.add("Div", [b.add("Sub", [x, mean]), std])
    if o.input_quant == "pixels":
        x = b.quant(x, 1 / 255, 8, signed=False)
    elif o.input_quant in ("signed", "normalised"):
        x = b.quant(x, 0.15, 5, signed=True)
    if o.channels_last:
        x = b.add("Transpose", [x], perm=[0, 3, 1, 2])
    x = b.relu(b.convolution(x, 3, 4, 3, 1), 0.09)
    if o.max_pool:
        x = b.add("MaxPool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    x = b.block(x, 4, 4, 1, o.other_scale)
    x = b.block(x, 4, 8, 2)
    x = _pool(b, x, o)
    if o.requantise:
        x = b.quant(x, 0.05, 8, signed=False)
    weights = b.weights((CLASSES, 8), np.linspace(0.05, 0.08, CLASSES).reshape(-1, 1) if o.fc_scales > 1 else 0.06)
    extra = [b.constant(b.rng.normal(0, 1, CLASSES))] if o.fc_bias else []
    if o.fc_bias_scale:
        extra = [b.quant(extra[0], o.fc_bias_scale, 8, signed=True)]
    b.nodes.append(helper.make_node("Gemm", [x, weights, *extra], ["y"], "classifier", transB=1))
    size = [1, SIZE, SIZE, 3] if o.channels_last else [1, 3, SIZE, SIZE]
    graph = helper.make_graph(
        b.nodes, "tiny", [helper.make_tensor_value_info("x", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in b.constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("qonnx.custom_op.general", 2)]
    with quiet():
        return ModelWrapper(helper.make_model(graph, opset_imports=opsets))


def _pool(b: Builder, x: str, o: Options) -> str:
    if o.pooling == "max":
        return b.add("Flatten", [b.add("GlobalMaxPool", [x])])
    if o.pooling == "part":
        return b.add("Flatten", [b.add("AveragePool", [x], kernel_shape=[2, 2], strides=[4, 4])])
    return b.add("ReduceMean", [x, b.constant([2, 3], np.int64)], keepdims=0)


def images(count: int = 6, seed: int = 1) -> np.ndarray:
    """Noise, and all 0 and all 255."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    flat = np.stack([np.zeros_like(noise[0]), np.full_like(noise[0], 255)])
    return np.concatenate([noise, flat])


def run(
    model: ModelWrapper, precision: Any = "exact", input_format: InputFormat = RAW, **tensors: Any
) -> dict[str, Any]:
    """The graph's outputs on the images, or the named tensors."""
    outputs = tensors or {value.name: value.name for value in model.graph.output}
    return BatchExecutor(model, outputs, precision, input_format).run(images())


def pooled_tensor(model: ModelWrapper) -> str:
    """The input of the global pooling: the tap of a tidy graph."""
    return next(str(n.input[0]) for n in model.graph.node if n.op_type in ("GlobalAveragePool", "ReduceMean"))


@dataclass(frozen=True)
class Chain:
    """Every graph of a network, tidy to generic with narrow types (head = cam)."""

    tidy: ModelWrapper
    head: Head
    integer: ModelWrapper
    report: StreamlineReport
    lowered: ModelWrapper
    hardware: ModelWrapper
    generic: ModelWrapper


@functools.cache
def tidied_of(**options: Any) -> ModelWrapper:
    """The tidy graph of a tiny network, made once."""
    return tidy(network(**options), SIZE, Preprocessing())[0]


@functools.cache
def chain(**options: Any) -> Chain:
    """The graphs of a tiny network, made once."""
    tidied = tidied_of(**options)
    head = head_of_graph(tidied)
    integer, report = streamline(tidied)
    lowered = lower(integer)
    hardware = to_hardware(lowered, "cam", CamNode(head, (SIZE, SIZE)))
    generic, _ = minimise_widths(hardware)
    return Chain(tidied, head, integer, report, lowered, hardware, generic)


def copy(model: ModelWrapper) -> ModelWrapper:
    """A copy that a test may spoil."""
    with quiet():
        return ModelWrapper(model.model, make_deepcopy=True)


def node_of(model: ModelWrapper, op: str, index: int = 0) -> onnx.NodeProto:
    """The nth node of an operator."""
    return [node for node in model.graph.node if node.op_type == op][index]


def tap_output(layout: Any) -> Output:
    """The tap, turned to NHWC where the graph is NCHW."""
    return Output("tap", layout)


def save(model: ModelWrapper, folder: Path, name: str) -> Path:
    """Writes a model."""
    path = folder / name
    model.save(str(path))
    return path
