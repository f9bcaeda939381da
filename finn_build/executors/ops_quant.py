"""The QONNX quantiser for the batch executor: what `qonnx.custom_op.general.intquant` does, in the same order."""

from collections.abc import Callable

import torch
from qonnx.custom_op.general.intquant import max_int, min_int
from torch import Tensor

from finn_build.executors.values import UNKNOWN, NodeView, Range, Step, working_type


def _away_from_zero(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.ceil(torch.abs(x))


def _half_away_from_zero(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.floor(torch.abs(x) + 0.5)


def _half_to_zero(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.ceil(torch.abs(x) - 0.5)


_ROUNDING: dict[str, Callable[[Tensor], Tensor]] = {
    "ROUND": torch.round,
    "HALF_EVEN": torch.round,
    "CEIL": torch.ceil,
    "FLOOR": torch.floor,
    "UP": _away_from_zero,
    "DOWN": torch.trunc,
    "HALF_UP": _half_away_from_zero,
    "HALF_DOWN": _half_to_zero,
}


def quant(node: NodeView) -> Step:
    """`Quant`/`IntQuant` with constant scale, zero point and bit width."""
    x = node.value(0)
    scale, zero, bits = (node.constant(i).to(torch.float64) for i in (1, 2, 3))
    signed, narrow = bool(node.number("signed", 1)), bool(node.number("narrow", 0))
    mode = node.text("rounding_mode", "ROUND").upper()
    if mode not in _ROUNDING:
        raise node.refuse(f"a rounding mode of {', '.join(_ROUNDING)}", mode)
    if bits.numel() != 1 or not 2 <= float(bits) <= 24:
        raise node.refuse("one bit width of 2 to 24", str(bits.tolist()))
    width = int(bits)
    low, high = float(min_int(signed, narrow, width)), float(max_int(signed, narrow, width))
    ends = torch.stack([(end - zero) * scale for end in (low, high)])
    out = Range(float(ends.min()), float(ends.max()), bool((scale == 1).all() and (zero == zero.round()).all()))
    # Weights are quantised once; only what depends on the image must be exact.
    dtype = torch.float64
    if not x.constant:
        dtype = working_type(node, max(out.magnitude, x.range.magnitude), x.range, out)
    elif node.precision == "float32":
        dtype = torch.float32
    scale, zero, rounded = scale.to(dtype), zero.to(dtype), _ROUNDING[mode]
    # Brevitas and the passes round weights in float32, as they are stored: in a wider type one that lies at the edge of
    # two codes would become another number.
    of_codes = torch.float32 if x.constant and bool((x.sample == x.sample.float()).all()) else dtype

    def kernel(x: Tensor, *_: Tensor) -> Tensor:
        steps = torch.clamp(x.to(of_codes) / scale.to(of_codes) + zero.to(of_codes), low, high)
        return (rounded(steps).to(dtype) - zero) * scale

    return Step(kernel, out if out.magnitude < torch.inf else UNKNOWN)
