"""`finn-cam simulate`: the generated accelerator, cycle by cycle in Verilator, against the golden set."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from finn_build.cli.build import ConfigArgument, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import load_config
from finn_build.pipeline import BuildOptions, build_all

FIFOS_SHOWN = 8


def simulate(
    config: ConfigArgument,
    images: Annotated[int, typer.Option(min=1, help="How many golden images; they repeat.")] = 2,
    stalls: Annotated[int | None, typer.Option(metavar="SEED", help="Random pauses on input and output.")] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights.")] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run CONFIG's generated hardware and compare every word that comes out, building what it needs first."""
    chosen = load_config(config)
    output, stages = standard_output(), StageConsole(standard_error())
    with stages.running():
        options = BuildOptions(until="codegen", out=out, untrained=untrained, report=False)
        folder: Path = build_all(chosen, options, stages).folder
        from finn_build.nodes.registry import register_nodes
        from finn_build.rtl.simulate import simulate as run

        register_nodes()
        tell = stages.started("simulate", f"{images} images, cycle by cycle", [])
        found = run(
            folder / "codegen" / "model.onnx",
            folder / "codegen" / "nodes",
            folder / "streamline" / "golden.npz",
            folder / "rtl",
            cache=folder / "rtl" / "compiled",
            images=images,
            stalls_seed=stalls,
            cam_backend=chosen.cam.backend,
            clock_mhz=chosen.hardware.clock_mhz,
            on_progress=lambda share, left: tell(share),
        )
    if as_json:
        print(json.dumps({"config": chosen.name, **found.to_json()}))
        return 1 if found.mismatches else 0
    output.print(f"{found.mismatches} of {found.values:,} words differ in {found.images} images")
    if found.first_difference is not None:
        output.print(found.first_difference)
    output.print(f"latency {found.latency_cycles:,} cycles")
    if found.interval_cycles is not None:
        rate = "" if found.fps is None else f", {found.fps:.0f} frames a second at {found.clock_mhz:g} MHz"
        output.print(f"interval {found.interval_cycles:,} cycles{rate}")
    output.print(f"simulated {found.cycles:,} cycles at {found.cycles_per_second:,.0f} a second")
    table = Table("FIFO", "depth", "most words held", title="fullest FIFOs")
    for fifo in sorted(found.fifos, key=lambda f: -f.high_water)[:FIFOS_SHOWN]:
        table.add_row(fifo.name, f"{fifo.depth:,}", f"{fifo.high_water:,}")
    output.print(table)
    return 1 if found.mismatches else 0
