"""What the page says of a folding: the optimum beside FINN's heuristic, its proof, its limits. No markup here."""

from typing import Any

from finn_build.report.balance_plot import balance_plot
from finn_build.report.folded import Errors, Evidence, Folded
from finn_build.report.verdict import told

RESOURCES = ("LUT", "FF", "BRAM18", "DSP", "slices")


def folding(folded: Folded | None) -> dict[str, Any] | None:
    """For the template; None where the build's folding is none that was searched for."""
    if folded is None:
        return None
    columns = ["FINN's SetFolding"] if folded.heuristic else []
    columns += ["optimum", *(["with its FIFOs"] if folded.with_fifos else []), f"{folded.share:.0%} budget", "chip"]
    return {
        "lead": _lead(folded),
        "facts": _facts(folded),
        "columns": columns,
        "rows": _rows(folded),
        "published": "; ".join(
            f"{design.name}: {design.LUT:,} LUT, {design.FF:,} FF, {design.BRAM36:,} BRAM36"
            for design in folded.published
        ),
        "plot": balance_plot(folded),
        "memories": [
            {"memory": memory, "share": round(100 * memory.efficiency, 1), "told": f"{memory.efficiency:.0%}"}
            for memory in folded.memories
        ],
        "filled": _filled(folded),
        "nodes": [
            {
                "node": node,
                "slowest": node.cycles == folded.cycles_per_image,
                "share": round(min(100.0, 100 * node.cycles / folded.cycles_per_image), 1),
                "lut": f"{node.LUT:,}{band(node.error, 'LUT')}",
                "ff": f"{node.FF:,}{band(node.error, 'FF')}",
            }
            for node in folded.nodes
        ],
        "models": [
            (unit, told(error.points), _error(error.LUT), _error(error.FF)) for unit, error in folded.error.items()
        ],
        "evidence": _evidence(folded, folded.evidence),
    }


def band(errors: Errors, name: str) -> str:
    """An estimate's relative error; nothing where nobody knows one."""
    error = errors.get(name)
    return "" if error is None else f" ±{error:.0%}"


def _lead(folded: Folded) -> str:
    if folded.wanted_fps is None:
        what = f"The most frames a second within {folded.share:.0%} of {folded.part}"
        beside = "at the highest rate at which all that it makes stays within the same budget"
    else:
        what = f"The smallest accelerator for {told(folded.wanted_fps)} frames a second on {folded.part}"
        beside = "told the same rate"
    return (
        f"{what}, by an integer program over all legal foldings. FINN's heuristic stands beside it, {beside}, by the "
        "same cost models."
    )


def _facts(folded: Folded) -> list[tuple[str, str]]:
    """What is known of the optimum, and what limits it."""
    slowest = [node.node for node in folded.nodes if node.cycles == folded.cycles_per_image]
    others = f" and {len(slowest) - 1} more" if len(slowest) > 1 else ""
    found = [
        ("rate", f"{_rate(folded.fps)} at {told(folded.clock_mhz)} MHz, {folded.cycles_per_image:,} cycles an image"),
        ("set by", f"{folded.bottleneck}{others}"),
        ("proof", _proof(folded)),
    ]
    if folded.heuristic is not None and folded.wanted_fps is None:
        found.append(("against SetFolding", f"{folded.fps / folded.heuristic.fps:.2f} times its rate"))
    if folded.next_step is not None:
        names = " or ".join(folded.next_step.limited_by)
        wants = f"more {names}" if names else "more of several resources together"
        found.append(("next step up", f"{_rate(folded.next_step.fps)}, for which it wants {wants}"))
    found.append(("whole chip", f"no folding within 100 % of it reaches more than {_rate(folded.chip_fps)}"))
    found.append(("chip of any size", f"{_rate(folded.limit_fps)}: then the slowest node is as parallel as can be"))
    if folded.with_fifos is not None:
        found.append(("searched within", f"{folded.with_fifos.budget:.1%}, so that its FIFOs fit the budget too"))
    return found


def _rate(fps: float) -> str:
    return f"{fps:,.0f} FPS" if fps >= 100 else f"{fps:.3g} FPS"


def _proof(folded: Folded) -> str:
    took = f"; searched for {folded.seconds:.0f} s"
    if folded.optimal:
        return f"no legal folding within the budget is faster, and none as fast is smaller{took}"
    if folded.gap == 0:
        return f"none is faster; one as fast might be {folded.area_gap:.1%} smaller{took}"
    return f"not complete: at most {folded.gap:.1%} fewer cycles are possible{took}"


def _rows(folded: Folded) -> list[tuple[str, list[str]]]:
    other, fifos = folded.heuristic, folded.with_fifos
    rates = [f"{one.fps:,.0f}" for one in (other, folded, fifos) if one] + ["", ""]
    rows = [("FPS", rates)]
    for name in RESOURCES:
        cells = [] if other is None else [f"{told(other.resources.get(name))}{band(other.resources_error, name)}"]
        cells.append(f"{told(folded.resources.get(name))}{band(folded.resources_error, name)}")
        cells += [told(fifos.resources.get(name))] if fifos else []
        cells += [told(folded.budget.get(name)), told(folded.device.get(name))]
        rows.append((name, cells))
    return rows


def _filled(folded: Folded) -> str:
    bits, blocks = sum(m.bits for m in folded.memories), sum(m.BRAM18 for m in folded.memories)
    return f"{bits / (blocks * 18 * 1024):.0%}" if blocks else ""


def _error(error: float | None) -> str:
    return "–" if error is None else f"±{error:.0%}"


def _evidence(folded: Folded, evidence: Evidence) -> dict[str, Any]:
    synthesis, simulation = evidence.synthesis, evidence.simulation
    found: dict[str, Any] = {"synthesis": None, "simulation": None}
    if synthesis is not None:
        found["synthesis"] = {
            "rows": [
                (name, told(synthesis.predicted.get(name)), told(amount), f"{synthesis.error.get(name, 0):+.1%}")
                for name in RESOURCES
                if (amount := synthesis.resources.get(name)) is not None
            ],
            "told": f"{synthesis.tool}, {synthesis.whole}" if synthesis.tool and synthesis.whole else synthesis.tool,
            "command": synthesis.command,
        }
    if simulation is not None:
        found["simulation"] = {"facts": _simulated(folded, evidence), "command": simulation.command}
    return found


def _simulated(folded: Folded, evidence: Evidence) -> list[tuple[str, str]]:
    run = evidence.simulation
    if run is None:
        return []
    facts = [("words compared", f"{told(run.values)} of {told(run.images)} images, {told(run.mismatches)} differ")]
    for name, value, key in (
        ("interval", run.interval_cycles, "interval_cycles"),
        ("latency", run.latency_cycles, "latency_cycles"),
    ):
        if value is not None:
            model = run.predicted.get(key)
            foretold = "" if model is None else f", {told(model)} by the stream model"
            above = f", {value / folded.cycles_per_image - 1:.1%} above the optimum" if name == "interval" else ""
            facts.append((name, f"{told(value)} cycles{foretold}{above}"))
    return [*facts, *([("CAM block", run.cam)] if run.cam else [])]
