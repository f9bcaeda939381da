"""`finn-cam fold`: the best folding of a config's network for a chip, with proof and beside FINN's heuristic."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from finn_build.cli.build import ConfigArgument, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import Config, load_config
from finn_build.pipeline import BuildOptions, build_all
from finn_build.resources.devices import BOARDS, KEYS, part_of

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.folding.fold import Folded, Heuristic, Target

SECONDS = 60.0
PUBLISHED = (
    ("NTU ResNet8-5w5a, PE 1, SIMD 2", {"LUT": 40_593, "FF": 63_355, "BRAM36": 76}),
    ("NTU ResNet8-6w6a, light", {"LUT": 35_617, "FF": 46_435, "BRAM36": 29}),
)
"""The only figures of Vivado for designs of this kind, at their authors' foldings."""


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
    seconds: Annotated[float, typer.Option(min=1, help="For the search.")] = SECONDS,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights.")] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Fold CONFIG's network: the most frames a second that fit the chip, or the smallest accelerator for a rate."""
    chosen = load_config(config)
    part = part_of(board) if board is not None else chosen.hardware.part
    stages = StageConsole(standard_error())
    begin = monotonic()
    with stages.running():
        options = BuildOptions(until="partition", out=out, untrained=untrained, report=False)
        folder: Path = build_all(chosen, options, stages).folder
        from finn_build.folding.config import write_folding
        from finn_build.folding.evidence import read_evidence
        from finn_build.folding.fold import Target, fold_with_fifos, heuristic, next_step, weight_memories
        from finn_build.folding.fold import fold as search
        from finn_build.folding.optimise import used

        target = Target(part, clock or chosen.hardware.clock_mhz, budget or chosen.folding.budget)
        tell = stages.started("fold", f"{part} at {target.clock_mhz:g} MHz, {target.budget:.0%} of it", [])
        graph = _specialised(folder, part)
        tell(0.1)
        file = folding_file(chosen)
        whole = None
        if write:
            whole = fold_with_fifos(
                graph, target, chosen.cam.backend, fps=fps, seconds=seconds, on_progress=lambda share: tell(0.5 * share)
            )
            found = whole.found
        else:
            found = search(_copy(graph), target, chosen.cam.backend, fps=fps, seconds=seconds)
        tell(0.6)
        compared = heuristic(graph, target, chosen.cam.backend, found.problem)
        tell(0.8)
        step, memories = next_step(found, target), weight_memories(graph, found)
        if whole is not None:
            write_folding(file, whole.folding)
        if pareto:
            _draw_front(found, target, folder, tell)
    facts = {"config": chosen.name, **result(found, compared, target, monotonic() - begin)}
    facts["next_step"] = None if step is None else {"fps": round(target.fps(step[0]), 2), "limited_by": step[1]}
    facts["memories"] = [
        {"node": m.node, "bits": m.bits, "BRAM18": m.bram18, "efficiency": round(m.efficiency, 3)} for m in memories
    ]
    facts["with_fifos"] = None if whole is None else {"budget": whole.budget, "resources": _whole(used(whole.cost))}
    facts["evidence"] = read_evidence(file, found.folding)
    if as_json:
        print(json.dumps(facts))
    else:
        _tell(facts, found, target, file if write else None, folder if pareto else None)
    return 0


def folding_file(config: Config) -> Path:
    """The config's folding file, or where it would lie: beside the config."""
    return config.folding.file or config.file.with_name(f"{config.name}.folding.json")


def result(found: "Folded", compared: "Heuristic | None", target: "Target", seconds: float) -> dict[str, Any]:
    """The command's JSON, but for the evidence."""
    from finn_build.folding.optimise import used

    solution = found.solution
    return {
        "part": target.part,
        "clock_mhz": target.clock_mhz,
        "fps": round(target.fps(solution.cycles), 2),
        "cycles_per_image": solution.cycles,
        "resources": _whole(used(solution.cost)),
        "budget": target.amounts,
        "device": target.device,
        "optimal": solution.optimal,
        "gap": round(solution.gap, 6),
        "area_gap": round(solution.area_gap, 6),
        "search_seconds": round(solution.seconds, 1),
        "seconds": round(seconds, 1),
        "limit_fps": round(target.fps(found.limit_cycles), 2),
        "heuristic": None
        if compared is None
        else {
            "fps": round(target.fps(compared.cycles), 2),
            "cycles_per_image": compared.cycles,
            "resources": _whole(used(compared.cost)),
        },
        "error": _errors(found),
        "folding": found.folding,
    }


def _errors(found: "Folded") -> dict[str, dict[str, float | int | None]]:
    """Error band of each cost model: relative, root mean square over its calibration points."""
    from finn_build.folding.costs.fit import fits

    return {
        unit: {"points": fit.points, "LUT": _rounded(fit.lut_error), "FF": _rounded(fit.ff_error)}
        for unit, fit in sorted(fits().items())
    }


