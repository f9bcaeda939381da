"""`finn-cam fold`: the best folding of a config's network for a chip, with proof and beside FINN's heuristic."""

import errno
import json
import os
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from finn_build.cli.build import ConfigArgument, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import Config, load_config
from finn_build.errors import UserError
from finn_build.interruption import end_if_requested
from finn_build.pipeline import BuildOptions, build_all
from finn_build.resources.devices import BOARDS, KEYS, part_of

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.folding.fold import Folded, Target

SECONDS = 60.0


def fold(
    config: ConfigArgument,
    budget: Annotated[float | None, typer.Option(min=0.01, max=1, help="Share of each resource; the config's.")] = None,
    clock: Annotated[float | None, typer.Option(min=10, max=500, metavar="MHZ", help="Clock; the config's.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.01, help="The least area that reaches this rate.")] = None,
    board: Annotated[str | None, typer.Option(help=f"{', '.join(BOARDS)}; the config's chip.")] = None,
    pareto: Annotated[bool, typer.Option("--pareto", help="Rate against area as pareto.csv, .png and .svg.")] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write the folding file beside the config, FIFO depths included; folds again until those fit too.",
        ),
    ] = False,
    full_speed: Annotated[
        bool, typer.Option("--full-speed", help="With --write: FIFOs that cost no speed, and not those for 99 % of it.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, help="For the search.")] = SECONDS,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights.")] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Fold CONFIG's network: the most frames a second that fit the chip, or the smallest accelerator for a rate."""
    chosen = load_config(config)
    part = part_of(board) if board is not None else chosen.hardware.part
    if write:
        _require_place(chosen, part, board)
    elif full_speed:
        raise UserError("--full-speed", "--write, which finds FIFO depths", "none", "add --write")
    stages = StageConsole(standard_error())
    begin = monotonic()
    with stages.running():
        options = BuildOptions(until="partition", out=out, untrained=untrained, report=False)
        folder: Path = build_all(chosen, options, stages).folder
        from finn_build.folding.config import write_folding
        from finn_build.folding.evidence import read_evidence
        from finn_build.folding.facts import more, result
        from finn_build.folding.fold import (
            Target,
            chip_limit,
            heuristic,
            next_step,
            weight_memories,
        )
        from finn_build.folding.fold import fold as search
        from finn_build.folding.record import refresh_report, write_record
        from finn_build.folding.with_fifos import fold_with_fifos
        from finn_build.streams.depths import SLACK

        target = Target(part, clock or chosen.hardware.clock_mhz, budget or chosen.folding.budget)
        tell = stages.started("fold", f"{part} at {target.clock_mhz:g} MHz, {target.budget:.0%} of it", [])
        graph = _specialised(folder, part)
        tell(0.1)
        file = folding_file(chosen)
        whole = None
        if write:
            whole = fold_with_fifos(
                graph,
                target,
                chosen.cam.backend,
                fps=fps,
                seconds=seconds,
                slack=0.0 if full_speed else SLACK,
                on_progress=lambda share: tell(0.5 * share),
            )
            found = whole.found
        else:
            found = search(_copy(graph), target, chosen.cam.backend, fps=fps, seconds=seconds)
        tell(0.6)
        compared = heuristic(graph, target, chosen.cam.backend, found.problem, fps)
        tell(0.7)
        # Where a rate is wanted, it and no budget is why the folding is no faster.
        step = next_step(found, target) if fps is None else None
        chip, memories = chip_limit(found, target), weight_memories(graph, found)
        tell(0.8)
        if whole is not None:
            end_if_requested()
            write_folding(file, whole.folding)
        if pareto:
            _draw_front(found, target, folder, tell)
    facts = {"config": chosen.name, **result(found, compared, target, monotonic() - begin), "wanted_fps": fps}
    facts |= more(step, chip, memories, whole, target)
    facts["evidence"] = read_evidence(file, found.folding)
    write_record(folder, facts)
    page = refresh_report(folder, chosen.folding.file)
    if as_json:
        print(json.dumps(facts))
    else:
        _tell(facts)
        if write:
            _tell_file(facts, file, named=chosen.folding.file is not None)
        if pareto:
            standard_output().print(f"front in {folder / 'pareto.csv'}, pareto.png and pareto.svg")
        if page is not None:
            standard_output().print(f"in the report: {page}")
    return 0


def folding_file(config: Config) -> Path:
    """The config's folding file, or where it would lie: beside the config."""
    return config.folding.file or config.file.with_name(f"{config.name}.folding.json")


def _require_place(config: Config, part: str, board: str | None) -> None:
    """Checks, before the search, that the folding file may be written.

    Raises:
        UserError: it would be for another chip than the config's, or the file is of a network with a CAM block.
        PermissionError: its folder takes no file.
    """
    if part != config.hardware.part:
        remedy = "name that part in [hardware] of a copy of the config, and fold the copy"
        raise UserError(f"--board {board}", f"{config.hardware.part}, the config's, with --write", part, remedy)
    from finn_build.folding.head import require_same_head

    file = folding_file(config)
    require_same_head(file, config.name, config.hardware.head)
    if not os.access(file.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file.parent))


