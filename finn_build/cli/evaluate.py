"""`finn-cam evaluate`: how often a network is right, in float, quantised, and as the integer graph."""

import json
import time
from typing import Annotated, Literal

import typer
from rich.table import Table

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.pipeline import BuildOptions, build_all
from finn_build.sources import find_dataset


def evaluate(
    config: ConfigArgument = "resnet8_5w5a",
    data: DataOption = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Measure CONFIG's accuracy on a whole split, building what it needs first."""
    chosen = load_config(config)
    if split not in ("test", "train"):
        raise UserError("--split", "test or train", repr(split), "correct it")
    which: Literal["test", "train"] = "test" if split == "test" else "train"
    root = find_dataset(chosen, data)
    if root is None:
        raise UserError(
            f"{chosen.name}: data set",
            f"a folder with {chosen.data.dataset}",
            "none named",
            "give --data DIR or set FINN_CAM_DATA; finn-cam data cifar10 downloads one",
        )
    console = standard_error()
    stages = StageConsole(console)
    start = time.perf_counter()
    with stages.running():
        outcome = build_all(chosen, BuildOptions(until="streamline", out=out, report=False), stages)
        from finn_build.accuracy import measure

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
        console.print(f"{form:<10} {'–' if value is None else f'{100 * value:6.2f} %'}")
    table = Table("class", "images", "recall", "precision", title="integer graph")
    for row in found.per_class():
        shown = ["–" if row[key] is None else f"{100 * row[key]:.1f} %" for key in ("recall", "precision")]
        table.add_row(row["label"], str(row["images"]), *shown)
    console.print(table)
    console.print(f"{found.images} {which} images of {found.dataset} in {seconds:.1f} s")
    return 0
