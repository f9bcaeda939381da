"""The golden set: real pictures and extremes, and exactly what the accelerator answers to them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam_postproc.arithmetic import run_cam
from cam_postproc.spec import CamSpec

Array = NDArray[Any]


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
        images, tap uint8 NHWC, logits int32, maps int32 [N, classes, h, w], heatmap uint8 [N, H, W], packet uint8 [N, L].
    """
    tap = outputs["tap"].astype(np.uint8)
    result = run_cam(spec, tap, fc_weight, bias)
    return {
        "images": images,
        "tap": tap,
        "logits": outputs["logits"].astype(np.int32),
        "maps": result.maps,
        "heatmap": result.heatmap,
        "packet": result.packet,
    }
