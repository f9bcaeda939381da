"""`finn-cam build`: from a config to a verified accelerator graph, its report and its deployment package."""

import json
from pathlib import Path
from typing import Annotated

import typer

from finn_build.cli.console import StageConsole, standard_error
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.pipeline import SKIPPABLE, STAGE_NAMES, BuildOptions, build_all

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="A name in configs/, or a TOML file's path.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where results go: DIR/CONFIG/.")]
DataOption = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="The folder of the data set.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]
EvidenceOption = Annotated[
    bool, typer.Option("--evidence", help="Keep the result beside the config's folding file, as evidence of it.")
]


def build(
    config: ConfigArgument,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help=f"Stop after: {', '.join(STAGE_NAMES)}.")] = None,
    force: Annotated[list[str] | None, typer.Option(metavar="STAGE", help="Run STAGE again; may be repeated.")] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Leave out: simulate, vendor (the bitfile).")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each stage runs: what changed.")] = False,
    out: OutOption = None,
    data: DataOption = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights: sizes the hardware.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Build CONFIG: every stage runs, is verified, and is reused when nothing that it depends on changed."""
    for name in [*([] if until is None else [until]), *(force or [])]:
        if name not in STAGE_NAMES:
            raise UserError("stage", f"one of {', '.join(STAGE_NAMES)}", repr(name), "correct --until or --force")
    for name in skip or []:
        if name not in SKIPPABLE:
            raise UserError("--skip", f"one of {', '.join(SKIPPABLE)}", repr(name), "the other stages build on it")
    options = BuildOptions(
        until=until,
        force=frozenset(force or []),
        skip=frozenset(skip or []),
        out=out,
        data=data,
        untrained=untrained,
    )
    console = standard_error()
    stages = StageConsole(console, explain)
    with stages.running():
        outcome = build_all(load_config(config), options, stages)
    if as_json:
        print(json.dumps(outcome.report.model_dump(mode="json", by_alias=True)))
    # One object on standard output, and an error's line on standard error all the same.
    told = outcome.summary if not as_json else outcome.summary[-1:] if outcome.report.stopped else []
    for line in told:
        console.print(line)
    return outcome.exit_code
