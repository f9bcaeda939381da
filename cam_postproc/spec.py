"""The sizes of a CAM block, and every bit width that follows from them.

A width is never configured: it is the smallest that holds the worst case of the data types. The arithmetic itself is in
`arithmetic`; the HLS header, the RTL parameters and the cost model are generated from this class.
"""

from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import Literal

import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.hostside import PacketLayout

Sampling = Literal["half-pixel", "top-left"]

ARGMAX = 0xFFFFFFFF  # class select register: show the class with the highest logit
NO_GATE = -(1 << 31)  # gate register: no int32 logit lies below it
GUARD_BITS = 8
MAX_FRACTION_BITS = 11
RECIPROCAL_MARGIN_BITS = 5
_LIMITS = {
    "map_height": (1, 64),
    "map_width": (1, 64),
    "channels": (1, 8192),
    "classes": (2, 65535),
    "tap_bits": (1, 8),
    "weight_bits": (2, 8),
    "out_height": (1, 1024),
    "out_width": (1, 1024),
    "bias_bits": (0, 32),
    "shown": (1, 16),
}


@dataclass(frozen=True)
class CamSpec:
    """What one CAM block computes.

    Args:
        map_height: h, of the tap's feature map, pixels.
        map_width: w, of the tap's feature map, pixels.
        channels: C, of the tap.
        classes: K.
        tap_bits: the tap is UINT<tap_bits>.
        weight_bits: FC weights are INT<weight_bits>, two's complement, the most negative value included.
        out_height: H, of the heatmap, pixels.
        out_width: W, of the heatmap, pixels.
        sampling: where output pixel i looks in the map: "half-pixel" (i + 1/2)·h/H - 1/2, as torch's
            interpolate(align_corners=False) and cv2.resize, or "top-left" i·h/H.
        bias_bits: biases are INT<bias_bits> in steps of the logit; 0 means that there are none.
        shown: heatmaps in a packet.

    Raises:
        CamError: a size out of range, an unknown sampling, or more heatmaps than classes.
    """

    map_height: int
    map_width: int
    channels: int
    classes: int
    tap_bits: int
    weight_bits: int
    out_height: int
    out_width: int
    sampling: Sampling = "half-pixel"
    bias_bits: int = 0
    shown: int = 1

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise CamError(
                    f"CAM {name}", f"an integer from {low} to {high}", repr(value), "correct the CAM's sizes"
                )
        if self.sampling not in ("half-pixel", "top-left"):
            raise CamError("CAM sampling", "half-pixel or top-left", repr(self.sampling), "correct [cam] sampling")
        if self.shown > self.classes:
            raise CamError("CAM shown", f"at most {self.classes} (classes)", str(self.shown), "show fewer maps")

    @property
    def pixels(self) -> int:
        """N = h·w, pixels of the feature map."""
        return self.map_height * self.map_width

    @property
    def layout(self) -> PacketLayout:
        """The packet that the block sends."""
        return PacketLayout(self.classes, self.out_height, self.out_width, self.shown)

    # ---- widths, in bits

    @property
    def map_limits(self) -> tuple[int, int]:
        """Lowest and highest value of M_c(x, y) = Σ_k w[c, k]·f_k(x, y)."""
        tap_max = (1 << self.tap_bits) - 1
        scale = 1 << (self.weight_bits - 1)
        return -self.channels * tap_max * scale, self.channels * tap_max * (scale - 1)

    @property
    def map_bits(self) -> int:
        """Of a signed map value, and of the accumulator that sums it."""
        return signed_bits(*self.map_limits)

    @property
    def logit_sum_bits(self) -> int:
        """Of Σ_xy M_c(x, y) + B_c before it is sent; above 32 the sent logit saturates to int32."""
        low, high = self.map_limits
        bias_half = 1 << self.bias_bits >> 1
        bias_low, bias_high = -bias_half, max(bias_half - 1, 0)
        return signed_bits(low * self.pixels + bias_low, high * self.pixels + bias_high)

    @property
    def range_bits(self) -> int:
        """Of max - min of a map, unsigned."""
        low, high = self.map_limits
        return (high - low).bit_length()

    @property
    def guard_bits(self) -> int:
        """G, fraction bits of a normalised map value before it is resized."""
        return GUARD_BITS

    @property
    def level_bits(self) -> int:
        """Of a normalised map value, 0 to 255·2^G."""
        return 8 + self.guard_bits

    @property
    def reciprocal_shift(self) -> int:
        """RS: the reciprocal is in steps of 2^-RS of 255·2^G/R, R the range shifted to its leading one."""
        return self.range_bits + RECIPROCAL_MARGIN_BITS

    @property
    def dividend_bits(self) -> int:
        """Of 255·2^(G + RS)."""
        return self.level_bits + self.reciprocal_shift

    @property
    def reciprocal_bits(self) -> int:
        """Of floor(255·2^(G + RS) / R), R ≥ 2^(range_bits - 1)."""
        return self.level_bits + RECIPROCAL_MARGIN_BITS + 1

    @cached_property
    def rows(self) -> "Taps":
        """Where each output row looks, and its weight."""
        return sampling_taps(self.map_height, self.out_height, self.sampling)

    @cached_property
    def columns(self) -> "Taps":
        """Where each output column looks, and its weight."""
        return sampling_taps(self.map_width, self.out_width, self.sampling)

    @property
    def heatmap_error_bound(self) -> float:
        """Largest |uint8 heatmap - float64 heatmap|, in levels; `arithmetic` derives it."""
        rounding = 0.5
        levels = (0.5 + 2.0**-RECIPROCAL_MARGIN_BITS) / (1 << self.guard_bits)
        positions = sum(255 * taps.position_error for taps in (self.rows, self.columns))
        return rounding + levels + positions


