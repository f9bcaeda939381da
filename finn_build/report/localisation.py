"""What the report says of localisation: the table of `finn-cam evaluate --localisation`, and its pages of heatmaps."""

from typing import Any

from finn_build.report.base import Fraction, Part, RelativePath
from finn_build.report.words import percent


class LocalisationRow(Part):
    """One form of the network; rates are fractions of the images, `threshold` was chosen on other images."""

    executor: str
    method: str
    MaxBoxAcc: Fraction
    best_threshold: Fraction
    MaxBoxAccV2: Fraction
    BoxAcc: Fraction | None = None
    threshold: Fraction | None = None
    Top1: Fraction
    Top1Loc: Fraction
    Top5Loc: Fraction


class Gap(Part):
    """MaxBoxAcc of one form less another's, as fractions, with its interval."""

    of: str
    against: str
    method: str
    against_method: str
    MaxBoxAcc: float
    interval: tuple[float, float]
    confidence: Fraction


class Sheet(Part):
    """A page of heatmaps: a PNG file below the report's folder."""

    executor: str
    method: str
    file: RelativePath


class Localisation(Part):
    """Localisation on annotated images, at the protocol's 224×224 pixels; `baselines` are MaxBoxAcc."""

    dataset: str
    images: int
    threshold_images: int
    rows: tuple[LocalisationRow, ...]
    baselines: dict[str, Fraction]
    differences: tuple[Gap, ...] = ()
    sheets: tuple[Sheet, ...] = ()


def localisation(found: Localisation | None, pictures: dict[str, str]) -> dict[str, Any] | None:
    """What the template is given.

    Args:
        found: None where it was not measured.
        pictures: the pages as data addresses, by file.
    """
    if found is None:
        return None
    best = max((row.MaxBoxAcc for row in found.rows), default=0.0)
    rows = [
        {
            "executor": row.executor,
            "method": row.method,
            "best": row.MaxBoxAcc == best,
            "cells": [
                percent(row.MaxBoxAcc),
                f"{row.best_threshold:.3f}",
                percent(row.MaxBoxAccV2),
                percent(row.BoxAcc),
                "–" if row.threshold is None else f"{row.threshold:.3f}",
                percent(row.Top1),
                percent(row.Top1Loc),
                percent(row.Top5Loc),
            ],
        }
        for row in found.rows
    ]
    gaps = [
        {
            "name": f"{gap.of} {gap.method} less {gap.against} {gap.against_method}",
            "points": _signed(gap.MaxBoxAcc),
            "interval": f"{_signed(gap.interval[0])} to {_signed(gap.interval[1])}",
            "confidence": f"{100 * gap.confidence:.0f} %",
        }
        for gap in found.differences
    ]
    names = {"centre_box": "the best fixed box in the middle", "centre_gaussian": "a Gaussian in the middle"}
    lead = (
        f"{found.images:,} images of {found.dataset} at 224×224 pixels, each under its own class's map. MaxBoxAcc "
        "takes the threshold that is best on these very images, as the field does"
    )
    if found.threshold_images:
        lead += f"; BoxAcc one that was chosen on {found.threshold_images:,} others"
    return {
        "lead": f"{lead}.",
        "rows": rows,
        "baselines": [(names.get(name, name), percent(value)) for name, value in found.baselines.items()],
        "gaps": gaps,
        "sheets": [
            {"title": f"{sheet.method}, {sheet.executor}", "source": pictures[sheet.file]} for sheet in found.sheets
        ],
    }


def _signed(fraction: float) -> str:
    """In points, with a true minus sign."""
    return f"{100 * fraction:+.2f}".replace("-", "−")
