"""The integer specification of the CAM block: what the C++, the RTL and the emulated board must equal bit for bit.

For one frame, tap f UINT<b> [h, w, C], weights w INT<wb> [K, C], bias B [K]:

1. Maps (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, eq. 2):
   M_c(x, y) = Σ_k w[c, k]·f_k(x, y), exact.
2. Logits: S_c = Σ_xy M_c(x, y) + B_c (sum pooling: the 1/N is in the scale), saturated to int32. Saturation needs a tap
   and weights near their limits all over a large map; the sums of any head with `CamSpec.logit_sum_bits` ≤ 32 never do.
   All that follows is decided on the int32 logits as sent, so a host can repeat each decision from the packet.
3. Class: argmax_c S_c, ties to the lowest index. Shown class: the one that the host selects, or else the class.
   Further shown classes: the others by falling logit, ties to the lowest index.
4. Normalise each shown map to levels of 1/2^G: lo = min M, R = max M - lo. With lz the shift that brings R's leading
   one to bit range_bits - 1, R' = R·2^lz and v' = (M - lo)·2^lz:
   Q = floor(255·2^(G + RS) / R'), q = floor(v'·Q / 2^RS + 1/2), RS = range_bits + 5. A constant map (R = 0) or a gated
   frame gives q = 0.
5. Resize q bilinearly to [H, W], positions and weights from `spec.sampling_taps`, Fy and Fx fraction bits:
   heat = floor(Σ q·weights / 2^(G + Fy + Fx) + 1/2), uint8.
6. Peak: [x, y] of the first maximum of the first heatmap, in row-major order.
7. Gate: the frame is gated where the shown class's logit < gate.

Error of the heatmap against real arithmetic, in levels. Q is short of 255·2^(G + RS)/R' by less than 1, and
v' < 2^range_bits, so v'·Q/2^RS is short by less than 2^-5 of a step; rounding adds half a step: (1/2 + 2^-5)/2^G.
Interpolation is a convex combination and adds nothing to it. A position off by d moves a value by at most 255·d; along
each axis d ≤ 2^-(F + 1), or 0 where positions are exact. The last rounding adds 1/2. The sum is
`CamSpec.heatmap_error_bound`: 0.503 where positions are exact, 0.627 with F = 11 on both axes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cam_postproc.checks import want_array, want_class, want_gate
from cam_postproc.hostside import Packets, UInt8, encode_packets, shown_classes
from cam_postproc.spec import NO_GATE, CamSpec

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_CHUNK_VALUES = 1 << 24  # map values computed at a time: bounds memory at about 400 MB


@dataclass(frozen=True)
class CamResult:
    """What the block computes for N frames.

    Args:
        maps: int32 [N, K, h, w].
        logits: int32 [N, K].
        class_index: int64 [N], argmax.
        shown_classes: int64 [N, shown].
        heatmap: uint8 [N, H, W], of the first shown class; zero in a gated frame.
        heatmaps: uint8 [N, shown, H, W].
        peak: int64 [N, 2], [x, y].
        gated: bool [N].
        constant: bool [N], the first shown map is constant.
        packet: uint8 [N, L].
    """

    maps: Int32
    logits: Int32
    class_index: Int64
    shown_classes: Int64
    heatmap: UInt8
    heatmaps: UInt8
    peak: Int64
    gated: npt.NDArray[np.bool_]
    constant: npt.NDArray[np.bool_]
    packet: UInt8


def check_head(spec: CamSpec, fc_weight: npt.NDArray[np.int8], bias: Int32 | None) -> Int32:
    """Check weights and bias against the specification; returns the bias, zeros where there is none.

    Args:
        fc_weight: INT<weight_bits> as int8 [K, C].
        bias: INT<bias_bits> as int32 [K], or None.

    Raises:
        CamError: another dtype or shape, or a value outside its type.
    """
    half = 1 << (spec.weight_bits - 1)
    want_array("FC weights", fc_weight, np.int8, (spec.classes, spec.channels), -half, half - 1)
    if bias is None:
        return np.zeros(spec.classes, dtype=np.int32)
    high = (1 << (spec.bias_bits - 1)) - 1 if spec.bias_bits else 0
    want_array("FC bias", bias, np.int32, (spec.classes,), -high - 1 if spec.bias_bits else 0, high)
    return bias


def check_tap(spec: CamSpec, tap: UInt8) -> None:
    """Check a batch of taps, uint8 [N, h, w, C], against the specification.

    Raises:
        CamError: another dtype or shape, or a value of 2**tap_bits or more.
    """
    shape = (-1, spec.map_height, spec.map_width, spec.channels)
    want_array("tap", tap, np.uint8, shape, 0, (1 << spec.tap_bits) - 1)


def class_maps(spec: CamSpec, tap: UInt8, fc_weight: npt.NDArray[np.int8]) -> Int32:
    """M_c(x, y) = Σ_k w[c, k]·f_k(x, y): int32 [N, K, h, w] from uint8 [N, h, w, C] and int8 [K, C]."""
    check_tap(spec, tap)
    check_head(spec, fc_weight, None)
    frames = len(tap)
    out = np.empty((frames, spec.classes, spec.pixels), dtype=np.int32)
    weight = fc_weight.astype(np.float64)
    step = max(1, _CHUNK_VALUES // (spec.pixels * max(spec.classes, spec.channels)))
    for start in range(0, frames, step):
        part = tap[start : start + step].reshape(-1, spec.pixels, spec.channels)
        # Integers below 2^31: float64 products and sums are exact, and BLAS is far faster than integer matmul.
        out[start : start + step] = weight @ part.transpose(0, 2, 1).astype(np.float64)
    return out.reshape(frames, spec.classes, spec.map_height, spec.map_width)


def map_logits(spec: CamSpec, maps: Int32, bias: Int32 | None = None) -> Int32:
    """Σ_xy M_c(x, y) + B_c, saturated to int32: int32 [N, K]."""
    want_array("maps", maps, np.int32, (-1, spec.classes, spec.map_height, spec.map_width), *spec.map_limits)
    total = maps.sum(axis=(2, 3), dtype=np.int64)
    if bias is not None:
        total = total + bias.astype(np.int64)
    limits = np.iinfo(np.int32)
    return np.asarray(np.clip(total, limits.min, limits.max), dtype=np.int32)


def normalise_maps(spec: CamSpec, maps: Int32) -> Int64:
    """Min-max of each map to 0 to 255·2^G: int64 [..., h, w]; a constant map gives zeros."""
    want_array(
        "maps", maps.reshape(-1, *maps.shape[-2:]), np.int32, (-1, spec.map_height, spec.map_width), *spec.map_limits
    )
    values = maps.astype(np.int64)
    low: Int64 = values.min(axis=(-2, -1), keepdims=True)
    spread: Int64 = values.max(axis=(-2, -1), keepdims=True) - low
    shift = spec.range_bits - _bit_length(spread)
    divisor = np.where(spread == 0, 1, spread << shift)
    dividend = np.int64(255 << (spec.guard_bits + spec.reciprocal_shift))
    reciprocal: Int64 = np.where(spread == 0, 0, dividend // divisor)
    half = np.int64(1 << (spec.reciprocal_shift - 1))
    product: Int64 = ((values - low) << shift) * reciprocal + half
    return product >> np.int64(spec.reciprocal_shift)


def resize_levels(spec: CamSpec, levels: Int64) -> UInt8:
    """Bilinear resize of normalised maps [..., h, w], 0 to 255·2^G, to uint8 [..., H, W]."""
    rows, columns = spec.rows, spec.columns
    top, bottom = levels[..., rows.low, :], levels[..., rows.high, :]
    tall: Int64 = (top << rows.fraction_bits) + (bottom - top) * rows.weight[:, None]
    left, right = tall[..., columns.low], tall[..., columns.high]
    total = (left << columns.fraction_bits) + (right - left) * columns.weight
    shift = spec.guard_bits + rows.fraction_bits + columns.fraction_bits
    return np.asarray((total + (1 << (shift - 1))) >> shift, dtype=np.uint8)


def heatmaps(spec: CamSpec, maps: Int32) -> UInt8:
    """Normalise, then resize: uint8 [..., H, W] from int32 [..., h, w]."""
    flat = maps.reshape(-1, spec.map_height, spec.map_width)
    out = np.empty((len(flat), spec.out_height, spec.out_width), dtype=np.uint8)
    step = max(1, _CHUNK_VALUES // 4 // (spec.out_height * spec.out_width))
    for start in range(0, len(flat), step):
        out[start : start + step] = resize_levels(spec, normalise_maps(spec, flat[start : start + step]))
    return out.reshape(*maps.shape[:-2], spec.out_height, spec.out_width)


def first_peak(heat: UInt8) -> Int64:
    """[x, y] of the first maximum in row-major order: int64 [..., 2] from uint8 [..., H, W]."""
    flat = heat.reshape(*heat.shape[:-2], -1).argmax(axis=-1)
    return np.stack([flat % heat.shape[-1], flat // heat.shape[-1]], axis=-1).astype(np.int64)


def run_cam(
    spec: CamSpec,
    tap: UInt8,
    fc_weight: npt.NDArray[np.int8],
    bias: Int32 | None = None,
    *,
    select: int | None = None,
    gate: int = NO_GATE,
    first_frame: int = 0,
) -> CamResult:
    """The whole block on N frames.

    Args:
        tap: UINT<tap_bits> as uint8 [N, h, w, C].
        fc_weight: INT<weight_bits> as int8 [K, C].
        bias: INT<bias_bits> as int32 [K], or None.
        select: class to show, or None for the argmax.
        gate: int32; frames whose shown class's logit is lower are gated.
        first_frame: frame counter of the first frame; it wraps at 2^32.

    Raises:
        CamError: an array, class or gate that does not fit the specification.
    """
    bias = check_head(spec, fc_weight, bias)
    want_class(spec, select)
    want_gate(gate)
    maps = class_maps(spec, tap, fc_weight)
    logits = map_logits(spec, maps, bias)
    shown = shown_classes(logits, spec.shown, select)
    frames = np.arange(len(tap))
    chosen = maps[frames[:, None], shown]
    gated = logits[frames, shown[:, 0]] < gate
    constant = chosen[:, 0].min(axis=(1, 2)) == chosen[:, 0].max(axis=(1, 2))
    heat = heatmaps(spec, chosen)
    heat[gated] = 0
    result = Packets(
        class_index=logits.argmax(axis=1).astype(np.uint16),
        shown_class=shown[:, 0].astype(np.uint16),
        peak=first_peak(heat[:, 0]).astype(np.uint16),
        gated=gated,
        constant=constant,
        frame=((frames + first_frame) & 0xFFFFFFFF).astype(np.uint32),
        logits=logits,
        maps=heat,
    )
    return CamResult(
        maps=maps,
        logits=logits,
        class_index=result.class_index.astype(np.int64),
        shown_classes=shown,
        heatmap=heat[:, 0],
        heatmaps=heat,
        peak=result.peak.astype(np.int64),
        gated=gated,
        constant=constant,
        packet=encode_packets(spec.layout, result),
    )


def _bit_length(values: Int64) -> Int64:
    """Bits of each non-negative integer below 2^53."""
    return np.asarray(np.frexp(values.astype(np.float64))[1], dtype=np.int64)
