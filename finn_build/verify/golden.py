"""The golden set: real pictures and extremes, and exactly what the accelerator answers to them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam_postproc.arithmetic import run_cam
from cam_postproc.spec import CamSpec
from finn_build.verify.compare import require_equal, require_within

Array = NDArray[Any]
_REMEDY = "the head is not the one that the integer graph ends with"


def make_golden(
    images: NDArray[np.uint8],
    outputs: Mapping[str, Array],
    spec: CamSpec,
    fc_weight: NDArray[np.int8],
    bias: NDArray[np.int32],
) -> dict[str, Array]:
    """The arrays of `golden.npz`.

    Args:
        images: uint8 NHWC.
        outputs: `tap` (NHWC) and `logits` of the streamlined integer graph.
        spec: of the CAM block.
        fc_weight: int8 [classes, C].
        bias: int32 [classes].

    Returns:
        images, tap uint8 NHWC, logits int32 [N, classes], maps int32 [N, classes, h, w], heatmap uint8 [N, H, W] and
        packet uint8 [N, L], frames counted from 0.

    Raises:
        CheckFailed: the tap does not fit its type, or the graph's logits are not the sums of the class maps.
    """
    require_within("streamline", "tap", outputs["tap"], (0, (1 << spec.tap_bits) - 1), _REMEDY)
    tap = outputs["tap"].astype(np.uint8)
    result = run_cam(spec, tap, fc_weight, bias)
    require_equal("streamline", {"logits": outputs["logits"]}, {"logits": result.logits}, remedy=_REMEDY)
    return {
        "images": images,
        "tap": tap,
        "logits": result.logits,
        "maps": result.maps,
        "heatmap": result.heatmap,
        "packet": result.packet,
    }
