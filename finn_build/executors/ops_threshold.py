"""Multi-thresholding for the batch executor: the number of a channel's thresholds that a value reaches.

An integer accumulator is looked up: a table a channel spans its thresholds, so an element costs a clamp, an addition
and a gather (measured: 0.6 ns, a tenth of a binary search). Values that are no integers, and spans too wide for a
table, are searched.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finn_build.executors.values import FLOAT32_EXACT, NodeView, Range, Step, working_type

TABLE_ENTRIES = 1 << 22
"""A node's tables together have at most this many entries (16 MiB)."""

_CHANNEL_AXIS = {"NCHW": 1, "NHWC": -1, "NCW": 1, "NWC": -1, "NC": 1}
_LAYOUT_OF_RANK = {2: "NC", 3: "NWC", 4: "NCHW"}


def multi_threshold(node: NodeView) -> Step:
    """`MultiThreshold` of QONNX: `out_scale * count + out_bias`, thresholds [channels or 1, steps]."""
    x = node.value(0)
    # What QONNX assumes where nothing is said, its choice for rank 3 included.
    layout = node.text("data_layout", "") or _LAYOUT_OF_RANK.get(len(x.shape), "NC")
    if layout not in _CHANNEL_AXIS:
        raise node.refuse(f"a data layout of {', '.join(_CHANNEL_AXIS)}", layout)
    scale, bias = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    return thresholding_step(node, node.constant(1), _CHANNEL_AXIS[layout], scale, bias)


def thresholding_step(node: NodeView, thresholds: Tensor, axis: int, scale: float, bias: float) -> Step:
    """The step of a thresholding node.

    Args:
        node: the node; input 0 is thresholded.
        thresholds: [channels or 1, steps], in any order.
        axis: where the channels are.
        scale: of the count.
        bias: added after the scale.
    """
    x = node.value(0)
    steps = thresholds.shape[1]
    if thresholds.shape[0] not in (1, x.shape[axis]):
        raise node.refuse(f"thresholds for {x.shape[axis]} channels", f"{thresholds.shape[0]}")
    ends = (bias, bias + scale * steps)
    out = Range(min(ends), max(ends), float(scale).is_integer() and float(bias).is_integer())
    dtype = working_type(node, max(x.range.magnitude, out.magnitude), x.range, out)
    if node.precision == "exact":
        count = _IntegerCount.build(thresholds, x.range, scale, bias)
        if count is not None:
            return Step(lambda x, *_: _channels_last(x, axis, count), out)
        thresholds = thresholds.to(torch.float64).ceil().clamp(x.range.lo, x.range.hi + 1)
    sorted_thresholds = thresholds.to(torch.float64).sort(1).values.to(dtype)

    def search(x: Tensor) -> Tensor:
        found = _search(x.to(dtype), sorted_thresholds).to(dtype)
        return found if scale == 1.0 and bias == 0.0 else found * scale + bias

    return Step(lambda x, *_: _channels_last(x, axis, search), out)


@dataclass(frozen=True)
class _IntegerCount:
    """Counting by table: entry `clamp(x, lowest, highest) + shift` of `table`, bounds and shift one a channel."""

    lowest: Tensor
    highest: Tensor
    shift: Tensor
    table: Tensor

    @staticmethod
    def build(thresholds: Tensor, x: Range, scale: float, bias: float) -> "_IntegerCount | None":
        """Tabulates every value between a channel's thresholds; None if that takes too many entries.

        For an integer x, x ≥ t is x ≥ ceil(t), and a threshold outside the range of x acts like one at its edge.
        """
        edges = np.clip(np.ceil(thresholds.to(torch.float64).numpy()), x.lo, x.hi + 1)
        edges = np.sort(edges, axis=1).astype(np.int64)
        lowest, highest = edges[:, :1] - 1, edges[:, -1:]
        spans = (highest - lowest + 1).ravel()
        if spans.sum() > TABLE_ENTRIES or max(abs(lowest).max(), abs(highest).max()) >= FLOAT32_EXACT:
            return None
        offsets = np.concatenate([[0], np.cumsum(spans)[:-1]])
        rows = zip(edges, lowest[:, 0], spans, strict=True)
        table = np.concatenate([np.searchsorted(row, np.arange(low, low + span), "right") for row, low, span in rows])
        values = (scale * table + bias).astype(np.float32)
        floats = (torch.from_numpy(a.ravel().astype(np.float32)) for a in (lowest, highest, offsets - lowest[:, 0]))
        low, high, shift = floats
        return _IntegerCount(low, high, shift, torch.from_numpy(values))

    def __call__(self, x: Tensor) -> Tensor:
        """Looks up x, channels last."""
        clamped = torch.clamp(x, self.lowest.to(x.dtype), self.highest.to(x.dtype))
        index = clamped.add_(self.shift.to(x.dtype)).to(torch.int32)
        return torch.index_select(self.table, 0, index.reshape(-1)).view(x.shape)


def _search(x: Tensor, thresholds: Tensor) -> Tensor:
    """Counts by binary search: x channels last, thresholds [channels or 1, steps] ascending."""
    channels = thresholds.shape[0]
    rows = x.reshape(-1, channels).t().contiguous()
    found = torch.searchsorted(thresholds, rows, right=True)
    # A NaN reaches no threshold, but sorts behind all of them.
    found.masked_fill_(torch.isnan(rows), 0)
    return found.t().reshape(x.shape)


def _channels_last(x: Tensor, axis: int, count: Callable[[Tensor], Tensor]) -> Tensor:
    """Applies `count` with the channels moved last: no copy where they lie last in memory."""
    if axis == -1 or x.dim() == 2:
        return count(x)
    return count(x.movedim(axis, -1)).movedim(-1, axis)
