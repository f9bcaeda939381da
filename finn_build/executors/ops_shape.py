"""Operators that move values without changing them, and chains of shape arithmetic, for the batch executor.

A graph is exported for one image. What it says of a shape's first dimension is generalised to the batch: axis 0 stays
where it is and is never reduced, sliced or joined along.
"""

from collections.abc import Sequence

import numpy as np
import onnx
import torch
import torch.nn.functional as functional
from torch import Tensor

from finn_build.executors.values import NodeView, Range, Step, Value


def identity(node: NodeView) -> Step:
    """`Identity`, `Dropout` (at inference) and the like."""
    return Step(lambda x, *_: x, node.value(0).range)


def constant(node: NodeView) -> Step:
    """`Constant`."""
    given = [n for n in ("value", "value_float", "value_floats", "value_int", "value_ints") if n in node.attributes]
    if not given:
        raise node.refuse("a numeric value", ", ".join(node.attributes))
    value = node.attributes[given[0]]
    tensor = as_tensor(onnx.numpy_helper.to_array(value) if given[0] == "value" else np.asarray(value))
    return Step(lambda: tensor, Range.of(tensor), folded=True)


def as_tensor(array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> Tensor:
    """A constant as the executor holds it: integers as int64, everything else as float64."""
    kind = np.int64 if array.dtype.kind in "iub" else np.float64
    return torch.from_numpy(np.array(array, dtype=kind))


def cast(node: NodeView) -> Step:
    """`Cast`: to a floating type it changes nothing here, to an integer type it truncates."""
    x, to = node.value(0), int(node.number("to", onnx.TensorProto.FLOAT))
    if to in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        return Step(lambda x: x if x.is_floating_point() else x.to(torch.float64), x.range)
    if x.constant:
        return Step(lambda x: x.to(torch.int64), x.range)
    if x.range.integer:
        return identity(node)
    return Step(torch.trunc, Range(x.range.lo, x.range.hi, True))


def shape(node: NodeView) -> Step:
    """`Shape`: that of one image, which `reshape` generalises."""
    fixed = torch.tensor(node.value(0).shape, dtype=torch.int64)
    return Step(lambda *_: fixed, Range.of(fixed), folded=True)


def reshape(node: NodeView) -> Step:
    """`Reshape` to a constant shape."""
    x, wanted = node.value(0), [int(v) for v in node.constant(1).tolist()]
    zero_copies = not node.number("allowzero", 0)
    wanted = [x.shape[i] if v == 0 and zero_copies else v for i, v in enumerate(wanted)]
    return _reshaped(node, x, list(x.sample.reshape(wanted).shape))


def flatten(node: NodeView) -> Step:
    """`Flatten` to two dimensions."""
    x = node.value(0)
    axis = int(node.number("axis", 1)) % (x.sample.dim() + 1)
    first = int(np.prod(x.shape[:axis], dtype=np.int64))
    return _reshaped(node, x, [first, x.sample.numel() // first])


def squeeze(node: NodeView) -> Step:
    """`Squeeze`."""
    x = node.value(0)
    axes = axes_of(node, x.sample.dim())
    drop = [i for i, size in enumerate(x.shape) if size == 1] if axes is None else axes
    return _reshaped(node, x, [size for i, size in enumerate(x.shape) if i not in drop])


def unsqueeze(node: NodeView) -> Step:
    """`Unsqueeze`."""
    x = node.value(0)
    given = node.ints("axes", ()) or [int(v) for v in node.constant(1).tolist()]
    axes = sorted(axis % (x.sample.dim() + len(given)) for axis in given)
    shape = x.shape
    for axis in axes:
        shape.insert(axis, 1)
    return _reshaped(node, x, shape)


def _reshaped(node: NodeView, x: Value, shape: Sequence[int]) -> Step:
    """Reshapes a constant to `shape`, and a batch to `shape` with the batch for its first dimension."""
    if x.constant:
        return Step(lambda x, *_: x.reshape(tuple(shape)), x.range)
    if not shape or shape[0] != 1:
        raise node.refuse("a shape that keeps the batch dimension first", str(list(shape)))
    rest = tuple(shape[1:])
    return Step(lambda x, *_: x.reshape(x.shape[0], *rest), x.range)


def transpose(node: NodeView) -> Step:
    """`Transpose`."""
    x = node.value(0)
    order = node.ints("perm", tuple(reversed(range(x.sample.dim()))))
    if not x.constant and order[0] != 0:
        raise node.refuse("an order that keeps the batch dimension first", str(order))
    return Step(lambda x: x.permute(order), x.range)


def concat(node: NodeView) -> Step:
    """`Concat`."""
    values = [node.value(i) for i in range(len(node.inputs))]
    axis = int(node.number("axis", 0)) % values[0].sample.dim()
    if axis == 0 and not all(v.constant for v in values):
        raise node.refuse("an axis other than the batch", "axis 0")
    out = values[0].range
    for value in values[1:]:
        out = out.union(value.range)

    def kernel(*parts: Tensor) -> Tensor:
        batch = max(p.shape[0] for p in parts)
        if axis != 0:
            parts = tuple(p if p.shape[0] == batch else p.expand(batch, *p.shape[1:]) for p in parts)
        return torch.cat(parts, axis)

    return Step(kernel, out)


def gather(node: NodeView) -> Step:
    """`Gather` with constant indices."""
    x, indices = node.value(0), node.constant(1).to(torch.int64)
    axis = int(node.number("axis", 0)) % x.sample.dim()
    if axis == 0 and not x.constant:
        raise node.refuse("an axis other than the batch", "axis 0")
    flat = indices.reshape(-1) % x.shape[axis]

    def kernel(x: Tensor, *_: Tensor) -> Tensor:
        picked = torch.index_select(x, axis, flat)
        return picked.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))

    return Step(kernel, x.range)


def slice_(node: NodeView) -> Step:
    """`Slice` with constant bounds and positive steps."""
    x = node.value(0)
    if "starts" in node.attributes:
        starts, ends = node.ints("starts", ()), node.ints("ends", ())
        axes, steps = node.ints("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = ([int(v) for v in node.constant(i).tolist()] for i in (1, 2))
        axes, steps = (
            [int(v) for v in node.constant(i).tolist()] if node.optional(i) is not None else default
            for i, default in ((3, list(range(len(starts)))), (4, [1] * len(starts)))
        )
    cut = [slice(None)] * x.sample.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1 or (axis % x.sample.dim() == 0 and not x.constant):
            raise node.refuse("a positive step along an axis other than the batch", f"axis {axis}, step {step}")
        cut[axis % x.sample.dim()] = slice(start, end, step)
    return Step(lambda x, *_: x[tuple(cut)], x.range)


def pad(node: NodeView) -> Step:
    """`Pad` with a constant value."""
    x = node.value(0)
    if node.text("mode", "constant") != "constant":
        raise node.refuse("mode constant", node.text("mode", ""))
    if node.optional(3) is not None:
        raise node.refuse("padding of all axes", "a list of axes")
    pads = node.ints("pads", ()) or [int(v) for v in node.constant(1).tolist()]
    fill = node.optional(2)
    value = node.number("value", 0.0) if fill is None else float(fill.sample)
    rank = x.sample.dim()
    if not x.constant and (pads[0] or pads[rank]):
        raise node.refuse("no padding of the batch", str(pads))
    # PyTorch wants (before, after) from the last axis to the first.
    both = [amount for axis in reversed(range(rank)) for amount in (pads[axis], pads[axis + rank])]
    if not any(both):
        return Step(lambda x, *_: x, x.range)
    out = x.range.union(Range(value, value, value.is_integer()))
    return Step(lambda x, *_: functional.pad(x, both, value=value), out)


def axes_of(node: NodeView, rank: int) -> list[int] | None:
    """A node's axes, an attribute before opset 13 or 18 and an input since; None where it names none."""
    if "axes" in node.attributes:
        given = node.ints("axes", ())
    elif node.optional(1) is not None:
        given = [int(v) for v in node.constant(1).tolist()]
    else:
        return None
    return sorted(axis % rank for axis in given)
