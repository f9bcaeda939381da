"""Pooling, reductions and sliding windows for the batch executor."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from finn_build.executors.ops_linear import conv_pads
from finn_build.executors.ops_shape import axes_of
from finn_build.executors.values import NodeView, Range, Step, Value, working_type


def max_pool(node: NodeView) -> Step:
    """`MaxPool`, NCHW."""
    kernel, out = _max_pool(node)
    return Step(kernel, out)


def max_pool_nhwc(node: NodeView) -> Step:
    """`MaxPoolNHWC` of QONNX."""
    kernel, out = _max_pool(node)
    return Step(lambda x: kernel(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), out)


class _MaxPool:
    def __init__(self, window: Sequence[int], strides: Sequence[int], pads: Sequence[int], ceil_mode: bool) -> None:
        self.window, self.strides, self.ceil_mode = tuple(window), tuple(strides), ceil_mode
        self.pads = (pads[1], pads[3], pads[0], pads[2])

    def __call__(self, x: Tensor) -> Tensor:
        if any(self.pads):
            x = functional.pad(x, self.pads, value=-torch.inf)
        return functional.max_pool2d(x, self.window, self.strides, ceil_mode=self.ceil_mode)


def _max_pool(node: NodeView) -> tuple[_MaxPool, Range]:
    window = node.ints("kernel_shape", ())
    pads = conv_pads(node)
    if any(v != 1 for v in node.ints("dilations", (1, 1))):
        raise node.refuse("no dilation", str(node.ints("dilations", ())))
    if max(pads[0], pads[2]) >= window[0] or max(pads[1], pads[3]) >= window[1]:
        raise node.refuse("padding below the window's size", f"{pads} around {window}")
    pool = _MaxPool(window, node.ints("strides", (1, 1)), pads, bool(node.number("ceil_mode", 0)))
    return pool, node.value(0).range


def average_pool(node: NodeView) -> Step:
    """`AveragePool`, NCHW, every window full of values or padding that counts."""
    x = node.value(0)
    pads, window = conv_pads(node), node.ints("kernel_shape", ())
    if any(pads) and not node.number("count_include_pad", 0):
        raise node.refuse("no padding, or padding that counts", str(pads))
    if node.number("ceil_mode", 0):
        raise node.refuse("ceil_mode 0", "1")
    out = _mean_range(x.range, window[0] * window[1], padded=any(pads))
    dtype = working_type(node, x.range.magnitude * window[0] * window[1], x.range, out)
    strides = node.ints("strides", (1, 1))
    around = (pads[1], pads[3], pads[0], pads[2])
    return Step(lambda x: functional.avg_pool2d(functional.pad(x.to(dtype), around), window, strides), out)


def global_average_pool(node: NodeView) -> Step:
    """`GlobalAveragePool`, NCHW."""
    x = node.value(0)
    count = x.shape[2] * x.shape[3]
    out = _mean_range(x.range, count, padded=False)
    dtype = working_type(node, x.range.magnitude * count, x.range, out)
    return Step(lambda x: x.to(dtype).mean(dim=(2, 3), keepdim=True), out)


def _mean_range(x: Range, count: int, *, padded: bool) -> Range:
    lo, hi = (min(x.lo, 0.0), max(x.hi, 0.0)) if padded else (x.lo, x.hi)
    return Range(lo, hi, x.integer and count == 1)


def reduce_sum(node: NodeView) -> Step:
    """`ReduceSum` over axes other than the batch."""
    x, axes, keep = _reduction(node)
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    out = Range(x.range.lo * count, x.range.hi * count, x.range.integer)
    dtype = working_type(node, x.range.magnitude * count, x.range)
    return Step(lambda x, *_: x.to(dtype).sum(dim=axes, keepdim=keep), out)


def reduce_mean(node: NodeView) -> Step:
    """`ReduceMean` over axes other than the batch."""
    x, axes, keep = _reduction(node)
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    out = _mean_range(x.range, count, padded=False)
    dtype = working_type(node, x.range.magnitude * count, x.range, out)
    return Step(lambda x, *_: x.to(dtype).mean(dim=axes, keepdim=keep), out)


def _reduction(node: NodeView) -> tuple[Value, list[int], bool]:
    x = node.value(0)
    axes = axes_of(node, x.sample.dim())
    if axes is None or (0 in axes and not x.constant):
        raise node.refuse("axes without the batch", "all axes" if axes is None else str(axes))
    return x, axes, bool(node.number("keepdims", 1))


def im2col(node: NodeView) -> Step:
    """`Im2Col` of QONNX: NHWC [N, H, W, C] to [N, OH, OW, KH·KW·C], the channel running fastest."""
    return window_step(
        node,
        node.ints("kernel_size", ()),
        node.ints("stride", ()),
        node.ints("dilations", (1, 1)),
        node.ints("pad_amount", (0, 0, 0, 0)),
        node.number("pad_value", 0.0),
    )


def window_step(
    node: NodeView,
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    value: float,
) -> Step:
    """The step that lays every window of an NHWC tensor out as one vector.

    Args:
        node: the node.
        window: [KH, KW].
        strides: [SH, SW].
        dilations: [DH, DW].
        pads: [top, left, bottom, right].
        value: of the padding.
    """
    x = node.value(0).range
    (kh, kw), (sh, sw), (dh, dw) = window, strides, dilations
    top, left, bottom, right = pads

    def kernel(x: Tensor) -> Tensor:
        if any(pads):
            x = functional.pad(x, (0, 0, left, right, top, bottom), value=value)
        n, h, w, c = x.shape
        step_n, step_h, step_w, step_c = x.stride()
        oh, ow = (h - dh * (kh - 1) - 1) // sh + 1, (w - dw * (kw - 1) - 1) // sw + 1
        steps = (step_n, step_h * sh, step_w * sw, step_h * dh, step_w * dw, step_c)
        return x.as_strided((n, oh, ow, kh, kw, c), steps, x.storage_offset()).reshape(n, oh, ow, kh * kw * c)

    return Step(kernel, x.union(Range(value, value, value.is_integer())) if any(pads) else x)
