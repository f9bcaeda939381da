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
from finn_build.fcam import decoders_of
from finn_build.localise import Picture, seen_by_network
from finn_build.localise_pictures import find_pictures, photograph, read_picture
from finn_build.localise_run import METHODS, answers_of, read_taps
from finn_build.pipeline import BuildOptions, build_all

EXECUTORS = ("integer", "csim", "float")


def localize(
    images: Annotated[list[str] | None, typer.Argument(metavar="IMAGE…", help="Files, folders, patterns.")] = None,
    config: Annotated[str, typer.Option("--config", help="A name in configs/, or a TOML file.")] = "resnet8_5w5a",
    executor: Annotated[str, typer.Option(help=f"One of {', '.join(EXECUTORS)}.")] = "integer",
    method: Annotated[
        str, typer.Option(help=f"Whose heatmap and box: {', '.join(METHODS)} (finn-cam fcam trains decoders).")
    ] = "cam",
    threshold: Annotated[
        float | None,
        typer.Option(metavar="τ", help="Of the box, a fraction of the peak. [default: the config's; F-CAM 0.65]"),
    ] = None,
    taps: Annotated[
        Path | None,
        typer.Option("--taps", metavar="NPY", help="The pictures' taps, from head = tap: uint8 [N, h, w, C]."),
    ] = None,
    camera: Annotated[int | None, typer.Option(min=0, metavar="N", help="Take the pictures with camera N.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="How many the camera takes.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where overlays and heatmaps go.")] = None,
    build: Annotated[Path | None, typer.Option("--build", metavar="DIR", help="Where builds lie; build/.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Say what is in each IMAGE, and where: DIR gets overlays, heatmaps, a contact sheet, results.csv and .json."""
    if executor not in EXECUTORS:
        raise UserError("--executor", f"one of {', '.join(EXECUTORS)}", repr(executor), "correct it")
    if method not in METHODS:
        raise UserError("--method", f"one of {', '.join(METHODS)}", repr(method), "correct it")
    if threshold is not None and not 0 <= threshold < 1:
        raise UserError("--threshold", "0 or more, less than 1", repr(threshold), "0.5 is half of the peak")
    if bool(images) == (camera is not None):
        got = "both" if images else "neither"
        raise UserError("localize", "pictures or --camera N", got, "name files, folders or patterns, or a camera")
    if out is not None and any(Path(name).is_dir() and out.resolve() == Path(name).resolve() for name in images or []):
        remedy = "the next run would take overlays for pictures: name another"
        raise UserError(f"--out {out}", "a folder of its own", "the pictures' folder", remedy)
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
        sent = None if taps is None else read_taps(taps, len(seen))
        if method != "cam":
            decoders_of(chosen)
        from finn_build.software_only import is_software_only, last_stage

        if is_software_only(chosen) and (executor, method) != ("float", "cam"):
            remedy = "a network that pools a maximum has no hardware form"
            raise UserError("--executor", "float, with cam", f"{executor}, with {method}", remedy)
        outcome = build_all(chosen, BuildOptions(until=last_stage(chosen), out=build, report=False), stages)
        from finn_build.localise_write import row_of, write_results

        tell = stages.started("localize", f"{len(seen)} pictures, {executor} {method}", [])
        answers = answers_of(
            chosen, outcome.folder, seen, executor, lambda done: tell(0.5 * done), method, threshold, sent
        )
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
