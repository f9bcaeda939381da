"""`finn-cam evaluate --localisation`: every executor and method on annotated images."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cam_postproc.metrics.annotations import read_tiny_imagenet
from cam_postproc.metrics.boxes import BoxIous
from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.localisation import box_kernel
from finn_build.localisation_data import Boxed, load_boxed
from finn_build.localisation_maps import FormName, Forms, Heat
from finn_build.localisation_table import centre_box, centre_gaussian, difference, overlaps_of, row_of

COMPARED = (("integer", "float"), ("csim", "float"), ("integer", "quantised"))


def known_methods(named: Sequence[str]) -> list[str]:
    """The methods that a user names, CAM first and always; `all` is every one.

    Raises:
        UserError: an unknown name.
    """
    from cam_postproc.methods import METHODS

    chosen = ["cam"]
    for name in named:
        if name not in (*METHODS, "all"):
            raise UserError("--method", f"one of {', '.join(METHODS)}, or all", repr(name), "correct it")
        chosen += METHODS if name == "all" else [name]
    return list(dict.fromkeys(chosen))


def load_sets(config: Config, root: Path) -> tuple[Boxed, Boxed | None]:
    """The images that are scored, and those that choose a threshold: None where the data set has no training boxes.

    Raises:
        UserError, CamError, ModelError: the data set has no boxes, or is broken.
    """
    scored = load_boxed(config, root, "val")
    return scored, load_boxed(config, root, "train") if _has_train_boxes(root) else None


def measure_localisation(
    config: Config,
    folder: Path,
    scored: Boxed,
    chooses: Boxed | None,
    methods: Sequence[str],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Scores every form of a built network on the validation images of a data set with boxes, at 224×224.

    Maps are those of each image's own class, as the protocol has it; whether the class is found is in Top1 and Top5.

    Args:
        config: that was built.
        folder: of its build.
        scored, chooses: from `load_sets`.
        methods: for the float and the quantised network.
        progress: told the fraction that is done.

    Returns:
        As `finn-cam evaluate --localisation --json` prints it; rates are fractions.

    Raises:
        CheckFailed: the CAM block's logits are not the integer graph's.
    """
    start = time.perf_counter()
    forms = Forms(config, folder, methods)
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
    return {
        "config": config.name,
        "dataset": config.data.dataset,
        "split": "val",
        "images": len(scored),
        "threshold_images": 0 if chooses is None else len(chooses),
        "results": rows,
        "baselines": {
            "centre_box": centre_box(scored.boxes),
            "centre_gaussian": centre_gaussian(scored.boxes, kernel),
        },
        "differences": [
            {"of": ours, "against": theirs, "method": "cam", **difference(ious[ours, "cam"], ious[theirs, "cam"])}
            for ours, theirs in COMPARED
            if (theirs, "cam") in ious
        ],
        "exact": {"packets": 2 * (len(scored) + (0 if chooses is None else len(chooses))), "mismatches": 0},
        "seconds": round(time.perf_counter() - start, 3),
    }


def _has_train_boxes(root: Path) -> bool:
    """A copy of the data set may come without its training images."""
    return (root / "train").is_dir() and bool(read_tiny_imagenet(root, "train"))
