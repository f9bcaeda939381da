"""A residual accelerator small enough to compile in seconds: generated code, images and packets that numpy computes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames, SortGraph
from qonnx.util.basic import qonnx_make_model

from cam_postproc.arithmetic import run_cam
from finn_build.adapter import apply_pass, quiet
from finn_build.graph.codegen import generate_code
from finn_build.graph.fifos import connect, set_safe_depths
from finn_build.graph.specialise import specialise
from finn_build.head import Head
from finn_build.nodes.cam import CamNode, append_cam
from finn_build.nodes.variants import choose_rtl, require_rtl

PART = "xc7z020clg400-1"
DOMAIN = "finn.custom_op.fpgadataflow"
SIZE, CHANNELS, CLASSES = 12, 4, 3
PACKET_BYTES = 16 + 4 * CLASSES + SIZE * SIZE + 4


@dataclass(frozen=True)
class Layer:
    weight: np.ndarray  # int [MW, MH]
    thresholds: np.ndarray  # int [MH, steps]
    lowest: int


def small_weights(seed=0):
    rng = np.random.default_rng(seed)

    def layer(inputs, outputs, steps, lowest, spread):
        weight = rng.integers(-7, 8, (inputs, outputs))
        thresholds = np.sort(rng.integers(-spread, spread, (outputs, steps)), axis=1)
        return Layer(weight, thresholds, lowest)

    first = layer(9 * 2, CHANNELS, 15, 0, 3000)
    long = layer(9 * CHANNELS, CHANNELS, 15, -8, 300)
    short = np.tile(np.arange(1, 16), (CHANNELS, 1))
    last = np.sort(rng.integers(-16, 16, (CHANNELS, 15)), axis=1)
    head = rng.integers(-7, 8, (CLASSES, CHANNELS)).astype(np.int8)
    return first, long, short, last, head


def step(values, thresholds, lowest):
    return lowest + (values[..., None] >= thresholds).sum(axis=-1)


def windows(values):
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, y : y + SIZE, x : x + SIZE] for y in range(3) for x in range(3)]
    return np.concatenate(shifted, axis=-1)


def golden_set(path, frames=4, seed=0):
    first, long, short, last, head = small_weights(seed)
    images = np.random.default_rng(seed + 1).integers(0, 256, (frames, SIZE, SIZE, 2)).astype(np.uint8)
    images[1] = 255
    x = step(windows(images.astype(np.int64)) @ first.weight, first.thresholds, 0)
    total = step(windows(x) @ long.weight, long.thresholds, -8) + step(x, short, -8)
    tap = step(total, last, 0).astype(np.uint8)
    packet = run_cam(cam_node(head).spec, tap, head).packet
    np.savez(path, images=images, tap=tap, packet=packet)


def cam_node(head):
    shape = (1, SIZE, SIZE, CHANNELS)
    values = {
        "fc_weight": head, "bias": np.zeros(CLASSES, np.int32), "weight_scale": 1.0, "tap_scale": 1.0,
        "tap_shape": shape, "tap_bits": 4, "labels": [str(i) for i in range(CLASSES)],
    }  # fmt: skip
    return CamNode(Head(**values), (SIZE, SIZE))


class Builder:
    def __init__(self):
        self.nodes, self.values, self.shapes, self.kinds = [], {}, {}, {}

    def tensor(self, name, channels, kind):
        self.shapes[name], self.kinds[name] = [1, SIZE, SIZE, channels], kind
        return name

    def constant(self, name, value, kind):
        self.values[name], self.kinds[name] = value.astype(np.float32), kind
        return name

    def add(self, op, inputs, outputs, **attributes):
        name = f"{op}_{sum(node.op_type == op for node in self.nodes)}"
        self.nodes.append(
            helper.make_node(op, inputs, outputs, name=name, domain=DOMAIN, backend="fpgadataflow", **attributes)
        )

    def window(self, source, name, channels, kind):
        padded = f"{name}_padded"
        self.shapes[padded], self.kinds[padded] = [1, SIZE + 2, SIZE + 2, channels], kind
        self.add(
            "FMPadding", [source], [padded], ImgDim=[SIZE, SIZE], Padding=[1, 1, 1, 1], NumChannels=channels,
            inputDataType=kind, SIMD=1, numInputVectors=1,
        )  # fmt: skip
        self.tensor(name, 9 * channels, kind)
        self.add(
            "ConvolutionInputGenerator", [padded], [name], ConvKernelDim=[3, 3], IFMChannels=channels,
            IFMDim=[SIZE + 2, SIZE + 2], OFMDim=[SIZE, SIZE], SIMD=1, Stride=[1, 1], Dilation=[1, 1],
            inputDataType=kind, outputDataType=kind, depthwise=0, is1D=0, parallel_window=0,
        )  # fmt: skip

    def matrix(self, source, name, weight, kinds, pe, simd, res_type):
        self.constant(f"{name}_w", weight, kinds[1])
        self.tensor(name, weight.shape[1], kinds[2])
        self.add(
            "MVAU", [source, f"{name}_w"], [name], MW=weight.shape[0], MH=weight.shape[1], PE=pe, SIMD=simd,
            inputDataType=kinds[0], weightDataType=kinds[1], outputDataType=kinds[2], accDataType=kinds[2],
            noActivation=1, ActVal=0, binaryXnorMode=0, numInputVectors=[1, SIZE, SIZE], resType=res_type,
            mem_mode="internal_decoupled", ram_style="distributed", preferred_impl_style="rtl",
        )  # fmt: skip

    def threshold(self, source, name, thresholds, kinds, lowest, pe):
        self.constant(f"{name}_t", thresholds, kinds[0])
        self.tensor(name, len(thresholds), kinds[1])
        self.add(
            "Thresholding", [source, f"{name}_t"], [name], NumChannels=len(thresholds), PE=pe,
            numSteps=thresholds.shape[1], inputDataType=kinds[0], weightDataType=kinds[0], outputDataType=kinds[1],
            ActVal=lowest, numInputVectors=[1, SIZE, SIZE], preferred_impl_style="rtl",
        )  # fmt: skip

    def model(self, last):
        def info(name):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])

        graph = helper.make_graph(self.nodes, "small", [info("image")], [info(last)])
        model = ModelWrapper(qonnx_make_model(graph))
        for name, shape in self.shapes.items():
            model.set_tensor_shape(name, shape)
        for name, value in self.values.items():
            model.set_initializer(name, value)
        for name, kind in self.kinds.items():
            model.set_tensor_datatype(name, DataType[kind])
        return model


def small_graph(seed=0):
    """Generic nodes: conv, threshold, fork, (conv, threshold | threshold), add, threshold, CAM."""
    first, long, short, last, head = small_weights(seed)
    build = Builder()
    build.tensor("image", 2, "UINT8")
    build.window("image", "w0", 2, "UINT8")
    build.matrix("w0", "m0", first.weight, ("UINT8", "INT4", "INT16"), 2, 2, "lut")
    build.threshold("m0", "x", first.thresholds, ("INT16", "UINT4"), 0, 2)
    for name in ("a", "b"):
        build.tensor(name, CHANNELS, "UINT4")
    build.add(
        "DuplicateStreams", ["x"], ["a", "b"], NumChannels=CHANNELS, PE=1, NumOutputStreams=2,
        inputDataType="UINT4", numInputVectors=[1, SIZE, SIZE],
    )  # fmt: skip
    build.window("a", "w1", CHANNELS, "UINT4")
    build.matrix("w1", "m1", long.weight, ("UINT4", "INT4", "INT13"), 4, 3, "auto")
    build.threshold("m1", "y", long.thresholds, ("INT13", "INT4"), -8, 1)
    build.threshold("b", "s", short, ("UINT4", "INT4"), -8, 1)
    build.tensor("sum", CHANNELS, "INT5")
    shape = [1, SIZE, SIZE, CHANNELS]
    build.add(
        "ElementwiseAdd", ["y", "s"], ["sum"], lhs_dtype="INT4", rhs_dtype="INT4", out_dtype="INT5", lhs_shape=shape,
        rhs_shape=shape, out_shape=shape, PE=2,
    )  # fmt: skip
    build.threshold("sum", "tap", last, ("INT5", "UINT4"), 0, 1)
    with quiet():
        model = append_cam(build.model("tap"), cam_node(head), "packet")
        return apply_pass(apply_pass(model, SortGraph()), GiveUniqueNodeNames())


def small_specialised(seed=0, cam_backend="rtl", folding=None):
    """The small graph for the chip; `folding` replaces attributes of some nodes."""
    with quiet():
        model, _ = specialise(small_graph(seed), PART)
        choose_rtl(model, cam_backend)
        require_rtl(model, cam_backend)
        for node in model.graph.node:
            for key, value in (folding or {}).get(node.name, {}).items():
                getCustomOp(node).set_nodeattr(key, value)
    return model


def small_code(folder: Path, *, bypass_words=None, cam_backend="rtl", seed=0, folding=None, depths=None):
    """Generated code in `folder`, with its graph.onnx.

    `bypass_words` makes every FIFO as deep; `depths` gives `inFIFODepths` and `outFIFODepths` of some nodes.
    """
    with quiet():
        model, _ = set_safe_depths(small_specialised(seed, cam_backend, folding), depths)
        if bypass_words is not None:
            for node in model.graph.node:
                instance = getCustomOp(node)
                instance.set_nodeattr("inFIFODepths", [bypass_words] * len(node.input))
                instance.set_nodeattr("outFIFODepths", [bypass_words] * len(node.output))
        model = connect(model, PART)
        model, _ = generate_code(model, PART, 10.0, folder)
    model.save(str(folder / "graph.onnx"))
    return model
