"""`finn-cam deploy`: a package to a board over ssh, tested there; or a bitfile from another machine, checked."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from finn_build.cli.build import JsonOption, OutOption
from finn_build.cli.console import standard_error, standard_output
from finn_build.config import load_config
from finn_build.environment import default_build_folder
from finn_build.errors import UserError

REPORT = "board.json"


def deploy(
    host: Annotated[str | None, typer.Argument(metavar="[HOST]", help="As ssh takes it: xilinx@192.168.2.99.")] = None,
    config: Annotated[str, typer.Option("--config", help="A name in configs/, or a TOML file.")] = "resnet8_5w5a",
    package: Annotated[Path | None, typer.Option(metavar="ZIP", help="The config's package otherwise.")] = None,
    check: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--check-bitfile", metavar="FILE.bit FILE.hwh", help="Only: do these fit the package?"),
    ] = None,
    bitfile: Annotated[Path | None, typer.Option(metavar="FILE.bit", help="For a package without one.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the board's sshd.")] = None,
    identity: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key.")] = None,
    folder: Annotated[str, typer.Option(metavar="DIR", help="On the board, below the user's home.")] = "finn-cam",
    option: Annotated[list[str] | None, typer.Option("-o", metavar="OPTION", help="Handed to ssh and scp.")] = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Copy a package to HOST, run its self-test there, and fetch the report."""
    from finn_build.deploy import Board
    from finn_build.deploy import deploy as run
    from finn_build.package.bitfile import check_bitfile
    from finn_build.package.build import archive_name
    from finn_build.package.verify import verify_package

    if (host is None) == (check is None):
        raise UserError("deploy", "HOST or --check-bitfile", "neither" if host is None else "both", "give one of them")
    chosen = load_config(config)
    place = (out or default_build_folder()).resolve() / chosen.name
    archive = package or place / archive_name(chosen.name)
    if not archive.exists():
        raise UserError(str(archive), "a package", "no such file", f"run: finn-cam build {chosen.name}")
    output = standard_output()
    if check is not None:
        told = check_bitfile(*check, verify_package(archive))
        if as_json:
            print(json.dumps({"fits": True, "checked": told}))
        else:
            for line in told:
                output.print(f"✓ {line}", markup=False)
        return 0
    board = Board(host or "", folder, port, identity, tuple(option or ()), sys.stdin.isatty())
    console = standard_error()
    report = run(board, archive, bitfile, place / REPORT, lambda line: console.print(line, markup=False))
    if as_json:
        print(json.dumps(report))
        return 0 if report["passed"] else 1
    for error in report["errors"]:
        output.print(f"{error['name']}: {error['message']}", markup=False)
    if report["passed"]:
        output.print(f"self-test passed on the board: {report['images']} golden images, no byte differs")
    if report.get("throughput"):
        output.print(
            f"{report['throughput']['fps']:.1f} images a second, {report['latency']['median_ms']:.2f} ms latency"
        )
    output.print(f"report: {place / REPORT}", markup=False)
    return 0 if report["passed"] else 1
