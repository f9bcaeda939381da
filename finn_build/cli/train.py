"""`finn-cam train`: quantisation-aware training with the recipe of a config."""

import json
from pathlib import Path
from typing import Annotated

import typer

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import standard_error
from finn_build.config import load_config
from finn_build.environment import default_build_folder


def train(
    config: ConfigArgument,
    data: DataOption = None,
    out: OutOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N; auto takes a GPU where there is one.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train CONFIG; a run that was stopped carries on where it was."""
    from finn_build.cli.epochs import told_by_epoch
    from finn_build.training import train_config

    chosen = load_config(config)
    folder = (out or default_build_folder()) / chosen.name / "train"
    console = standard_error()
    with told_by_epoch(console, chosen.name) as tell:
        outcome = train_config(chosen, data, Path(folder), device, threads, tell)
    if outcome is None:
        return 0
    if as_json:
        print(json.dumps(outcome))
    else:
        console.print(f"checkpoint: {outcome['checkpoint']}")
        console.print(f"metrics: {outcome['metrics']}")
    return 0
