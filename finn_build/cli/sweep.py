"""`finn-cam sweep`: what channels and bits bring, and what they cost."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import standard_error, standard_output
from finn_build.config import load_config
from finn_build.environment import default_build_folder
from finn_build.errors import UserError


def sweep(
    config: ConfigArgument,
    data: DataOption = None,
    out: OutOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials wanted in all; the same command goes on.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Quantised epochs a trial; twice as many in float first.")] = 4,
    images: Annotated[int, typer.Option(min=0, help="Training images used; 0: all.")] = 10_000,
    widths: Annotated[str, typer.Option(help="Factors of each group's channels.")] = "0.5,0.75,1",
    bits: Annotated[str, typer.Option(help="Bit widths of each group's weights and activations.")] = "3,4,5,6",
    uniform: Annotated[bool, typer.Option("--uniform", help="The same for all groups: each pair once.")] = False,
    against: Annotated[
        str, typer.Option(help="weights, weight_bits, macs or bit_operations: what is weighed against accuracy.")
    ] = "bit_operations",
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="Optuna storage that several processes share; SQLite in DIR.")
    ] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="Its name there; the config's.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate/--no-estimate", help="Estimate the hardware too.")] = True,
    fps: Annotated[float | None, typer.Option(min=1, help="Frame rate to estimate for; CONFIG's, or 500.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N; auto takes a GPU where there is one.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
    into: Annotated[Path | None, typer.Option("--into", metavar="FILE", help="Markdown file to put it into.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Train CONFIG with other widths and bit widths a group; plot accuracy against weights, MACs and resources.

    Trials are judged on held-out training images. Start the command several times, or on several machines with one
    --storage, and they share the work; a killed one goes on.
    """
    from finn_build.sweep.run import Sweep, sweep_config
    from finn_build.sweep.space import Space
    from finn_build.sweep.study import MEASURES
    from finn_build.sweep.trial import Figures

    base = load_config(config)
    if against not in MEASURES:
        raise UserError("--against", f"one of {', '.join(MEASURES)}", repr(against), "correct it")
    space = Space(_numbers("--widths", widths, float), _numbers("--bits", bits, int), uniform)
    if space.grid is not None:
        trials = min(trials, math.prod(map(len, space.grid.values())))
    name = study or base.name
    folder = (out or default_build_folder()) / "sweeps" / base.name
    if into is not None and not into.is_file():
        raise UserError(str(into), "a Markdown file", "none", "correct --into")
    console = standard_error()

    def tell(complete: int, found: Figures) -> None:
        shape = f"{'/'.join(map(str, found.channels))} channels, {'/'.join(map(str, found.bits))} bit"
        cost = ""
        if found.fps is not None:
            cost = f", {found.LUT:,.0f} LUT, {found.BRAM18:g} BRAM18, {found.DSP:g} DSP, {found.fps:,.0f} FPS"
        cost += f"; no estimates: {found.unestimated}" * bool(found.unestimated)
        console.print(f"{complete:>3}/{trials} {shape}: {100 * found.accuracy:.2f} %, {found.macs:,} MACs{cost}")

    wanted = Sweep(space, trials, epochs, images, against, storage, name, estimate, fps, device, threads)  # type: ignore[arg-type]
    outcome = sweep_config(base, data, folder, wanted, tell, into)
    if as_json:
        print(json.dumps(outcome))
    else:
        standard_output().print(f"table: {outcome['table']}\nplot: {outcome['plot']}")
    return 0


def _numbers(option: str, text: str, kind: type) -> list[Any]:
    try:
        return sorted({kind(part) for part in text.split(",")})
    except ValueError:
        raise UserError(option, "numbers between commas", repr(text), "correct it") from None
