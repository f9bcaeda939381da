"""MaxBoxAcc, MaxBoxAccV2, box accuracy at a threshold, and Top-1/Top-5 localisation."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.metrics.contours import Float64, Int64, map_ious
from cam_postproc.metrics.kernel import BoxKernel

Bool = npt.NDArray[np.bool_]

IOU = 0.5
IOUS_V2 = (0.3, 0.5, 0.7)
THRESHOLD_STEP = 0.001


def threshold_grid(step: float = THRESHOLD_STEP) -> Float64:
    """0, step, 2·step, … below 1: float64.

    Raises:
        CamError: a step that is not above 0 and at most 1.
    """
    if not 0 < step <= 1:
        raise CamError("threshold step", "a number above 0, at most 1", repr(step), "choose 0.001 or 0.01")
    return np.arange(0, 1, step)


@dataclass(frozen=True)
class BoxIous:
    """How well the boxes of N maps match, at each of T thresholds; every box metric follows from it.

    Args:
        thresholds: float64 [T].
        largest: float64 [N, T], IoU of the largest contour's box with the best annotated one.
        best: float64 [N, T], the best IoU of all contours' boxes with any annotated one.
    """

    thresholds: Float64
    largest: Float64
    best: Float64


@dataclass(frozen=True)
class BoxScores:
    """The table's figures, as fractions.

    Args:
        images: N.
        max_box_acc: share of images with IoU ≥ 0.5 for the largest contour, at the one best threshold.
        max_box_acc_v2: the same for the best of all contours, mean over IoU 0.3, 0.5, 0.7, each at its own best τ.
        best_threshold: τ of max_box_acc, the lowest of equals.
        best_thresholds_v2: τ for each IoU of max_box_acc_v2.
        accuracies_v2: share for each IoU of max_box_acc_v2.
        thresholds: float64 [T].
        curve: float64 [T], share of images with IoU ≥ 0.5 for the largest contour.
    """

    images: int
    max_box_acc: float
    max_box_acc_v2: float
    best_threshold: float
    best_thresholds_v2: tuple[float, ...]
    accuracies_v2: tuple[float, ...]
    thresholds: Float64
    curve: Float64


def box_ious(
    maps: Sequence[npt.NDArray[np.floating]] | npt.NDArray[np.floating],
    truth: Sequence[Int64],
    thresholds: Float64 | None = None,
    *,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
    kernel: BoxKernel | None = None,
) -> BoxIous:
    """IoU of every map at every threshold.

    Args:
        maps: N maps, float [height, width] within 0 to 1; a sequence that loads each on demand will do.
        truth: N arrays int64 [B, 4], annotated boxes at the map's size, B ≥ 1.
        thresholds: float64 [T], 0 to 1; None takes 0 to 1 in steps of 0.001.
        workers: threads.
        progress: called with the number of maps done.
        kernel: compiled, from `kernel.find_kernel`: much faster, same figures; None does it with OpenCV.

    Raises:
        CamError: as many boxes as maps are wanted; a map that is no score map; no map at all.
    """
    if len(maps) != len(truth) or len(maps) == 0:
        raise CamError("score maps", f"{len(truth)}, one for each annotated image", str(len(maps)), "check the folder")
    grid = threshold_grid() if thresholds is None else thresholds
    largest, best = np.empty((len(maps), len(grid))), np.empty((len(maps), len(grid)))

    one = kernel.map_ious if kernel else map_ious

    def work(n: int) -> None:
        largest[n], best[n] = one(maps[n], truth[n], grid)

    with ThreadPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(work, range(len(maps))), start=1):
            if progress:
                progress(done)
    return BoxIous(grid, largest, best)


def box_scores(ious: BoxIous, iou: float = IOU, ious_v2: Iterable[float] = IOUS_V2) -> BoxScores:
    """MaxBoxAcc and MaxBoxAccV2: the best threshold is one for the whole set."""
    curve = box_curve(ious.largest, iou)
    curves = [box_curve(ious.best, value) for value in ious_v2]
    best = int(curve.argmax())
    best_v2 = [int(c.argmax()) for c in curves]
    accuracies = tuple(float(c[i]) for c, i in zip(curves, best_v2, strict=True))
    return BoxScores(
        images=len(ious.largest),
        max_box_acc=float(curve[best]),
        max_box_acc_v2=float(np.mean(accuracies)),
        best_threshold=float(ious.thresholds[best]),
        best_thresholds_v2=tuple(float(ious.thresholds[i]) for i in best_v2),
        accuracies_v2=accuracies,
        thresholds=ious.thresholds,
        curve=curve,
    )


def box_curve(overlaps: Float64, iou: float = IOU) -> Float64:
    """Share of images with IoU ≥ iou at each threshold: float64 [T] from float64 [N, T]."""
    return np.asarray((overlaps >= iou).mean(axis=0), dtype=np.float64)


def box_accuracy(ious: BoxIous, threshold: float, iou: float = IOU) -> float:
    """Share of images with IoU ≥ iou for the largest contour at the grid's threshold nearest to τ.

    For a τ chosen on other images than those that are scored.
    """
    index = int(np.abs(ious.thresholds - threshold).argmin())
    return float(box_curve(ious.largest, iou)[index])


def localisation_curve(ious: BoxIous, class_right: Bool, iou: float = IOU) -> Float64:
    """Top-k localisation at each threshold: class right *and* IoU ≥ iou of the largest contour: float64 [T].

    Args:
        class_right: bool [N], from `class_in_top`.
    """
    if class_right.shape != (len(ious.largest),):
        raise CamError("class results", f"{len(ious.largest)}, one a map", str(class_right.shape), "check the labels")
    return np.asarray(((ious.largest >= iou) & class_right[:, None]).mean(axis=0), dtype=np.float64)


def class_in_top(logits: npt.NDArray[np.generic], labels: Int64, top: int) -> Bool:
    """Whether each label is among its image's `top` highest logits, ties to the lowest class: bool [N].

    Args:
        logits: any real dtype [N, classes].
        labels: int64 [N].
    """
    order = np.argsort(-np.asarray(logits, dtype=np.float64), axis=1, kind="stable")[:, :top]
    return np.asarray((order == labels[:, None]).any(axis=1), dtype=np.bool_)
