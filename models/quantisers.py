"""The quantisers of the family, and a cheap way to train through them.

Every scale is one learnt number: `scale = |value| / threshold`, where `value` is Brevitas' parameter and `threshold`
the largest integer code (2^(b-1) for the signed, non-narrow activation quantiser). Calibration sets it, training moves
it.
"""

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    # Brevitas marks its own methods with torch.jit.ignore and names tensors, which torch 2.13 calls deprecated.
    warnings.simplefilter("ignore")
    from brevitas import nn as qnn
    from brevitas.inject.enum import RestrictValueType, ScalingImplType
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat


__all__ = [
    "CodeRange",
    "PixelQuantiser",
    "SignedQuantiser",
    "UnsignedQuantiser",
    "WeightQuantiser",
    "best_scale",
    "fake_quantise",
    "qnn",
    "scale_parameter",
]


class WeightQuantiser(Int8WeightPerTensorFloat):  # type: ignore[misc]
    """Signed, narrow range, one learnt scale a tensor."""

    scaling_impl_type = ScalingImplType.PARAMETER
    restrict_scaling_type = RestrictValueType.FP
    scaling_init = 1.0
    narrow_range = True


class UnsignedQuantiser(Uint8ActPerTensorFloat):  # type: ignore[misc]
    """Unsigned activations, one learnt scale a tensor."""

    scaling_impl_type = ScalingImplType.PARAMETER
    restrict_scaling_type = RestrictValueType.FP
    scaling_init = 1.0


class SignedQuantiser(Int8ActPerTensorFloat):  # type: ignore[misc]
    """Signed activations (the shared quantiser before an add), one learnt scale a tensor."""

    scaling_impl_type = ScalingImplType.PARAMETER
    restrict_scaling_type = RestrictValueType.FP
    scaling_init = 1.0


class PixelQuantiser(Uint8ActPerTensorFloat):  # type: ignore[misc]
    """8-bit unsigned with the constant scale 1/255: the identity on pixels / 255."""

    scaling_impl_type = ScalingImplType.CONST
    scaling_init = 1.0
    bit_width = 8


class CodeRange:
    """The integer codes of a quantiser.

    Args:
        bits: bit width.
        signed: whether codes below 0 exist.
        narrow: whether the lowest signed code is left out.
    """

    def __init__(self, bits: int, signed: bool, narrow: bool) -> None:
        self.bits = bits
        self.signed = signed
        self.narrow = narrow
        self.low: int = -(2 ** (bits - 1)) + int(narrow) if signed else 0
        self.high: int = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
        self.threshold: int = max(self.high, -self.low)


def scale_parameter(layer: nn.Module) -> nn.Parameter:
    """Brevitas' scale parameter of a layer: of its weights where it has any, else of its output.

    Args:
        layer: a QuantConv2d, QuantLinear, QuantReLU or QuantIdentity built with the quantisers above.
    """
    quant: Any = layer
    if isinstance(layer, qnn.QuantConv2d | qnn.QuantLinear):
        value = quant.weight_quant.tensor_quant.scaling_impl.value
    else:
        value = quant.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value
    parameter: nn.Parameter = value
    return parameter


class _FakeQuantise(torch.autograd.Function):
    """`scale * clamp(round(x / scale))` forward, the learnt-step-size gradients backward.

    Straight-through for x inside the range, and `d/dscale = code - [inside] * x / scale` (Esser et al., Learned Step
    Size Quantization, eq. 2 and 3), times a gain that keeps the steps of scale and weights comparable.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: int, high: int, gain: float) -> Tensor:
        position = x / scale.to(x.dtype)
        ctx.save_for_backward(position)
        ctx.range = (low, high, gain)
        return position.round().clamp_(low, high).mul_(scale.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        (position,) = ctx.saved_tensors
        low, high, gain = ctx.range
        inside = (position >= low) & (position <= high)
        grad_x = grads[0] * inside if ctx.needs_input_grad[0] else None
        grad_scale = None
        if ctx.needs_input_grad[1]:
            step = position.round().clamp_(low, high) - position * inside
            grad_scale = (grads[0] * step).sum(dtype=torch.float32) * gain
        return grad_x, grad_scale, None, None, None


def fake_quantise(x: Tensor, value: Tensor, codes: CodeRange, values_per_sample: int) -> Tensor:
    """What the Brevitas quantiser with parameter `value` returns for x, at a fraction of its cost in training.

    Args:
        x: any shape, float.
        value: Brevitas' scale parameter, a scalar.
        codes: the quantiser's codes.
        values_per_sample: how many values share the scale, in an image or in the weights.

    Returns:
        x's shape and type; bit for bit Brevitas' output where x is float32.
    """
    # The parameter is threshold * scale, so a step on the scale needs the gain threshold² on top of 1/sqrt(N * high).
    gain = codes.threshold**2 / math.sqrt(values_per_sample * codes.high)
    quantised: Tensor = _FakeQuantise.apply(x, value.abs() / codes.threshold, codes.low, codes.high, gain)  # type: ignore[no-untyped-call]
    return quantised


def best_scale(x: Tensor, codes: CodeRange, candidates: int = 60) -> float:
    """The scale with the least mean squared error over x, of `candidates` fractions of the largest magnitude.

    Args:
        x: any shape, float32.
        codes: the quantiser's codes.
        candidates: how many fractions between 1/5 and 1 are tried.
    """
    largest: float = x.abs().max().item() if codes.signed else x.max().item()
    if not largest > 0:
        # A dead layer still needs a scale that can be written down.
        return 1.0 / codes.threshold
    best: float = largest / codes.high
    best_error = math.inf
    for i in range(candidates):
        scale = largest * (0.2 + 0.8 * (i + 1) / candidates) / codes.high
        error = float(((x / scale).round().clamp(codes.low, codes.high) * scale - x).square().mean())
        if error < best_error:
            best, best_error = scale, error
    return best
