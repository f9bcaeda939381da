"""PxAP: the area under pixel precision and recall, over all images and thresholds."""

import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.metrics.boxes import threshold_grid
from cam_postproc.metrics.contours import Float64, check_scores

IGNORE = 255


class PixelScores:
    """Histograms of scores of foreground and background pixels, filled image by image.

    A pixel counts as found at threshold τ where its score is ≥ τ. Bins are [τ_i, τ_i+1), [τ_last, 1), [1, 2).

    Args:
        thresholds: float64 [T], rising from 0, below 1; None takes 0 to 1 in steps of 0.001.
    """

    def __init__(self, thresholds: Float64 | None = None) -> None:
        self.thresholds = threshold_grid() if thresholds is None else thresholds
        self._edges = np.append(self.thresholds, 1.0)
        self._foreground = np.zeros(len(self._edges), dtype=np.int64)
        self._background = np.zeros(len(self._edges), dtype=np.int64)
        self.images = 0

    def add(self, score_map: npt.NDArray[np.floating], mask: npt.NDArray[np.uint8]) -> None:
        """Count one image.

        Args:
            score_map: float [height, width] within 0 to 1.
            mask: uint8 [height, width]: 1 foreground, 0 background, 255 not counted.

        Raises:
            CamError: a map that is no score map, or a mask of another size or with other values.
        """
        check_scores(score_map)
        if mask.shape != score_map.shape or not np.isin(mask, (0, 1, IGNORE)).all():
            raise CamError("mask", f"0, 1 or 255, {score_map.shape}", f"{mask.dtype} {mask.shape}", "resize the mask")
        bins = np.searchsorted(self._edges, score_map.astype(np.float64), side="right") - 1
        self._foreground += np.bincount(bins[mask == 1], minlength=len(self._edges))
        self._background += np.bincount(bins[mask == 0], minlength=len(self._edges))
        self.images += 1

    def curve(self) -> tuple[Float64, Float64]:
        """Precision and recall at thresholds falling from 1: float64 [T + 1]; precision is 0 where nothing is found.

        Raises:
            CamError: there is no foreground pixel.
        """
        found = self._foreground[::-1].cumsum()
        wrong = self._background[::-1].cumsum()
        if found[-1] == 0:
            raise CamError("masks", "some foreground", "none", "check the masks")
        return found / np.maximum(found + wrong, 1), found / found[-1]

    def average_precision(self) -> float:
        """PxAP, Σ precision·Δrecall from the strictest threshold on, as a fraction.

        The evaluator has one more empty bin above [1, 2), so its sum starts from recall 0: so does this one.
        """
        precision, recall = self.curve()
        return float((precision * np.diff(recall, prepend=0.0)).sum())


def merge_masks(instances: npt.NDArray[np.bool_], ignore: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """The mask of one image: 1 where any instance is, 255 in the ignored region outside of them, 0 elsewhere.

    Args:
        instances: bool [M, height, width].
        ignore: bool [height, width].
    """
    foreground = instances.any(axis=0)
    return np.where(foreground, 1, np.where(ignore, IGNORE, 0)).astype(np.uint8)