def _rounded(error: float | None) -> float | None:
    return None if error is None else round(error, 3)


def _whole(amounts: dict[str, float]) -> dict[str, int]:
    return {name: round(amounts[name]) for name in KEYS}


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


def _tell(facts: dict[str, Any], found: "Folded", target: "Target", file: Path | None, front: Path | None) -> None:
    from finn_build.folding.fold import slowest

    output, solution = standard_output(), found.solution
    proof = "proven optimal" if solution.optimal else f"at most {solution.gap:.1%} fewer cycles are possible"
    if solution.gap == 0 and not solution.optimal:
        proof = f"the rate is proven best; the area might be {solution.area_gap:.1%} smaller"
    output.print(
        f"{facts['fps']:,.0f} frames a second at {target.clock_mhz:g} MHz: {solution.cycles:,} cycles, set by "
        f"{slowest(found.problem.choices, solution.options)}; {proof}; searched for {solution.seconds:.0f} s"
    )
    output.print(f"chip's own limit, were it as large as one likes: {facts['limit_fps']:,.0f} frames a second")
    step = facts["next_step"]
    if step is not None:
        names = " or ".join(step["limited_by"]) or "several resources together"
        output.print(f"the next step up, {step['fps']:,.0f} frames a second, wants more of {names}")
    table = Table("resource", "optimum", "FINN's SetFolding", "budget", "chip", title=f"predicted for {target.part}")
    compared = facts["heuristic"]
    table.add_row("FPS", f"{facts['fps']:,.0f}", f"{compared['fps']:,.0f}" if compared else "none fits", "", "")
    for name in KEYS:
        rows = (facts["resources"], compared["resources"] if compared else {}, facts["budget"], facts["device"])
        table.add_row(name, *(f"{row[name]:,}" if row else "" for row in rows))
    output.print(table)
    nodes = Table("node", "cycles", "folding", "LUT", "FF", "BRAM18", "DSP", title="each node, and its model's error")
    for choice, option in zip(found.problem.choices, solution.options, strict=True):
        took = option.cost.to_json()
        lut, ff = _band(choice.op, option.attributes)
        said = _said(option.attributes)
        nodes.add_row(
            choice.name, f"{option.cycles:,}", said, f"{took['LUT']:,}{lut}", f"{took['FF']:,}{ff}",
            f"{took['BRAM18']:,}", f"{took['DSP']:,}",
        )  # fmt: skip
    output.print(nodes)
    if facts["memories"]:
        held = Table("weights of", "bits", "BRAM18", "filled", title="memories of weights in block RAM")
        for memory in facts["memories"]:
            row = (f"{memory['bits']:,}", f"{memory['BRAM18']:,}", f"{memory['efficiency']:.0%}")
            held.add_row(memory["node"], *row)
        output.print(held)
    for name, figures in PUBLISHED:
        told = ", ".join(f"{amount:,} {key}" for key, amount in figures.items())
        output.print(f"for comparison, placed by Vivado: {name}: {told}")
    if file is not None:
        told = ", ".join(f"{amount:,} {name}" for name, amount in facts["with_fifos"]["resources"].items())
        output.print(f"with FIFOs as deep as they have to be: {told}; folded for {facts['with_fifos']['budget']:.1%}")
        output.print(f"folding and depths in {file}")
    if front is not None:
        output.print(f"front in {front / 'pareto.csv'}, pareto.png and pareto.svg")


def _said(chosen: Mapping[str, Any]) -> str:
    """A folding in short: PE×SIMD of a matrix-vector unit, the lanes of anything else, then words."""
    words = [str(value) for value in chosen.values() if isinstance(value, str)]
    lanes = [str(chosen[name]) for name in ("PE", "SIMD", "ClassPE") if name in chosen]
    blocks = chosen.get("depth_trigger_bram")
    return " ".join(["×".join(lanes), *words, *([f"block from {blocks}"] if blocks else [])])


CORE_UNITS = {
    "lut": "multipliers in LUTs", "chain": "multipliers in chains of DSPs", "dsp": "multipliers in DSPs",
}  # fmt: skip


def _band(op: str, said: Mapping[str, Any]) -> tuple[str, str]:
    """Relative error of LUTs and flip-flops of the model of a node's logic; nothing where too few points tell one."""
    from finn_build.folding.costs.fit import fits
    from finn_build.folding.costs.nodes import multipliers

    units = fits()
    unit = op
    if op == "MVAU":
        unit = CORE_UNITS[multipliers(said)]
    found = units.get(unit)
    if found is None:
        return "", ""
    lut, ff = ("" if error is None else f" ±{error:.0%}" for error in (found.lut_error, found.ff_error))
    return lut, ff
