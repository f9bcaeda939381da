"""`finn-cam fcam`: decoders that give a class activation map at image size."""

import json
from typing import Annotated

import typer

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import standard_error
from finn_build.config import load_config
from finn_build.environment import default_build_folder
from finn_build.errors import UserError

SEEDS = ("cam", "layercam", "layercam-fused")
MOST_CENTRE = 10
"""Sides of the image: wider than that, a Gaussian is flat to a map's 256 levels."""


def fcam(
    config: ConfigArgument,
    data: DataOption = None,
    out: OutOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training images.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help=f"Whose maps seeds are drawn from: {', '.join(SEEDS)}. [default: layercam-fused]"),
    ] = None,
    centre: Annotated[
        float | None,
        typer.Option(metavar="σ", help="Of a Gaussian that weighs the maps, of the side; 0: none. [default: 0.375]"),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train F-CAM decoders on CONFIG's checkpoint; a run that was stopped carries on from its last finished epoch.

    They are written beside the checkpoint, in place of earlier ones. The paper's own seeds are --seeds cam --centre 0.
    """
    if seeds is not None and seeds not in SEEDS:
        raise UserError("--seeds", f"one of {', '.join(SEEDS)}", repr(seeds), "correct it")
    if centre is not None and not 0 <= centre <= MOST_CENTRE:
        raise UserError("--centre", f"0 to {MOST_CENTRE}", repr(centre), "0 leaves the maps as they are")
    from finn_build.cli.epochs import told_by_epoch
    from finn_build.fcam import train_fcam

    chosen = load_config(config)
    folder = (out or default_build_folder()) / chosen.name / "fcam"
    console = standard_error()
    with told_by_epoch(console, chosen.name) as tell:
        changed = {"epochs": epochs, "seeds_from": seeds, "centre": centre}
        asked = {name: value for name, value in changed.items() if value is not None}
        outcome = train_fcam(chosen, data, folder, threads, asked, tell)
    if as_json:
        print(json.dumps(outcome))
    else:
        console.print(f"decoders: {outcome['decoders']}")
    return 0
