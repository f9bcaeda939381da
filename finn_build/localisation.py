"""Localisation metrics of score maps, with the compiled kernel where there is a C++ compiler."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cam_postproc.metrics.boxes import IOU, THRESHOLD_STEP
from cam_postproc.metrics.kernel import BoxKernel, find_kernel
from cam_postproc.metrics.score import score_folder
from finn_build.environment import default_build_folder


def box_kernel() -> BoxKernel | None:
    """The compiled box kernel, kept below the build folder; None where it cannot be made: OpenCV then does the work."""
    try:
        return find_kernel(default_build_folder() / ".cache" / "metrics")
    except OSError:
        # A read-only checkout: slower, with the same figures.
        return None


def score_maps(
    scoremaps: Path,
    metadata: Path,
    masks: Path | None = None,
    iou: float = IOU,
    step: float = THRESHOLD_STEP,
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, Any]:
    """The evaluator's figures for a folder of maps: see `cam_postproc.metrics.score.score_folder`.

    Args:
        scoremaps: folder of .npy files, named as in image_ids.txt.
        metadata: folder of the metadata files.
        masks: folder of the mask images, if the metadata name masks.
        iou: where a box counts as right, for MaxBoxAcc.
        step: between thresholds.
        progress: told the fraction that is done.

    Raises:
        CamError: files that are missing or malformed; no image at all.
    """
    ids = metadata / "image_ids.txt"
    text = ids.read_text(encoding="utf-8", errors="replace") if ids.is_file() else ""
    images = sum(1 for line in text.splitlines() if line.strip())

    def done(maps: int) -> None:
        progress(maps / max(1, images))

    kernel = box_kernel()
    return score_folder(scoremaps, metadata, masks=masks, iou=iou, threshold_step=step, progress=done, kernel=kernel)
