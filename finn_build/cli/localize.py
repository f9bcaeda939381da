"""`finn-cam localize`: class, score, peak, box and heatmap of a user's own pictures."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from finn_build.cli.build import JsonOption
from finn_build.cli.console import StageConsole, standard_error
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.localise import Answer, Picture, find_pictures, read_picture
from finn_build.pipeline import BuildOptions, build_all

EXECUTORS = ("integer", "csim", "float")


def localize(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or glob patterns.")],
    config: Annotated[str, typer.Option("--config", help="A name in configs/, or a TOML file.")] = "resnet8_5w5a",
    executor: Annotated[str, typer.Option(help=f"One of {', '.join(EXECUTORS)}.")] = "integer",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where overlays and heatmaps go.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Say what is in each IMAGE, and where: DIR gets an overlay and the heatmap of each."""
    if executor not in EXECUTORS:
        raise UserError("--executor", f"one of {', '.join(EXECUTORS)}", repr(executor), "correct it")
    chosen = load_config(config)
    pictures = [read_picture(path) for path in find_pictures(images)]
    console = standard_error()
    stages = StageConsole(console)
    with stages.running():
        outcome = build_all(chosen, BuildOptions(until="streamline", report=False), stages)
        from finn_build.localise_run import answers_of

        tell = stages.started("localize", f"{len(pictures)} pictures, {executor}", [])
        answers = answers_of(chosen, outcome.folder, pictures, executor, tell)
    folder = out if out is not None else outcome.folder / "localize"
    files = _write(folder, pictures, answers)
    results = [_row(answer) for answer in answers]
    if as_json:
        print(json.dumps(results))
        return 0
    table = Table("image", "class", "score", "peak", "box", "overlay")
    for row, (overlay, _) in zip(results, files, strict=True):
        shown = [f"{row['score']:.3f}", str(row["peak"]), str(row["box"])]
        table.add_row(row["image"], row["label"], *shown, str(overlay))
    console.print(table)
    return 0


def _row(answer: Answer) -> dict[str, Any]:
    return {
        "image": answer.picture,
        "class": answer.class_index,
        "label": answer.label,
        "score": answer.score,
        "peak": None if answer.peak is None else list(answer.peak),
        "box": None if answer.box is None else list(answer.box),
    }


def _write(folder: Path, pictures: list[Picture], answers: list[Answer]) -> list[tuple[Path, Path]]:
    """Writes an overlay PNG and the heatmap as .npy for each picture; equal names get a number."""
    import numpy as np

    from finn_build.report.overlay import Marks, draw_overlay, to_png

    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    files = []
    for picture, answer in zip(pictures, answers, strict=True):
        stem = Path(picture.name).stem
        number = 2
        while stem in taken:
            stem = f"{Path(picture.name).stem}-{number}"
            number += 1
        taken.add(stem)
        marks = Marks(f"{answer.label} {answer.score:.2f}", answer.peak, answer.box)
        overlay, heatmap = folder / f"{stem}_overlay.png", folder / f"{stem}_heatmap.npy"
        overlay.write_bytes(to_png(draw_overlay(picture.pixels, answer.heatmap, marks)))
        np.save(heatmap, answer.heatmap, allow_pickle=False)
        files.append((overlay, heatmap))
    return files
