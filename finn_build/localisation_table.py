"""Figures from overlaps: one form's row, the baselines that know no image, and how far two forms differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam_postproc.metrics.boxes import (
    IOU,
    BoxIous,
    box_accuracy,
    box_ious,
    box_scores,
    class_in_top,
    localisation_curve,
    threshold_grid,
)
from cam_postproc.metrics.contours import Int64, intersection_over_union
from cam_postproc.metrics.kernel import BoxKernel
from cam_postproc.metrics.maps import PROTOCOL_SIZE, prepare_scores
from cam_postproc.metrics.score import box_report

SAMPLES = 2000
CONFIDENCE = 0.95
BOX_STEP = 2
"""Pixels between the sizes of box that the centre-box baseline tries."""

GAUSSIAN_SIGMA = PROTOCOL_SIZE / 4
"""Any will do: below every threshold the pixels form a disc."""


class ScoreMaps(Sequence[Any]):
    """Heatmaps [N, H, W] as score maps of the protocol, float64 [224, 224], each made when it is asked for."""

    def __init__(self, maps: NDArray[Any]) -> None:
        self._maps = maps

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: Any) -> Any:
        return prepare_scores(self._maps[index])


def overlaps_of(maps: NDArray[Any], boxes: Sequence[Int64], kernel: BoxKernel | None) -> BoxIous:
    """IoU of each heatmap's boxes with its image's, at the protocol's thresholds."""
    return box_ious(ScoreMaps(maps), boxes, threshold_grid(), kernel=kernel)


def row_of(
    executor: str, method: str, ious: BoxIous, logits: NDArray[Any], labels: Int64, chosen_on: BoxIous | None
) -> dict[str, Any]:
    """One form's figures, as fractions.

    Args:
        executor: float, quantised, integer or csim.
        method: of `cam_postproc.methods`.
        ious: of the images that are scored.
        logits: [N, classes].
        labels: int64 [N].
        chosen_on: of other images with boxes, which choose τ of `BoxAcc`; None where there are none.
    """
    tops = {top: class_in_top(logits, labels, top) for top in (1, 5)}
    row = {
        "executor": executor,
        "method": method,
        **box_report(ious),
        "Top1": float(tops[1].mean()),
        "Top5": float(tops[5].mean()),
        "Top1Loc": float(localisation_curve(ious, tops[1]).max()),
        "Top5Loc": float(localisation_curve(ious, tops[5]).max()),
        "threshold": None,
        "BoxAcc": None,
    }
    if chosen_on is not None:
        threshold = box_scores(chosen_on).best_threshold
        row |= {"threshold": threshold, "BoxAcc": box_accuracy(ious, threshold)}
    return row


def centre_box(boxes: Sequence[Int64]) -> dict[str, Any]:
    """The one box in the middle of every image that fits the most annotated ones: what a method has to beat.

    Args:
        boxes: N arrays int64 [B, 4], at 224×224.

    Returns:
        MaxBoxAcc as a fraction, and the box's width and height in pixels.
    """
    sides = np.arange(BOX_STEP, PROTOCOL_SIZE + 1, BOX_STEP)
    width, height = (side.ravel() for side in np.meshgrid(sides, sides))
    low = np.stack([(PROTOCOL_SIZE - width) // 2, (PROTOCOL_SIZE - height) // 2], axis=1)
    candidates = np.concatenate([low, low + np.stack([width, height], axis=1) - 1], axis=1).astype(np.int64)
    hits = np.zeros(len(candidates), np.int64)
    for truth in boxes:
        hits += intersection_over_union(candidates, truth).max(axis=1) >= IOU
    best = int(hits.argmax())
    return {"MaxBoxAcc": float(hits[best] / len(boxes)), "width": int(width[best]), "height": int(height[best])}


def centre_gaussian(boxes: Sequence[Int64], kernel: BoxKernel | None) -> dict[str, Any]:
    """A Gaussian in the middle of every image, scored as any map: Choe et al., CVPR 2020, section 5.1."""
    offset = np.arange(PROTOCOL_SIZE) - (PROTOCOL_SIZE - 1) / 2
    scores = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * GAUSSIAN_SIGMA**2))
    maps = np.broadcast_to(scores, (len(boxes), *scores.shape))
    found = box_scores(overlaps_of(maps, boxes, kernel))
    return {
        "MaxBoxAcc": found.max_box_acc,
        "MaxBoxAccV2": found.max_box_acc_v2,
        "best_threshold": found.best_threshold,
    }


def difference(ours: BoxIous, theirs: BoxIous, seed: int = 0) -> dict[str, Any]:
    """MaxBoxAcc of one form less another's, with a bootstrap interval paired per image.

    Images are drawn with replacement; each draw chooses each form's best threshold anew, as MaxBoxAcc does
    (percentile interval: Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13).

    Args:
        ours, theirs: of the same images.
        seed: of the draws.
    """
    images = len(ours.largest)
    hits = [np.asarray(ious.largest >= IOU, np.float32) for ious in (ours, theirs)]
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), SAMPLES).astype(np.float32)
    best = [(draws @ hit).max(axis=1) / images for hit in hits]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(best[0] - best[1], [tail, 1 - tail])
    exact = [float(hit.mean(axis=0, dtype=np.float64).max()) for hit in hits]
    return {
        "MaxBoxAcc": exact[0] - exact[1],
        "interval": [float(low), float(high)],
        "confidence": CONFIDENCE,
        "samples": SAMPLES,
    }
