"""`finn-cam score`: localisation metrics of score maps that any tool made."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from finn_build.cli.build import JsonOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.errors import UserError

LEAST_STEP = 0.0001
"""Maps are compared at 256 levels, so that finer thresholds find nothing new."""


def score(
    scoremaps: Annotated[Path, typer.Option("--scoremaps", metavar="DIR", help="Maps: .npy, named by image id.")],
    metadata: Annotated[Path, typer.Option("--metadata", metavar="DIR", help="image_ids.txt, localization.txt, …")],
    masks: Annotated[Path | None, typer.Option("--masks", metavar="DIR", help="Mask images, where named.")] = None,
    iou: Annotated[float, typer.Option("--iou", help="Where a box counts as right, for MaxBoxAcc.")] = 0.5,
    step: Annotated[float, typer.Option("--step", help="Between the thresholds from 0 to 1.")] = 0.001,
    as_json: JsonOption = False,
) -> int:
    """Score maps against annotated boxes (MaxBoxAcc, MaxBoxAccV2) or masks (PxAP), as the field's evaluator does.

    Maps of 224×224 within 0 to 1 are taken as they are, as the evaluator takes them: a constant one above 0 is a box
    around the whole image. Any other map is resized and min-maxed, and finds nothing if it is constant. A map with a
    NaN or an infinity finds nothing.
    """
    if not 0 < iou <= 1:
        raise UserError("--iou", "a fraction above 0, at most 1", repr(iou), "0.5 is the protocol's")
    if not LEAST_STEP <= step <= 1:
        raise UserError("--step", f"{LEAST_STEP} to 1", repr(step), "0.001 is the protocol's")
    for option, folder in (("--scoremaps", scoremaps), ("--metadata", metadata), ("--masks", masks)):
        if folder is not None and not folder.is_dir():
            found = "a file" if folder.exists() else "nothing there"
            raise UserError(f"{option} {folder}", "a folder", found, "correct the path")
    stages = StageConsole(standard_error())
    with stages.running():
        tell = stages.started("score", str(scoremaps), [])
        from finn_build.localisation import score_maps

        figures = score_maps(scoremaps, metadata, masks, iou, step, tell)
    if as_json:
        print(json.dumps(figures))
        return 0
    standard_output().print(_table(figures, iou))
    return 0


def _table(found: dict[str, Any], iou: float) -> Table:
    table = Table("metric", "value", title=f"{found['images']} images")
    if "PxAP" in found:
        table.add_row("PxAP", f"{100 * found['PxAP']:.2f} %")
        return table
    table.add_row(f"MaxBoxAcc, IoU {iou:g}", f"{100 * found['MaxBoxAcc']:.2f} %")
    table.add_row("at the threshold", f"{found['best_threshold']:.3f}")
    table.add_row("MaxBoxAccV2", f"{100 * found['MaxBoxAccV2']:.2f} %")
    for value, accuracy in found["ious"].items():
        table.add_row(f"  IoU {value}", f"{100 * accuracy:.2f} %")
    return table
