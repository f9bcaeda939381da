"""`localisation.json` in the report: shown only while it tells of the build that lies beside it."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finn_build.cache.digest import path_digest
from finn_build.report.localisation import Gap, Localisation, LocalisationRow

LOCALISATION = "localisation.json"
MEASURED_ON = ("model/network.safetensors", "streamline/model.onnx", "streamline/head.npz")
"""The files of a build that localisation is measured on."""


def digests_of(folder: Path) -> dict[str, str]:
    """What a build's localisation depends on, as it is now: digest by file."""
    return {name: path_digest(folder / name) for name in MEASURED_ON}


def read_localisation(folder: Path) -> Localisation | None:
    """What `finn-cam evaluate --localisation` found of this very build.

    Args:
        folder: of the build.

    Returns:
        None where nothing was measured, on another network, or the file or a page of it is gone or broken: it can be
        measured anew.
    """
    try:
        told = json.loads((folder / LOCALISATION).read_text(encoding="utf-8"))
        if told["inputs"] != digests_of(folder):
            return None
        found = Localisation.model_validate(_part(told))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None
    return found if all((folder / sheet.file).is_file() for sheet in found.sheets) else None


def _part(told: dict[str, Any]) -> dict[str, Any]:
    row, gap = LocalisationRow.model_fields, Gap.model_fields
    return {
        "dataset": told["dataset"],
        "images": told["images"],
        "threshold_images": told["threshold_images"],
        "rows": [{key: entry[key] for key in row} for entry in told["results"]],
        "baselines": {name: entry["MaxBoxAcc"] for name, entry in told["baselines"].items()},
        "differences": [{key: entry[key] for key in gap} for entry in told["differences"]],
        "sheets": told["sheets"],
    }


def refresh_report(folder: Path) -> Path | None:
    """Puts what was measured into a build's last report, if that report is of the network as it is now.

    Args:
        folder: of the build.

    Returns:
        The page; None where there is no report, or a stage ran after it was written: a build makes a new one.
    """
    from finn_build.report.refresh import refresh

    found = read_localisation(folder)
    return None if found is None else refresh(folder, MEASURED_ON, lambda report: {"localisation": found})
