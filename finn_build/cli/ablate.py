"""`finn-cam ablate`: what each ingredient of a recipe brings."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import standard_error, standard_output
from finn_build.config import load_config
from finn_build.environment import default_build_folder
from finn_build.errors import UserError


def ablate(
    config: ConfigArgument = "resnet8_6w6a",
    data: DataOption = None,
    out: OutOption = None,
    epochs: Annotated[int, typer.Option(min=9, help="Of each training, float and quantised together.")] = 12,
    images: Annotated[int, typer.Option(min=20, help="Training images used, a fifth of them held out.")] = 20_000,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
    into: Annotated[Path | None, typer.Option("--into", metavar="FILE", help="Markdown file to put it into.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Train CONFIG briefly, with one ingredient of the recipe changed at a time, and print a table.

    What was trained is kept: the same command goes on after a kill, and trains anew only what has another recipe.
    """
    from finn_build.ablation import Row, table_of
    from finn_build.ablation import ablate as ablate_config
    from finn_build.pages import put_into

    chosen = load_config(config)
    if into is not None and not into.is_file():
        raise UserError(str(into), "a Markdown file", "none", "correct --into")
    folder = (out or default_build_folder()) / "ablation" / chosen.name
    held_out = images // 5
    title = f"`{chosen.name}`, {epochs} epochs on {images - held_out:,} images of {chosen.data.dataset} each:"
    console = standard_error()
    done: list[Row] = []

    def tell(row: Row) -> None:
        console.print(f"{100 * row.held_out_quantised:6.2f} % {row.name} ({row.seconds:.0f} s)")
        done.append(row)
        if into is not None:
            # What is finished stands there, whenever the rest is.
            put_into(into, "ablation", chosen.name, table_of(done, title, held_out))

    rows = ablate_config(chosen, data, folder, epochs, images, threads, tell)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        standard_output().print(table_of(rows, title, held_out))
    return 0
