"""Boxes that a score map gives at many thresholds, and how well they match the annotated ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

NO_BOX = (0, 0, 0, 0)  # what the protocol takes where nothing lies above the threshold
_NO_CONTOUR = np.zeros((1, 1, 2), dtype=np.int32)


def quantise_scores(score_map: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """floor(255·score) of a map [height, width] within 0 to 1, in float64: uint8.

    Raises:
        CamError: another rank or dtype, an empty map, NaN, or values outside 0 to 1.
    """
    check_scores(score_map)
    return (score_map.astype(np.float64) * 255).astype(np.uint8)


def check_scores(score_map: npt.NDArray[np.floating]) -> None:
    """Refuse what is no score map: float [height, width] within 0 to 1.

    Raises:
        CamError: another rank or dtype, an empty map, NaN, or values outside 0 to 1.
    """
    remedy = "normalise the map first, with metrics.maps.prepare_scores"
    if (
        not isinstance(score_map, np.ndarray)
        or score_map.dtype.kind != "f"
        or score_map.ndim != 2
        or not score_map.size
    ):
        got = f"{getattr(score_map, 'dtype', type(score_map).__name__)} {getattr(score_map, 'shape', '')}"
        raise CamError("score map", "floats [height, width]", got.strip(), remedy)
    low, high = float(score_map.min()), float(score_map.max())
    if not (low >= 0 and high <= 1):
        raise CamError("score map", "scores from 0 to 1", f"{low:g} to {high:g}", remedy)


def threshold_levels(thresholds: Float64, peak: int) -> Int64:
    """int(τ·max) for each threshold τ: the level that a pixel has to exceed."""
    return (thresholds * peak).astype(np.int64)


@dataclass(frozen=True)
class LevelBoxes:
    """Boxes of one map's contours, holes' contours among them, at several levels.

    Args:
        boxes: int64 [M, 4], x0, y0, x1, y1, level after level. x1 and y1 are one pixel beyond the contour, but inside
            the image: the evaluator's convention. A level without any contour has one box of zeros.
        starts: int64 [levels], each level's first box; every level has at least one.
        largest: int64 [levels], the box whose contour has the largest area, the first among equals.
    """

    boxes: Int64
    starts: Int64
    largest: Int64


def contour_boxes(scores: npt.NDArray[np.uint8], levels: Sequence[int]) -> LevelBoxes:
    """Contours of the pixels strictly above each level, and their boxes.

    OpenCV finds the contours; boxes and areas (the shoelace formula, as cv2.contourArea) of all of them are then
    computed at once, because a call for each would take most of the time.

    Args:
        scores: uint8 [height, width].
        levels: at least one, 0 to 255.
    """
    height, width = scores.shape
    contours: list[npt.NDArray[np.generic]] = []
    starts = []
    for level in levels:
        mask = cv2.threshold(scores, level, 255, cv2.THRESH_BINARY)[1]
        found = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        starts.append(len(contours))
        contours.extend(found if found else [_NO_CONTOUR])
    lengths = np.array([len(contour) for contour in contours])
    first = np.cumsum(lengths) - lengths
    points = np.concatenate(contours)[:, 0].astype(np.int64)
    previous = np.arange(-1, len(points) - 1)
    previous[first] += lengths
    cross = points[previous, 0] * points[:, 1] - points[previous, 1] * points[:, 0]
    areas = np.abs(np.add.reduceat(cross, first))
    corner = np.minimum(np.maximum.reduceat(points, first) + 1, (width - 1, height - 1))
    boxes = np.concatenate([np.minimum.reduceat(points, first), corner], axis=1)
    empty = np.array([contour is _NO_CONTOUR for contour in contours])
    boxes[empty] = NO_BOX
    begin = np.array(starts, dtype=np.int64)
    count = np.diff(begin, append=len(contours))
    peak = np.flatnonzero(areas == np.repeat(np.maximum.reduceat(areas, begin), count))
    return LevelBoxes(boxes, begin, peak[np.searchsorted(peak, begin)])


def intersection_over_union(boxes_a: Int64, boxes_b: Int64) -> Float64:
    """IoU of every pair of boxes, both corners included: float64 [A, B] from [A, 4] and [B, 4].

    Raises:
        CamError: a box of negative coordinates or whose corners are the wrong way round.
    """
    check_truth(boxes_a)
    check_truth(boxes_b)
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    common = np.maximum(0, high - low + 1).prod(axis=2)
    area_a = (boxes_a[:, 2:] - boxes_a[:, :2] + 1).prod(axis=1)
    area_b = (boxes_b[:, 2:] - boxes_b[:, :2] + 1).prod(axis=1)
    return np.asarray(common / (area_a[:, None] + area_b[None, :] - common), dtype=np.float64)


def check_truth(boxes: Int64) -> None:
    """Refuse what are no boxes.

    Raises:
        CamError: not rows of four, none at all, a negative coordinate, or corners the wrong way round.
    """
    if (
        boxes.ndim != 2
        or boxes.shape[1] != 4
        or not len(boxes)
        or (boxes < 0).any()
        or (boxes[:, 2:] < boxes[:, :2]).any()
    ):
        raise CamError("boxes", "rows x0, y0, x1, y1 ≥ 0, x0 ≤ x1, y0 ≤ y1", str(boxes.tolist())[:80], "check them")


def map_ious(score_map: npt.NDArray[np.floating], truth: Int64, thresholds: Float64) -> tuple[Float64, Float64]:
    """Best IoU of one map with any annotated box at each threshold τ.

    Only the levels that differ are looked at: at most 255, however many thresholds there are.

    Args:
        score_map: float [height, width] within 0 to 1.
        truth: int64 [B, 4], annotated boxes at the map's size.
        thresholds: float64 [T], 0 to 1.

    Returns:
        float64 [T] of the largest contour's box, and float64 [T] of the best of all contours' boxes.
    """
    levels = quantise_scores(score_map)
    wanted = threshold_levels(thresholds, int(levels.max()))
    distinct, index = np.unique(wanted, return_inverse=True)
    found = contour_boxes(levels, distinct.tolist())
    overlap = intersection_over_union(found.boxes, truth).max(axis=1)
    return overlap[found.largest][index], np.maximum.reduceat(overlap, found.starts)[index]


def resize_box(box: Sequence[int], size_from: tuple[int, int], size_to: tuple[int, int]) -> tuple[int, int, int, int]:
    """An annotated box at another image size, as the evaluator does: scaled, then truncated; sizes (width, height)."""
    x0, y0, x1, y1 = (float(value) for value in box)
    (w, h), (W, H) = size_from, size_to
    return int(x0 * W / w), int(y0 * H / h), int(x1 * W / w), int(y1 * H / h)
