"""From any tool's map to a score map: resize, then min-max."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.reference import normalise_float64

PROTOCOL_SIZE = 224  # pixels; the evaluator resizes images, maps and boxes to it

Interpolation = Literal["linear", "cubic"]


def prepare_scores(
    raw: npt.NDArray[np.generic],
    size: int | tuple[int, int] = PROTOCOL_SIZE,
    *,
    interpolation: Interpolation = "linear",
    relu: bool = False,
) -> npt.NDArray[np.float64]:
    """Resize a map, then min-max it to 0 to 1; a constant map, or one with a NaN or infinity, becomes zeros.

    Args:
        raw: any real dtype [h, w].
        size: pixels of the square result, or (height, width).
        interpolation: "linear" is what this project's hardware does, half-pixel centres; "cubic" is the evaluator's own
            choice for the maps that it computes itself.
        relu: clip negative values first, as some tools do.

    Raises:
        CamError: another rank, an empty map, or values that are no real numbers.
    """
    if raw.ndim != 2 or raw.size == 0 or raw.dtype.kind not in "fiub":
        raise CamError("map", "real numbers [height, width]", f"{raw.dtype} {raw.shape}", "pass one map")
    values = raw.astype(np.float64)
    if not np.isfinite(values).all():
        values = np.zeros_like(values)
    if relu:
        values = np.maximum(values, 0.0)
    height, width = (size, size) if isinstance(size, int) else size
    if values.shape != (height, width):
        how = cv2.INTER_LINEAR if interpolation == "linear" else cv2.INTER_CUBIC
        values = np.asarray(cv2.resize(values, (width, height), interpolation=how), dtype=np.float64)
    return normalise_float64(values)
