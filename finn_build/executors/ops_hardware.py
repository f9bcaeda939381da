"""FINN's generic hardware nodes for the batch executor, each as its `execute_node` computes it, NHWC.

Only what a node computes counts here. How it is folded and stored is for the structural checks of the later stages.
"""

import torch
from torch import Tensor

from finn_build.executors import ops_linear
from finn_build.executors.ops_pool import window_step
from finn_build.executors.ops_shape import identity
from finn_build.executors.ops_threshold import thresholding_step
from finn_build.executors.values import NodeView, Range, Step, Value, working_type


def thresholding(node: NodeView) -> Step:
    """`Thresholding`: channels last, `ActVal` added; a bipolar output is 2·count - 1."""
    scale, bias = _activation(node)
    return thresholding_step(node, node.constant(1), -1, scale, bias)


def _activation(node: NodeView) -> tuple[float, float]:
    bipolar = node.text("outputDataType", "") == "BIPOLAR"
    return (2.0, -1.0) if bipolar else (1.0, node.number("ActVal", 0))


def mvau(node: NodeView) -> Step:
    """`MVAU`: a matrix product and, unless `noActivation`, thresholds."""
    bipolar = node.text("inputDataType", "") == "BIPOLAR" and node.text("weightDataType", "") == "BIPOLAR"
    if node.number("binaryXnorMode", 0) or bipolar:
        raise node.refuse("integer inputs and weights", "XNOR arithmetic")
    product = ops_linear.matmul(node)
    if node.number("noActivation", 0):
        return product
    accumulator = Value(f"{node.name} accumulator", product.kernel(node.value(0).sample, None), product.range)
    activation = NodeView(node.name, node.op, node.attributes, [accumulator], node.opset, node.precision, node.outputs)
    threshold = thresholding_step(activation, node.constant(2), -1, *_activation(node))
    return Step(lambda x, *_: threshold.kernel(product.kernel(x, None)), threshold.range)


def convolution_input_generator(node: NodeView) -> Step:
    """`ConvolutionInputGenerator`: `Im2Col` without padding."""
    kernel, stride = node.ints("ConvKernelDim", ()), node.ints("Stride", ())
    return window_step(node, kernel, stride, node.ints("Dilation", (1, 1)), (0, 0, 0, 0), 0.0)


def fm_padding(node: NodeView) -> Step:
    """`FMPadding`: zeros around H and W, `Padding` [top, left, bottom, right]."""
    top, left, bottom, right = node.ints("Padding", (1, 1, 1, 1))
    around = (0, 0, left, right, top, bottom)
    out = node.value(0).range.union(Range(0.0, 0.0, True))
    return Step(lambda x: torch.nn.functional.pad(x, around), out)


def duplicate_streams(node: NodeView) -> Step:
    """`DuplicateStreams`: every output is the input."""
    return identity(node)


def global_acc_pool(node: NodeView) -> Step:
    """`GlobalAccPool`: the sum over H and W, kept as [N, 1, 1, C]."""
    x = node.value(0)
    count = x.shape[1] * x.shape[2]
    dtype = working_type(node, x.range.magnitude * count, x.range)
    out = Range(x.range.lo * count, x.range.hi * count, x.range.integer)
    return Step(lambda x: x.to(dtype).sum(dim=(1, 2), keepdim=True), out)


def pool(node: NodeView) -> Step:
    """`Pool` behind a `ConvolutionInputGenerator`: the maximum or sum of each channel over a window."""
    x, channels = node.value(0), int(node.number("Channels", 0))
    function = node.text("Function", "")
    if function == "MaxPool":
        return Step(lambda x: _windows(x, channels).amax(-2), x.range)
    if function == "AccPool":
        count = x.shape[-1] // channels
        dtype = working_type(node, x.range.magnitude * count, x.range)
        out = Range(x.range.lo * count, x.range.hi * count, x.range.integer)
        return Step(lambda x: _windows(x.to(dtype), channels).sum(-2), out)
    raise node.refuse("MaxPool or AccPool", function)


def _windows(x: Tensor, channels: int) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, channels)
