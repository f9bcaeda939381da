"""`finn-cam localize`: class, score, peak, box and heatmap of a user's own pictures."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from finn_build.cli.build import JsonOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.localise import Picture, seen_by_network
from finn_build.localise_pictures import find_pictures, photograph, read_picture
from finn_build.pipeline import BuildOptions, build_all

EXECUTORS = ("integer", "csim", "float")


def localize(
    images: Annotated[list[str] | None, typer.Argument(metavar="IMAGE…", help="Files, folders, patterns.")] = None,
    config: Annotated[str, typer.Option("--config", help="A name in configs/, or a TOML file.")] = "resnet8_5w5a",
    executor: Annotated[str, typer.Option(help=f"One of {', '.join(EXECUTORS)}.")] = "integer",
    camera: Annotated[int | None, typer.Option(min=0, metavar="N", help="Take the pictures with camera N.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="How many the camera takes.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where overlays and heatmaps go.")] = None,
    build: Annotated[Path | None, typer.Option("--build", metavar="DIR", help="Where builds lie; build/.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Say what is in each IMAGE, and where: DIR gets overlays, heatmaps, a contact sheet, results.csv and .json."""
    if executor not in EXECUTORS:
        raise UserError("--executor", f"one of {', '.join(EXECUTORS)}", repr(executor), "correct it")
    if bool(images) == (camera is not None):
        got = "both" if images else "neither"
        raise UserError("localize", "pictures or --camera N", got, "name files, folders or patterns, or a camera")
    chosen = load_config(config)
    sources: list[Path | Picture] = []
    sources += photograph(camera, frames) if camera is not None else find_pictures(images or [])

    def load(number: int) -> Picture:
        source = sources[number]
        return read_picture(source) if isinstance(source, Path) else source

    output, stages = standard_output(), StageConsole(standard_error())
    with stages.running():
        # Every file is read before anything else happens, and once more when it is drawn: photographs fill a memory.
        seen = [seen_by_network(load(number), chosen.input.size) for number in range(len(sources))]
        outcome = build_all(chosen, BuildOptions(until="streamline", out=build, report=False), stages)
        from finn_build.localise_run import answers_of
        from finn_build.localise_write import row_of, write_results

        tell = stages.started("localize", f"{len(seen)} pictures, {executor}", [])
        answers = answers_of(chosen, outcome.folder, seen, executor, lambda done: tell(0.5 * done))
        folder = out if out is not None else outcome.folder / "localize"
        overlays = write_results(folder, answers, load, lambda done: tell(0.5 + 0.5 * done))
    rows = [row_of(answer) for answer in answers]
    if as_json:
        print(json.dumps(rows))
        return 0
    table = Table("image", "class", "score", "peak", "box", "overlay")
    for row, overlay in zip(rows, overlays, strict=True):
        shown = [f"{row['score']:.3f}", str(row["peak"]), str(row["box"])]
        table.add_row(Path(row["image"]).name, row["label"], *shown, overlay)
    output.print(table)
    output.print(f"in {folder}: overlays, heatmaps, contact_sheet.png, results.csv, results.json")
    return 0
