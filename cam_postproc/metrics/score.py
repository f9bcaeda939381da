"""Scores a folder of score maps, made by any tool, against a folder of metadata."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.metrics.annotations import Annotation, read_mask, read_wsol_metadata, safe_path
from cam_postproc.metrics.boxes import IOU, IOUS_V2, THRESHOLD_STEP, BoxIous, box_ious, box_scores, threshold_grid
from cam_postproc.metrics.contours import Float64
from cam_postproc.metrics.kernel import BoxKernel
from cam_postproc.metrics.maps import PROTOCOL_SIZE, prepare_scores
from cam_postproc.metrics.pixels import PixelScores

_NPY = b"\x93NUMPY"
_OTHERS = ((b"PK", "a zip archive, as .npz files are"), (b"\x1f\x8b", "a gzip file"), (b"\x80", "a pickle"))
"""How files begin."""


@dataclass(frozen=True)
class ScoreFolder(Sequence[Float64]):
    """Score maps <folder>/<image id>.npy (or with the image's suffix replaced), each loaded when asked for.

    A map of the protocol's size within 0 to 1 is taken as it is, so that a constant one above 0 is a box around the
    whole image, as the evaluator has it; any other is resized and min-maxed first, and a constant one finds nothing.

    Args:
        folder: of the maps.
        image_ids: as in image_ids.txt.
        size: pixels of the square that maps are compared at.
    """

    folder: Path
    image_ids: tuple[str, ...]
    size: int = PROTOCOL_SIZE

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: Any) -> Any:
        return read_score_map(self.folder, self.image_ids[index], self.size)


def read_score_map(folder: Path, image_id: str, size: int = PROTOCOL_SIZE) -> Float64:
    """One score map: float64 [size, size] within 0 to 1.

    Raises:
        CamError: no file of that name, one that is no plain .npy array, or an array that is no map.
    """
    names = [f"{image_id}.npy"]
    if Path(image_id).name not in ("", ".."):  # these have no suffix to replace
        names.append(str(Path(image_id).with_suffix(".npy")))
    path = next((p for p in (safe_path(folder, name) for name in names) if p.is_file()), None)
    if path is None:
        raise CamError(str(folder), f"{names[0]}", "none", "make a score map for each line of image_ids.txt")
    raw = _load(path)
    if raw.ndim != 2 or raw.size == 0 or raw.dtype.kind not in "fiub":
        raise CamError(str(path), "numbers [height, width]", f"{raw.dtype} {raw.shape}", "save one map a file")
    values = raw.astype(np.float64)
    if values.shape == (size, size) and values.min() >= 0 and values.max() <= 1:
        return values
    return prepare_scores(values, size)


def _load(path: Path) -> npt.NDArray[np.generic]:
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
            file.seek(0)
            if start != _NPY:
                # numpy would take it for a pickle, and advise loading it unsafely.
                found = (
                    "an empty file"
                    if not start
                    else next((n for b, n in _OTHERS if start.startswith(b)), "another file")
                )
                raise CamError(str(path), "an .npy array of numbers", found, "write it with numpy.save")
            raw: npt.NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
            return raw
    except CamError:
        raise
    except Exception as error:
        # Damaged files make numpy raise almost anything: of the tokeniser, of the memory.
        found = " ".join(str(error).split()) or type(error).__name__
        raise CamError(str(path), "an .npy array of numbers", found, "write it with numpy.save") from None


def score_folder(
    scoremaps: Path,
    metadata: Path,
    *,
    masks: Path | None = None,
    iou: float = IOU,
    threshold_step: float = THRESHOLD_STEP,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
    kernel: BoxKernel | None = None,
) -> dict[str, Any]:
    """The evaluator's figures for a folder of maps; rates are fractions.

    Args:
        scoremaps: folder of .npy files.
        metadata: folder of the metadata files.
        masks: folder of the mask images, if the metadata name masks.
        iou: for MaxBoxAcc.
        threshold_step: between thresholds.
        workers: threads.
        progress: called with the number of maps done.
        kernel: from `kernel.find_kernel`, for boxes: much faster, same figures.

    Returns:
        For boxes {images, MaxBoxAcc, MaxBoxAccV2, best_threshold, curve {threshold, accuracy}, ious {…}}; for masks
        {images, PxAP, curve {precision, recall}}.

    Raises:
        CamError: files that are missing or malformed; no image at all.
    """
    annotations = read_wsol_metadata(metadata, labels_needed=False)
    if not annotations:
        raise CamError(str(metadata / "image_ids.txt"), "at least one image", "none", "check the metadata's folder")
    maps = ScoreFolder(scoremaps, tuple(a.image_id for a in annotations))
    if annotations[0].masks:
        return _score_masks(maps, annotations, masks, threshold_step, progress)
    truth = [annotation.boxes_at() for annotation in annotations]
    grid = threshold_grid(threshold_step)
    ious = box_ious(maps, truth, grid, workers=workers, progress=progress, kernel=kernel)
    return box_report(ious, iou)


def box_report(ious: BoxIous, iou: float = IOU) -> dict[str, Any]:
    """Box metrics as plain numbers and lists, for JSON."""
    scores = box_scores(ious, iou)
    return {
        "images": scores.images,
        "MaxBoxAcc": scores.max_box_acc,
        "MaxBoxAccV2": scores.max_box_acc_v2,
        "best_threshold": scores.best_threshold,
        "curve": {"threshold": scores.thresholds.tolist(), "accuracy": scores.curve.tolist()},
        "ious": {f"{value:g}": accuracy for value, accuracy in zip(IOUS_V2, scores.accuracies_v2, strict=True)},
    }


def _score_masks(
    maps: ScoreFolder,
    annotations: Sequence[Annotation],
    folder: Path | None,
    step: float,
    progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    if folder is None:
        raise CamError("masks", "the folder of the mask images", "none", "name it: the metadata's boxes are masks")
    scores = PixelScores(threshold_grid(step))
    for n, annotation in enumerate(annotations):
        scores.add(maps[n], read_mask(folder, annotation))
        if progress:
            progress(n + 1)
    precision, recall = scores.curve()
    return {
        "images": scores.images,
        "PxAP": scores.average_precision(),
        "curve": {"precision": precision.tolist(), "recall": recall.tolist()},
    }
