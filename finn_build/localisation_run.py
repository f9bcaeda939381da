"""`finn-cam evaluate --localisation`: every executor and method on annotated images."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cam_postproc.metrics.boxes import BoxIous
from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.fcam import decoders_of
from finn_build.fcam_maps import FCAM
from finn_build.localisation import box_kernel
from finn_build.localisation_data import Boxed, load_boxed
from finn_build.localisation_maps import FormName, Forms, Heat
from finn_build.localisation_report import digests_of
from finn_build.localisation_sheet import write_sheets
from finn_build.localisation_sources import read_annotations
from finn_build.localisation_table import centre_box, centre_gaussian, difference, overlaps_of, row_of
from models.fcam.checkpoint import decoders_path

COMPARED: tuple[tuple[FormName, FormName], ...] = (
    (("integer", "cam"), ("float", "cam")),
    (("csim", "cam"), ("float", "cam")),
    (("integer", "cam"), ("quantised", "cam")),
    (("quantised", FCAM["skips"]), ("quantised", "cam")),
    (("quantised", FCAM["tap"]), ("quantised", "cam")),
    (("integer", FCAM["tap"]), ("integer", "cam")),
)
"""What is set against what, paired image by image."""


def known_methods(named: Sequence[str]) -> list[str]:
    """The methods that a user names, CAM first and always; `all` is every one.

    Raises:
        UserError: an unknown name.
    """
    from finn_build.cam_methods import ALL_METHODS

    chosen = ["cam"]
    for name in named:
        if name not in (*ALL_METHODS, "fcam", "all"):
            raise UserError("--method", f"one of {', '.join(ALL_METHODS)}, fcam, or all", repr(name), "correct it")
        chosen += ALL_METHODS if name == "all" else [name] if name in ALL_METHODS else []
    return list(dict.fromkeys(chosen))


def find_decoders(config: Config, named: Sequence[str]) -> Path | None:
    """The F-CAM decoders beside a config's checkpoint, which are measured wherever they are; None where there are none.

    Raises:
        UserError: the user names them, and they are not trained yet.
    """
    path = None if config.model.checkpoint is None else decoders_path(config.model.checkpoint)
    if path is not None and path.is_file():
        return path
    return decoders_of(config) if "fcam" in named else None


def load_sets(config: Config, root: Path, metadata: Path | None = None) -> tuple[Boxed, Boxed | None]:
    """The images that are scored, and those that choose a threshold: None where there are no boxes to choose by.

    Args:
        config: whose network sees them.
        root: of the pictures.
        metadata: a folder in the evaluator's format; None finds out what lies in `root`.

    Raises:
        UserError, CamError, ModelError: the data set has no boxes, or is broken.
    """
    scored = load_boxed(config, root, "val", metadata)
    chooses = read_annotations(config, root, "train", metadata).annotations
    return scored, load_boxed(config, root, "train", metadata) if chooses else None


def measure_localisation(
    config: Config,
    folder: Path,
    scored: Boxed,
    chooses: Boxed | None,
    methods: Sequence[str],
    progress: Callable[[float], None],
    decoders: Path | None = None,
) -> dict[str, Any]:
    """Scores every form of a built network on the validation images of a data set with boxes, at 224×224.

    Maps are those of each image's own class, as the protocol has it; whether the class is found is in Top1 and Top5.

    Args:
        config: that was built.
        folder: of its build.
        scored, chooses: from `load_sets`.
        methods: for the float and the quantised network.
        progress: told the fraction that is done.
        decoders: from `find_decoders`.

    Returns:
        As `finn-cam evaluate --localisation --json` prints it; rates are fractions. The pages of heatmaps that it names
        are written into `folder`.

    Raises:
        CheckFailed: the CAM block's logits are not the integer graph's.
    """
    start = time.perf_counter()
    forms = Forms(config, folder, methods, decoders)
    heat = forms.run(scored, lambda done: progress(0.4 * done))
    others = forms.run(chooses, lambda done: progress(0.4 + 0.3 * done)) if chooses is not None else {}
    kernel = box_kernel()

    def overlaps(boxed: Boxed, found: dict[FormName, Heat]) -> dict[FormName, BoxIous]:
        done: dict[FormName, BoxIous] = {}
        for name, answer in found.items():
            twin = next((n for n in done if np.array_equal(found[n].maps, answer.maps)), None)
            done[name] = overlaps_of(answer.maps, boxed.boxes, kernel) if twin is None else done[twin]
        return done

    ious = overlaps(scored, heat)
    progress(0.85)
    chosen_on = overlaps(chooses, others) if chooses is not None else {}
    rows = [
        row_of(
            executor, method, ious[executor, method], answer.logits, scored.labels, chosen_on.get((executor, method))
        )
        for (executor, method), answer in heat.items()
    ]
    progress(0.95)
    images = len(scored) + (0 if chooses is None else len(chooses))
    return {
        "config": config.name,
        "dataset": scored.source,
        "split": "val",
        "images": len(scored),
        "threshold_images": 0 if chooses is None else len(chooses),
        "results": rows,
        "baselines": {
            "centre_box": centre_box(scored.boxes),
            "centre_gaussian": centre_gaussian(scored.boxes, kernel),
        },
        "differences": [
            {
                "of": ours[0],
                "against": theirs[0],
                "method": ours[1],
                "against_method": theirs[1],
                **difference(ious[ours], ious[theirs]),
            }
            for ours, theirs in COMPARED
            if ours in ious and theirs in ious
        ],
        "exact": {"packets": forms.packets_an_image * images, "mismatches": 0},
        "sheets": write_sheets(folder, scored, config.labels, heat, rows),
        "inputs": digests_of(folder),
        "seconds": round(time.perf_counter() - start, 3),
    }
