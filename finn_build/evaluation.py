"""What `finn-cam evaluate` found, in the report: shown only while it tells of the build that lies beside it."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finn_build.accuracy import Measured
from finn_build.localisation_report import MEASURED_ON, digests_of
from finn_build.report.classes import MOST_KEPT
from finn_build.report.refresh import refresh
from finn_build.report.schema import Accuracy

EVALUATION = "evaluation.json"


def facts_of(found: Measured, dataset: Path) -> dict[str, Any]:
    """Accuracies and the integer graph's confusion matrix as the report has them.

    Args:
        found: what was measured.
        dataset: the folder of its images.
    """
    from models.ship import COPY, describe_images

    facts: dict[str, Any] = {"dataset": found.dataset, "split": found.split, "images": found.images, **found.accuracy}
    if describe_images(found.dataset, dataset) == COPY:
        facts["note"] = f"{COPY}."
    if len(found.labels) <= MOST_KEPT:
        facts |= {"labels": found.labels, "confusion": found.confusion["integer"].tolist()}
    return facts


def keep_evaluation(folder: Path, found: Measured, dataset: Path) -> Path | None:
    """Keeps the test images' accuracies beside a build, and puts them into its last report.

    Args:
        folder: of the build.
        found: of its network, on the test split.
        dataset: the folder of the images.

    Returns:
        The page; None where there is no report, or a stage ran after it was written: the next build shows them.
    """
    told = {"inputs": digests_of(folder), "accuracy": facts_of(found, dataset)}
    (folder / EVALUATION).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    known = read_evaluation(folder)
    return None if known is None else refresh(folder, MEASURED_ON, lambda report: {"accuracy": known})


def read_evaluation(folder: Path) -> Accuracy | None:
    """What `finn-cam evaluate` found of this very build; None where it found nothing, or another network's."""
    try:
        told = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
        return Accuracy.model_validate(told["accuracy"]) if told["inputs"] == digests_of(folder) else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