def spec_for_head(
    fc_weight: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int32] | None,
    tap_shape: tuple[int, int, int],
    tap_bits: int,
    out_size: tuple[int, int],
    *,
    sampling: Sampling = "half-pixel",
    weight_bits: int | None = None,
    shown: int = 1,
) -> CamSpec:
    """The specification of a trained head.

    Args:
        fc_weight: int8 [K, C].
        bias: int32 [K], or None; zeros count as none.
        tap_shape: (h, w, C).
        tap_bits: the tap is UINT<tap_bits>.
        out_size: (H, W) of the heatmap.
        sampling: as in `CamSpec`.
        weight_bits: of the weights' type; None takes the smallest type, of at least 2 bits, that holds them.
        shown: heatmaps in a packet.

    Raises:
        CamError: arrays of another rank or dtype, or sizes out of range.
    """
    if not isinstance(fc_weight, np.ndarray) or fc_weight.dtype != np.int8 or fc_weight.ndim != 2 or not fc_weight.size:
        got = f"{getattr(fc_weight, 'dtype', type(fc_weight).__name__)} {getattr(fc_weight, 'shape', '')}"
        raise CamError("FC weights", "int8 [classes, channels], not empty", got, "quantise the head first")
    classes, channels = fc_weight.shape
    if channels != tap_shape[2]:
        raise CamError("FC weights", f"{tap_shape[2]} channels, as the tap", str(channels), "check the head")
    if weight_bits is None:
        weight_bits = max(2, signed_bits(min(0, int(fc_weight.min())), max(0, int(fc_weight.max()))))
    bias_bits = 0
    if bias is not None and bias.any():
        bias_bits = signed_bits(min(0, int(bias.min())), max(0, int(bias.max())))
    return CamSpec(
        map_height=tap_shape[0],
        map_width=tap_shape[1],
        channels=channels,
        classes=classes,
        tap_bits=tap_bits,
        weight_bits=weight_bits,
        out_height=out_size[0],
        out_width=out_size[1],
        sampling=sampling,
        bias_bits=bias_bits,
        shown=shown,
    )


@dataclass(frozen=True)
class Taps:
    """Sampling positions along one axis: out[i] = in[low] + (in[high] - in[low])·weight / 2^fraction_bits.

    Args:
        low: int64 [out].
        high: int64 [out], low + 1, or low at the border.
        weight: int64 [out], 0 to 2^fraction_bits - 1.
        fraction_bits: F.
        position_error: largest distance of weight / 2^F from the exact position, input pixels; 0 where exact.
    """

    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    weight: npt.NDArray[np.int64]
    fraction_bits: int
    position_error: float


def sampling_taps(size_in: int, size_out: int, sampling: Sampling) -> Taps:
    """Positions of `size_out` samples along an axis of `size_in` pixels, in integers.

    half-pixel: p = (i + 1/2)·h/H - 1/2 = ((2i + 1)·h - H) / 2H; top-left: p = i·h/H. Both are clamped to [0, h - 1].
    F is the smallest that holds every position exactly, if one up to 11 does; otherwise it is 11.
    """
    index = np.arange(size_out, dtype=np.int64)
    if sampling == "half-pixel":
        numerator, denominator = (2 * index + 1) * size_in - size_out, 2 * size_out
    else:
        numerator, denominator = index * size_in, size_out
    numerator = np.clip(numerator, 0, (size_in - 1) * denominator)
    # All positions are multiples of the greatest common divisor: reducing by it shows whether 2^F suffices.
    common = gcd(denominator, *(int(n) for n in numerator))
    numerator, denominator = numerator // common, denominator // common
    exact = denominator & (denominator - 1) == 0 and denominator <= 1 << MAX_FRACTION_BITS
    fraction_bits = denominator.bit_length() - 1 if exact else MAX_FRACTION_BITS
    low, rest = numerator // denominator, numerator % denominator
    # Never reaches 2^F: 1 - rest/denominator ≥ 1/2048 exceeds half a step of 2^-11.
    weight = ((rest << (fraction_bits + 1)) + denominator) // (2 * denominator)
    high = np.minimum(low + 1, size_in - 1)
    return Taps(low, high, weight, fraction_bits, 0.0 if exact else 2.0 ** -(fraction_bits + 1))


def signed_bits(low: int, high: int) -> int:
    """Bits of the smallest two's complement type that holds low ≤ 0 to high ≥ 0."""
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length())
