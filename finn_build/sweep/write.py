"""What a sweep leaves: a CSV of all trials, and a picture of accuracy against each cost with its Pareto front."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from finn_build.cache.store import write_atomically
from finn_build.sweep.trial import Figures

COSTS = {
    "weights": "weights",
    "macs": "MACs an image",
    "bit_operations": "bit operations an image",
    "LUT": "LUT (estimate, lower bound)",
    "BRAM18": "BRAM18 (estimate)",
    "DSP": "DSP (estimate)",
}
COLUMNS = ("channels", "bits", "accuracy", "weights", "weight_bits", "macs", "bit_operations", "LUT", "BRAM18", "DSP")


def pareto(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Which points no other one beats: nothing costs as little and is as right without being the same point.

    Returns:
        Their positions, cheapest first; of equal points the first.
    """
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -accuracies[i], i))
    front: list[int] = []
    for i in order:
        if not front or accuracies[i] > accuracies[front[-1]]:
            front.append(i)
    return front


def write_table(figures: Sequence[Figures], path: Path) -> None:
    """The trials as CSV, best first; `front_<cost>` is 1 where a trial lies on that cost's Pareto front."""
    fronts = {cost: set(_front(figures, cost)) for cost in COSTS}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS, "fps", "fits", "seconds", *(f"front_{cost}" for cost in COSTS)])
    for i in sorted(range(len(figures)), key=lambda i: -figures[i].accuracy):
        one = figures[i]
        shape = ["/".join(map(str, one.channels)), "/".join(map(str, one.bits))]
        values = [getattr(one, name) for name in COLUMNS[2:]]
        rest = ["" if value is None else value for value in (*values, one.fps, one.fits, one.seconds)]
        table.writerow([*shape, *rest, *(int(i in fronts[cost]) for cost in COSTS)])
    write_atomically(path, text.getvalue())


def write_plot(figures: Sequence[Figures], title: str, path: Path) -> None:
    """Accuracy against each cost as one PNG; trials on a Pareto front are marked and named."""
    from matplotlib.figure import Figure

    known = {cost: _known(figures, cost) for cost in COSTS}
    shown = [cost for cost in COSTS if known[cost]]
    rows = -(-len(shown) // 3)
    figure = Figure(figsize=(15, 4.6 * rows), layout="constrained")
    figure.suptitle(title)
    for number, cost in enumerate(shown):
        axes = figure.add_subplot(rows, min(3, len(shown)), number + 1)
        at = known[cost]
        costs = [float(getattr(figures[i], cost)) for i in at]
        percents = [100 * figures[i].accuracy for i in at]
        front = pareto(costs, percents)
        axes.scatter(costs, percents, color="#98a1b0", label="trial")
        chosen = [costs[i] for i in front], [percents[i] for i in front]
        axes.step(*chosen, where="post", color="#2459d3", linewidth=1)
        axes.scatter(*chosen, color="#2459d3", zorder=3, label="Pareto front")
        for i in front:
            one = figures[at[i]]
            name = f"{'/'.join(map(str, one.channels))}\n{'/'.join(map(str, one.bits))} bit"
            axes.annotate(name, (costs[i], percents[i]), (4, -4), textcoords="offset points", fontsize=7, va="top")
        axes.set_xlabel(COSTS[cost])
        axes.set_ylabel("accuracy on held-out images, %" if number % 3 == 0 else "")
        axes.grid(alpha=0.3)
        axes.margins(x=0.22)
    if shown:
        figure.axes[0].legend(loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)


def _known(figures: Sequence[Figures], cost: str) -> list[int]:
    return [i for i, one in enumerate(figures) if getattr(one, cost) is not None]


def _front(figures: Sequence[Figures], cost: str) -> list[int]:
    at = _known(figures, cost)
    front = pareto([float(getattr(figures[i], cost)) for i in at], [figures[i].accuracy for i in at])
    return [at[i] for i in front]
