"""The metrics against the field's evaluator itself, figure for figure.

`FINN_CAM_EVALUATOR` names a clone of clovaai/wsolevaluation; its own code reads the same metadata, masks and maps.
"""

import importlib
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from cam_postproc.metrics.kernel import BoxKernel
from cam_postproc.metrics.maps import prepare_scores
from cam_postproc.metrics.score import score_folder

pytestmark = [pytest.mark.verify, pytest.mark.timeout(1800)]

IMAGES, SIZE = 21, 224
IOUS = (30, 50, 70)
Record = Any


class Fields(dict[str, Any]):
    """A dictionary whose entries are attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The evaluator's module. Of what it imports for training a dictionary with attributes is all that it uses here."""
    folder = Path(os.environ.get("FINN_CAM_EVALUATOR", "")).resolve()
    if not (folder / "evaluation.py").is_file():
        pytest.skip("FINN_CAM_EVALUATOR names no clone of clovaai/wsolevaluation")
    monkeypatch.syspath_prepend(str(folder))
    # It was written for a numpy that had this name.
    monkeypatch.setattr(np, "float", float, raising=False)
    munch, vision = ModuleType("munch"), ModuleType("torchvision")
    munch.Munch = Fields  # type: ignore[attr-defined]
    vision.transforms = ModuleType("torchvision.transforms")  # type: ignore[attr-defined]
    for module in (munch, vision, vision.transforms):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("evaluation", "data_loaders", "util", "config"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with warnings.catch_warnings():
        # A docstring of it has a backslash that newer Pythons warn of.
        warnings.simplefilter("ignore")
        return importlib.import_module("evaluation")


def random_map(rng: np.random.Generator, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Smooth, noisy, stepped, two-valued, not reaching 0 and 1, constant: each kind in turn."""
    values = prepare_scores(rng.random((side := int(rng.choice([3, 7, 14, 40])), side)))
    kinds = (
        values,
        values,
        np.round(values * 6) / 6,
        (values > 0.7).astype(np.float64),
        0.2 + 0.5 * values,
        prepare_scores(values + 0.2 * rng.random((SIZE, SIZE))),
        np.full((SIZE, SIZE), float(rng.choice([0.0, 0.3, 1.0]))),
    )
    return np.asarray(kinds[number % len(kinds)], np.float64)


def write_set(folder: Path, lines: dict[str, list[str]]) -> tuple[Path, Path]:
    """Metadata and maps of the images that `lines` annotates."""
    metadata, maps = folder / "metadata", folder / "maps"
    metadata.mkdir()
    sizes = {name: (int(w), int(h)) for name, w, h in (line.split(",") for line in lines["image_sizes"])}
    files = {**lines, "image_ids": list(sizes), "class_labels": [f"{name},0" for name in sizes]}
    for name, text in files.items():
        (metadata / f"{name}.txt").write_text("\n".join(text) + "\n")
    rng = np.random.default_rng(1)
    for number, name in enumerate(sizes):
        path = maps / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, random_map(rng, number))
    return metadata, maps


def test_boxes_are_scored_as_the_evaluator_does(evaluator: ModuleType, tmp_path: Path, bar: Record) -> None:
    rng = np.random.default_rng(0)
    lines: dict[str, list[str]] = {"image_sizes": [], "localization": []}
    for number in range(IMAGES):
        name, (width, height) = f"{number % 5}/{number}.JPEG", rng.integers(40, 600, 2)
        lines["image_sizes"].append(f"{name},{width},{height}")
        for _ in range(rng.integers(1, 4)):
            x, y = np.sort(rng.integers(0, width, 2)), np.sort(rng.integers(0, height, 2))
            lines["localization"].append(f"{name},{x[0]},{y[0]},{x[1]},{y[1]}")
    metadata, maps = write_set(tmp_path, lines)

    def theirs(several: bool) -> dict[int, Any]:
        scored = evaluator.BoxEvaluator(
            metadata=evaluator.configure_metadata(str(metadata)),
            dataset_name="ILSVRC",
            split="test",
            cam_threshold_list=list(np.arange(0, 1, 0.001)),
            iou_threshold_list=list(IOUS),
            mask_root="",
            multi_contour_eval=several,
        )
        for name in scored.image_ids:
            scored.accumulate(np.load(maps / f"{name}.npy"), name)
        assert scored.cnt == IMAGES
        return {iou: scored.num_correct[iou] / IMAGES for iou in IOUS}

    kernel = BoxKernel(tmp_path / "kernel")
    ours = [score_folder(maps, metadata, iou=iou / 100, kernel=kernel) for iou in IOUS]
    for one, iou in zip(ours, IOUS, strict=True):
        assert 0 < one["MaxBoxAcc"] < 1, f"IoU {iou}: the images tell nothing"
    curves = theirs(False)
    wrong = sum(
        int((np.array(one["curve"]["accuracy"]) != curves[iou]).sum()) for one, iou in zip(ours, IOUS, strict=True)
    )
    bar(f"MaxBoxAcc of {IMAGES} random maps: thresholds that differ from the evaluator's", wrong, "==", 0)
    several = theirs(True)
    wrong = sum(bool(ours[1]["ious"][f"{iou / 100:g}"] != several[iou].max()) for iou in IOUS)
    bar(f"MaxBoxAccV2 of {IMAGES} random maps: rates that differ from the evaluator's", wrong, "==", 0)


def test_masks_are_scored_as_the_evaluator_does(evaluator: ModuleType, tmp_path: Path, bar: Record) -> None:
    rng = np.random.default_rng(0)
    lines: dict[str, list[str]] = {"image_sizes": [], "localization": []}
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(IMAGES):
        name = f"{number}.jpg"
        width, height = (int(side) for side in rng.integers(40, 400, 2))
        lines["image_sizes"].append(f"{name},{width},{height}")
        blobs = [cv2.resize(rng.random((5, 5)), (width, height)) > limit for limit in (0.7, 0.8, 0.6)]
        for kind, blob in enumerate(blobs):
            cv2.imwrite(str(masks / f"{number}-{kind}.png"), 255 * blob.astype(np.uint8))
        # An image's first line names the region that is not counted.
        lines["localization"] += [f"{name},{number}-0.png,{number}-2.png", f"{name},{number}-1.png,"]
    metadata, maps = write_set(tmp_path, lines)
    scored = evaluator.MaskEvaluator(
        metadata=evaluator.configure_metadata(str(metadata)),
        dataset_name="OpenImages",
        split="test",
        cam_threshold_list=list(np.arange(0, 1, 0.001)),
        iou_threshold_list=list(IOUS),
        mask_root=str(masks),
        multi_contour_eval=False,
    )
    for line in lines["image_sizes"]:
        name = line.partition(",")[0]
        scored.accumulate(np.load(maps / f"{name}.npy"), name)
    with np.errstate(invalid="ignore"):
        # Its last bin, above every score, is empty: 0/0, which it then leaves out.
        theirs = float(scored.compute()) / 100
    ours = score_folder(maps, metadata, masks=masks)["PxAP"]
    # The same sums of the same counts, in another order.
    bar(f"PxAP of {IMAGES} random maps and masks, less the evaluator's", abs(theirs - ours), "<=", 1e-12)
