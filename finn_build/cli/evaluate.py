"""`finn-cam evaluate`: how often a network is right, in float, quantised, and as the integer graph."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import Config, load_config
from finn_build.environment import data_folder
from finn_build.errors import UserError
from finn_build.pipeline import BuildOptions, build_all
from finn_build.report.classes import class_rows, short_labels
from finn_build.sources import find_dataset

MOST_ON_TERMINAL = 20
"""More classes than this make a confusion matrix too wide for a terminal."""
COLUMNS = {
    "MaxBoxAcc": "MaxBoxAcc",
    "at τ": "best_threshold",
    "V2": "MaxBoxAccV2",
    "BoxAcc": "BoxAcc",
    "at train τ": "threshold",
    "Top1": "Top1",
    "Top1Loc": "Top1Loc",
    "Top5Loc": "Top5Loc",
}
"""What the table shows of each result."""


def evaluate(
    config: ConfigArgument = "resnet8_5w5a",
    data: DataOption = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    localisation: Annotated[bool, typer.Option("--localisation", help="Boxes instead of classes.")] = False,
    method: Annotated[list[str] | None, typer.Option(help="Further CAM method, or all; may be repeated.")] = None,
    metadata: Annotated[
        Path | None, typer.Option("--metadata", metavar="DIR", help="Boxes: image_ids.txt, localization.txt, …")
    ] = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Measure CONFIG's accuracy on a whole split, or how well it localises, building what it needs first."""
    chosen = load_config(config)
    if split not in ("test", "train"):
        raise UserError("--split", "test or train", repr(split), "correct it")
    which: Literal["test", "train"] = "test" if split == "test" else "train"
    if metadata is not None and not localisation:
        raise UserError("--metadata", "--localisation with it", "none", "add --localisation")
    root = _pictures(chosen, data, metadata) if localisation else find_dataset(chosen, data)
    if root is None:
        raise UserError(
            f"{chosen.name}: data set",
            f"a folder with {chosen.data.dataset}",
            "none named",
            "give --data DIR or set FINN_CAM_DATA; finn-cam data cifar10 downloads one",
        )
    if localisation:
        return _localisation(chosen, root, metadata, method or [], split, out, as_json)
    if method:
        raise UserError("--method", "--localisation with it", "none", "add --localisation")
    output, stages = standard_output(), StageConsole(standard_error())
    start = time.perf_counter()
    with stages.running():
        outcome = build_all(chosen, BuildOptions(until="streamline", out=out, report=False), stages)
        from finn_build.accuracy import measure
        from finn_build.evaluation import keep_evaluation

        tell = stages.started("evaluate", f"{chosen.data.dataset}, {which} images", [])
        weights = outcome.folder / "model" / "network.safetensors"
        found = measure(
            outcome.folder / "streamline" / "model.onnx",
            weights if chosen.model.source == "checkpoint" else None,
            root,
            which,
            chosen.model,
            chosen.input,
            chosen.data,
            tell,
        )
        page = keep_evaluation(outcome.folder, found, root) if which == "test" else None
    seconds = time.perf_counter() - start
    if as_json:
        result = {
            "config": chosen.name,
            "dataset": found.dataset,
            "split": found.split,
            "images": found.images,
            "accuracy": found.accuracy,
            "per_class": found.per_class(),
            "confusion": {form: table.tolist() for form, table in found.confusion.items()},
            "seconds": round(seconds, 3),
        }
        print(json.dumps(result))
        return 0
    for form, value in found.accuracy.items():
        output.print(f"{form:<10} {'–' if value is None else f'{100 * value:6.2f} %'}")
    matrix = found.confusion["integer"].tolist()
    table = Table("class", "images", "recall", "precision", "most often taken for", title="integer graph", box=None)
    for row in class_rows(found.labels, matrix):
        table.add_row(row.label, str(row.images), *row.told)
    output.print(table)
    if len(matrix) <= MOST_ON_TERMINAL:
        table = Table("truth ↓ answer →", *short_labels(found.labels), box=None, padding=(0, 1, 0, 0))
        for label, counts in zip(found.labels, matrix, strict=True):
            table.add_row(label, *(str(count) if count else "·" for count in counts))
        output.print(table)
    from models.ship import describe_images

    words = describe_images(found.dataset, root)
    output.print(f"{found.images:,} {which} images in {seconds:.1f} s: {words}")
    if which == "test":
        output.print(f"also in {page or f'the report of the next finn-cam build {chosen.name}'}")
    return 0


def _pictures(config: Config, data: Path | None, metadata: Path | None) -> Path | None:
    """The folder of annotated pictures: any that has annotations of its own, else the config's data set."""
    from finn_build.localisation_sources import is_annotated

    folder = data or data_folder()
    if folder is not None and folder.is_dir() and (metadata is not None or is_annotated(folder)):
        return folder
    return find_dataset(config, data)


def _localisation(
    config: Config,
    root: Path,
    metadata: Path | None,
    methods: list[str],
    split: str,
    out: Path | None,
    as_json: bool,
) -> int:
    if split != "test":
        raise UserError("--split", "test with --localisation", repr(split), "training images only choose a threshold")
    output, stages = standard_output(), StageConsole(standard_error())
    with stages.running():
        from finn_build.localisation_report import LOCALISATION, refresh_report
        from finn_build.localisation_run import find_decoders, known_methods, load_sets, measure_localisation

        chosen = known_methods(methods)
        decoders = find_decoders(config, methods)
        from finn_build.software_only import is_software_only, last_stage

        sets = load_sets(config, root, metadata)
        outcome = build_all(config, BuildOptions(until=last_stage(config), out=out, report=False), stages)
        tell = stages.started("localise", f"{len(sets[0])} images, {len(chosen)} methods", [])
        found = measure_localisation(config, outcome.folder, *sets, chosen, tell, decoders)
    (outcome.folder / LOCALISATION).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = refresh_report(outcome.folder)
    if as_json:
        print(json.dumps(found))
        return 0
    table = Table("executor", "method", *COLUMNS, title=f"{found['images']} images at 224×224, %", box=None)
    for row in found["results"]:
        table.add_row(row["executor"], row["method"], *(_shown(name, row[name]) for name in COLUMNS.values()))
    output.print(table)
    for name, baseline in found["baselines"].items():
        output.print(f"{name.replace('_', ' ')}: MaxBoxAcc {100 * baseline['MaxBoxAcc']:.2f} %")
    for gap in found["differences"]:
        low, high = (100 * value for value in gap["interval"])
        points = f"{100 * gap['MaxBoxAcc']:+.2f} points of MaxBoxAcc, {100 * gap['confidence']:.0f} % interval"
        names = f"{gap['of']} {gap['method']} less {gap['against']} {gap['against_method']}"
        output.print(f"{names}: {points} {low:+.2f} to {high:+.2f}")
    if found["exact"]["packets"]:
        output.print(
            f"{found['exact']['packets']} packets: class and logits are the integer graph's, without exception"
        )
    output.print(f"all figures: {outcome.folder / LOCALISATION}; {found['seconds']:.1f} s")
    told = f"in {page}" if page else f"finn-cam build {config.name} puts them into the report"
    if is_software_only(config):
        told = f"in {outcome.folder}; there is no report, for a network that pools a maximum has no hardware form"
    output.print(f"with pages of heatmaps: {told}")
    return 0


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if "threshold" in name else f"{100 * value:.2f}"
