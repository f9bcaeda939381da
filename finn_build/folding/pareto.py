"""Throughput against the chip: the least area for each frame rate, as a table and a picture."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from finn_build.folding.fold import Folded, Target
from finn_build.folding.optimise import limit, smallest, used
from finn_build.folding.program import area

STEPS = 12
SECONDS = 8.0


@dataclass(frozen=True)
class FrontPoint:
    """A folding that no other beats in both rate and area.

    Attributes:
        cycles: from frame to frame.
        fps: frames a second.
        amounts: of each resource.
        gap: by which share its area might be smaller.
    """

    cycles: int
    fps: float
    amounts: dict[str, float]
    gap: float


def front(found: Folded, target: Target, on_progress: Callable[[float], None]) -> list[FrontPoint]:
    """The front from a sixteenth of the best rate within the budget up to what the whole chip, 100 %, allows."""
    best = found.solution.cycles
    cycles = sorted({o.cycles for choice in found.problem.choices for o in choice.options if choice.op == "MVAU"})
    wanted = [c for c in cycles if max(limit(found.problem), best // 4) <= c <= 16 * best]
    kept = sorted({best, *wanted[:: max(1, len(wanted) // STEPS)]}, reverse=True)
    points: list[tuple[FrontPoint, float]] = []
    for index, most in enumerate(kept):
        solution = smallest(found.problem, most, target.device, target.device, SECONDS)
        on_progress((index + 1) / len(kept))
        if solution is not None:
            rate = target.fps(solution.cycles)
            point = FrontPoint(solution.cycles, rate, used(solution.cost), solution.area_gap)
            points.append((point, area(solution.cost, target.device)))
    return undominated(points)


def undominated(points: Sequence[tuple[FrontPoint, float]]) -> list[FrontPoint]:
    """Those of which none is both as fast and as small, the slowest first.

    Args:
        points: each with its area.
    """
    kept: list[FrontPoint] = []
    smallest_area = inf
    for point, taken in sorted(points, key=lambda pair: (pair[0].cycles, pair[1])):
        if taken < smallest_area:
            kept.insert(0, point)
            smallest_area = taken
    return kept


def write_csv(points: list[FrontPoint], path: Path) -> None:
    """A line a point."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["fps", "cycles", "LUT", "FF", "BRAM18", "DSP", "slices", "gap"])
        for point in points:
            amounts = [round(amount) for amount in point.amounts.values()]
            rows.writerow([f"{point.fps:.1f}", point.cycles, *amounts, f"{point.gap:.4f}"])


def draw(points: list[FrontPoint], target: Target, path: Path) -> None:
    """Share of each resource over frames a second, with the budget; PNG or SVG by the path's name."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    whole = target.device
    for name in whole:
        shares = [100 * point.amounts[name] / whole[name] for point in points]
        axes.plot([point.fps for point in points], shares, marker="o", markersize=3, label=name)
    axes.axhline(
        100 * target.budget, color="black", linewidth=0.8, linestyle="--", label=f"budget, {target.budget:.0%}"
    )
    axes.set(xlabel=f"frames a second at {target.clock_mhz:g} MHz", ylabel=f"% of {target.part}", xscale="log")
    axes.set_ylim(0, 105)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="0.9")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
