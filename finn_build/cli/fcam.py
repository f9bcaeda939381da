"""`finn-cam fcam`: decoders that give a class activation map at image size."""

import json
from typing import Annotated

import typer

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import standard_error
from finn_build.config import load_config
from finn_build.environment import default_build_folder


def fcam(
    config: ConfigArgument,
    data: DataOption = None,
    out: OutOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training images.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train F-CAM decoders on CONFIG's checkpoint; a run that was stopped carries on from its last finished epoch."""
    from finn_build.cli.epochs import told_by_epoch
    from finn_build.fcam import train_fcam

    chosen = load_config(config)
    folder = (out or default_build_folder()) / chosen.name / "fcam"
    console = standard_error()
    with told_by_epoch(console, chosen.name) as tell:
        outcome = train_fcam(chosen, data, folder, threads, epochs, tell)
    if as_json:
        print(json.dumps(outcome))
    else:
        console.print(f"decoders: {outcome['decoders']}")
    return 0
