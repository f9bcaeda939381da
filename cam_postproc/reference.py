"""The heatmap in float64, straight from its definition: what the integer arithmetic is measured against."""

import numpy as np
import numpy.typing as npt

from cam_postproc.spec import CamSpec, Sampling

Float64 = npt.NDArray[np.float64]

_HALF = np.finfo(np.float64).max / 2


def heatmap_float64(spec: CamSpec, maps: npt.NDArray[np.generic]) -> Float64:
    """Min-max to 0 to 255, then bilinear resize: float64 [..., H, W], not rounded.

    Args:
        maps: any real dtype [..., h, w]. A constant map, or one that holds a NaN, gives zeros.
    """
    levels = normalise_float64(maps) * 255.0
    return resize_float64(levels, spec.out_height, spec.out_width, spec.sampling)


def normalise_float64(maps: npt.NDArray[np.generic]) -> Float64:
    """(M - min) / (max - min) of each map [..., h, w]: float64, 0 to 1; a constant, NaN or infinite map gives zeros."""
    values = np.asarray(maps, dtype=np.float64)
    good = np.isfinite(values).all(axis=(-2, -1), keepdims=True)
    values = np.where(good, values, 0.0)
    if np.abs(values).max(initial=0.0) > _HALF:
        values = values / 4.0  # exact; the range of such maps would overflow
    low = values.min(axis=(-2, -1), keepdims=True)
    spread = values.max(axis=(-2, -1), keepdims=True) - low
    return np.asarray((values - low) / np.where(spread > 0, spread, 1.0), dtype=np.float64)


def resize_float64(maps: Float64, height: int, width: int, sampling: Sampling = "half-pixel") -> Float64:
    """Bilinear resize of maps [..., h, w] to [..., height, width]; equals torch's interpolate for "half-pixel"."""
    rows = _weights(maps.shape[-2], height, sampling)
    columns = _weights(maps.shape[-1], width, sampling)
    return np.asarray(rows @ maps @ columns.T, dtype=np.float64)


def _weights(size_in: int, size_out: int, sampling: Sampling) -> Float64:
    """Interpolation matrix [out, in]."""
    index = np.arange(size_out, dtype=np.float64)
    ratio = size_in / size_out
    position = (index + 0.5) * ratio - 0.5 if sampling == "half-pixel" else index * ratio
    position = np.clip(position, 0.0, size_in - 1.0)
    low = np.floor(position).astype(np.int64)
    weights = np.zeros((size_out, size_in))
    picks = np.arange(size_out)
    weights[picks, low] = 1.0 - (position - low)
    weights[picks, np.minimum(low + 1, size_in - 1)] += position - low
    return weights
