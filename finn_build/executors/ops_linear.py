"""Convolution, matrix products and element-wise arithmetic for the batch executor.

An integer sum is exact in a floating type as long as no partial sum, in any order, leaves the type's exact integers. So
each node takes the bound Σ|w|·max|x| over its real weights, and from that its type.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor

from finn_build.executors.values import UNKNOWN, NodeView, Range, Step, working_type


def conv(node: NodeView) -> Step:
    """`Conv`, two-dimensional, weights constant."""
    x, weight = node.value(0), node.constant(1)
    if weight.dim() != 4:
        raise node.refuse("a two-dimensional convolution", f"weights of shape {list(weight.shape)}")
    pads = conv_pads(node)
    bias = node.constant(2) if node.optional(2) is not None else None
    bound, out = _sum_of_products(weight.flatten(1), bias, x.range, padded=any(pads))
    dtype = working_type(node, bound, x.range, Range.of(weight), out)
    weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.to(dtype)
    strides, dilations = node.ints("strides", (1, 1)), node.ints("dilations", (1, 1))
    groups = int(node.number("group", 1))
    top, left, bottom, right = pads
    even = top == bottom and left == right

    def kernel(x: Tensor, *_: Tensor | None) -> Tensor:
        x = x.to(dtype)
        if not even:
            x = functional.pad(x, (left, right, top, bottom))
        padding = (top, left) if even else (0, 0)
        return functional.conv2d(x, weight, bias, strides, padding, dilations, groups)

    return Step(kernel, out)


def conv_pads(node: NodeView) -> list[int]:
    """Explicit padding [top, left, bottom, right] of a convolution or pooling node."""
    auto = node.text("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", ""):
        raise node.refuse("explicit padding", f"auto_pad {auto}")
    pads = node.ints("pads", (0, 0, 0, 0))
    if len(pads) != 4:
        raise node.refuse("padding of two dimensions", str(pads))
    return pads


def matmul(node: NodeView) -> Step:
    """`MatMul`, of two computed tensors or with constant weights on the right."""
    left, right = node.value(0), node.value(1)
    if right.constant and right.sample.dim() == 2:
        return _dense(node, right.sample, None)
    bound = left.shape[-1] * left.range.magnitude * right.range.magnitude
    out = Range(-bound, bound, left.range.integer and right.range.integer)
    dtype = working_type(node, bound, left.range, right.range)
    return Step(lambda a, b: torch.matmul(a.to(dtype), b.to(dtype)), out)


def gemm(node: NodeView) -> Step:
    """`Gemm` with constant weights and bias."""
    if node.number("transA", 0):
        raise node.refuse("transA 0", "1")
    weight = node.constant(1) * node.number("alpha", 1.0)
    if node.number("transB", 0):
        weight = weight.t()
    bias = None if node.optional(2) is None else node.constant(2) * node.number("beta", 1.0)
    return _dense(node, weight, bias)


def _dense(node: NodeView, weight: Tensor, bias: Tensor | None) -> Step:
    """x · weight (+ bias), weight [inputs, outputs]."""
    x = node.value(0)
    bound, out = _sum_of_products(weight.t(), bias, x.range, padded=False)
    dtype = working_type(node, bound, x.range, Range.of(weight), out)
    weight = weight.to(dtype).contiguous()
    bias = None if bias is None else bias.to(dtype)

    def kernel(x: Tensor, *_: Tensor | None) -> Tensor:
        product = torch.matmul(x.to(dtype), weight)
        return product if bias is None else product + bias

    return Step(kernel, out)


def _sum_of_products(weight: Tensor, bias: Tensor | None, x: Range, *, padded: bool) -> tuple[float, Range]:
    """Bounds of Σ_k w[o,k]·x_k + b[o].

    Args:
        weight: [outputs, products].
        bias: [outputs] or None.
        x: the range of the other factor.
        padded: whether zeros may stand in its place.

    Returns:
        a bound on every partial sum, and the range of the result.
    """
    if not (abs(x.lo) < torch.inf and abs(x.hi) < torch.inf):
        return torch.inf, UNKNOWN
    lo, hi = (min(x.lo, 0.0), max(x.hi, 0.0)) if padded else (x.lo, x.hi)
    wide = weight.to(torch.float64)
    positive, negative = wide.clamp(min=0).sum(1), wide.clamp(max=0).sum(1)
    offset = torch.zeros(1, dtype=torch.float64) if bias is None else bias.to(torch.float64).flatten()
    lows, highs = positive * lo + negative * hi + offset, positive * hi + negative * lo + offset
    bound = float(((positive - negative) * max(abs(lo), abs(hi)) + offset.abs()).max())
    integer = x.integer and Range.of(weight).integer and Range.of(offset).integer
    return bound, Range(float(lows.min()), float(highs.max()), integer)


def add(node: NodeView) -> Step:
    """`Add` with broadcasting."""
    a, b = node.value(0).range, node.value(1).range
    out = Range(a.lo + b.lo, a.hi + b.hi, a.integer and b.integer)
    dtype = working_type(node, a.magnitude + b.magnitude, a, b)
    return Step(lambda a, b: torch.add(a.to(dtype), b.to(dtype)), out)


def sub(node: NodeView) -> Step:
    """`Sub` with broadcasting."""
    a, b = node.value(0).range, node.value(1).range
    out = Range(a.lo - b.hi, a.hi - b.lo, a.integer and b.integer)
    dtype = working_type(node, a.magnitude + b.magnitude, a, b)
    return Step(lambda a, b: torch.sub(a.to(dtype), b.to(dtype)), out)


def mul(node: NodeView) -> Step:
    """`Mul` with broadcasting."""
    a, b = node.value(0).range, node.value(1).range
    corners = [p * q for p in (a.lo, a.hi) for q in (b.lo, b.hi)]
    finite = max(a.magnitude, b.magnitude) < torch.inf
    out = Range(min(corners), max(corners), a.integer and b.integer) if finite else UNKNOWN
    dtype = working_type(node, a.magnitude * b.magnitude, a, b)
    return Step(lambda a, b: torch.mul(a.to(dtype), b.to(dtype)), out)


def div(node: NodeView) -> Step:
    """`Div` with broadcasting; a quotient counts as no integer."""
    a, b = node.value(0), node.value(1)
    smallest = float(b.sample.abs().min()) if b.constant and b.sample.numel() else 0.0
    bound = a.range.magnitude / smallest if smallest else torch.inf
    out = Range(-bound, bound, False)
    dtype = working_type(node, bound, a.range, b.range, out)
    return Step(lambda a, b: torch.div(a.to(dtype), b.to(dtype)), out)


def relu(node: NodeView) -> Step:
    """`Relu`."""
    x = node.value(0).range
    return Step(torch.relu, Range(max(x.lo, 0.0), max(x.hi, 0.0), x.integer))


def batch_normalization(node: NodeView) -> Step:
    """`BatchNormalization` with constant statistics, channels second: (x - mean)/√(var + ε)·scale + bias."""
    x = node.value(0)
    scale, bias, mean, variance = (node.constant(i) for i in range(1, 5))
    dtype = working_type(node, torch.inf, UNKNOWN)
    epsilon = node.number("epsilon", 1e-5)

    def kernel(x: Tensor, *_: Tensor | None) -> Tensor:
        m, v, s, b = (t.to(dtype) for t in (mean, variance, scale, bias))
        return functional.batch_norm(x.to(dtype), m, v, s, b, training=False, eps=epsilon)

    factor = scale.to(torch.float64) / torch.sqrt(variance.to(torch.float64) + epsilon)
    low, high = ((edge - mean.to(torch.float64)) * factor + bias.to(torch.float64) for edge in (x.range.lo, x.range.hi))
    known = x.range.magnitude < torch.inf
    both = torch.cat([low, high])
    return Step(kernel, Range(float(both.min()), float(both.max()), False) if known else UNKNOWN)