def _specialised(folder: Path, part: str) -> "ModelWrapper":
    from finn_build.graph.specialise import specialise
    from finn_build.graph.widths import minimise_widths
    from finn_build.stages.files import CHILD
    from finn_build.stages.inputs import load_graph

    generic, _ = minimise_widths(load_graph(folder / "partition" / CHILD))
    return specialise(generic, part)[0]


def _copy(graph: "ModelWrapper") -> "ModelWrapper":
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.adapter import quiet

    with quiet():
        return ModelWrapper(graph.model, make_deepcopy=True)


def _draw_front(found: "Folded", target: "Target", folder: Path, tell: Any) -> None:
    from finn_build.folding.pareto import draw, front, write_csv

    points = front(found, target, lambda share: tell(0.8 + 0.2 * share))
    write_csv(points, folder / "pareto.csv")
    for kind in ("png", "svg"):
        draw(points, target, folder / f"pareto.{kind}")


def _tell(facts: dict[str, Any]) -> None:
    output = standard_output()
    proof = "proven optimal" if facts["optimal"] else f"at most {facts['gap']:.1%} fewer cycles are possible"
    if facts["gap"] == 0 and not facts["optimal"]:
        proof = f"the rate is proven best; the area might be {facts['area_gap']:.1%} smaller"
    output.print(
        f"{facts['fps']:,.0f} frames a second at {facts['clock_mhz']:g} MHz: {facts['cycles_per_image']:,} cycles, "
        f"set by {facts['bottleneck']}; {proof}; searched for {facts['seconds']:.0f} s"
    )
    step = facts["next_step"]
    if step is not None:
        names = " or ".join(step["limited_by"]) or "several resources together"
        output.print(f"the next step up, {step['fps']:,.0f} frames a second, wants more of {names}")
    output.print(
        f"no folding reaches more than {facts['chip_fps']:,.0f} frames a second on the whole chip, "
        f"nor than {facts['limit_fps']:,.0f} on a chip of any size"
    )
    table = Table("resource", "optimum", "FINN's SetFolding", "budget", "chip", title=f"predicted for {facts['part']}")
    compared = facts["heuristic"]
    table.add_row("FPS", f"{facts['fps']:,.0f}", f"{compared['fps']:,.0f}" if compared else "none fits", "", "")
    for name in KEYS:
        cells = [_amount(whole, name) if whole else "" for whole in (facts, compared)]
        cells += [f"{facts[row][name]:,}" for row in ("budget", "device")]
        table.add_row(name, *cells)
    output.print(table)
    nodes = Table(
        Column("node", overflow="fold"),
        "cycles",
        "folding",
        "LUT",
        "FF",
        "BRAM18",
        "DSP",
        title="each node, and its model's error",
    )
    for node in facts["nodes"]:
        logic = [f"{node[key]:,}{_band(node['error'][key])}" for key in ("LUT", "FF")]
        blocks = [f"{node[key]:,}" for key in ("BRAM18", "DSP")]
        nodes.add_row(node["node"], f"{node['cycles']:,}", node["folding"], *logic, *blocks)
    nodes.add_section()
    for row in facts["between"]:
        logic = [f"{row[key]:,}{_band(row['error'][key])}" for key in ("LUT", "FF")]
        nodes.add_row(row["what"], "", "", *logic, f"{row['BRAM18']:,}", f"{row['DSP']:,}")
    output.print(nodes)
    output.print("±: relative error, root mean square, at synthesised modules that the model was not fitted to")
    if facts["memories"]:
        held = Table("weights of", "bits", "BRAM18", "filled", title="memories of weights in block RAM")
        for memory in facts["memories"]:
            row = (f"{memory['bits']:,}", f"{memory['BRAM18']:,}", f"{memory['efficiency']:.0%}")
            held.add_row(memory["node"], *row)
        output.print(held)
    for design in facts["published"]:
        told = ", ".join(f"{amount:,} {key}" for key, amount in design.items() if key != "name")
        output.print(f"for comparison, placed by Vivado: {design['name']}: {told}")


def _tell_file(facts: dict[str, Any], file: Path, named: bool) -> None:
    output = standard_output()
    told = ", ".join(f"{amount:,} {name}" for name, amount in facts["with_fifos"]["resources"].items())
    whole = facts["with_fifos"]
    output.print(
        f"with its FIFOs {whole['fps']:,.0f} frames a second by the stream model, {told}; "
        f"folded for {whole['budget']:.1%}"
    )
    output.print(f"folding and depths in {file}")
    if not named:
        output.print(f'builds take it once the config says so: [folding] file = "{file.name}"')


def _amount(whole: dict[str, Any], name: str) -> str:
    return f"{whole['resources'][name]:,}{_band(whole['resources_error'].get(name))}"


def _band(error: float | None) -> str:
    return "" if error is None else f" ±{error:.0%}"
