"""What a sweep leaves: a CSV of all trials, and a picture of accuracy against each cost with its Pareto front."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finn_build.cache.store import write_atomically
from finn_build.pages import chance
from finn_build.sweep.trial import Figures

COSTS = {
    "weights": "weights",
    "macs": "MACs an image",
    "bit_operations": "bit operations an image",
    "LUT": "LUT (estimate)",
    "BRAM18": "BRAM18 (estimate)",
    "DSP": "DSP (estimate)",
}
COLUMNS = ("channels", "bits", "accuracy", "weights", "weight_bits", "macs", "bit_operations", "LUT", "BRAM18", "DSP")


@dataclass(frozen=True)
class Told:
    """What a reader has to know of a sweep: whose networks, epochs, images learnt from and held out, frame rate."""

    config: str
    float_epochs: int
    epochs: int
    images: int
    held_out: int
    fps: float

    def sentence(self, figures: Sequence[Figures]) -> str:
        """How each was trained, and which differences mean nothing."""
        best = max((one.accuracy for one in figures), default=0.5)
        epochs = f"{self.float_epochs} float and {self.epochs} quantised" if self.float_epochs else f"{self.epochs}"
        points = 100 * chance(best, self.held_out)
        return (
            f"{epochs} epochs on {self.images:,} images each, {self.held_out:,} others to judge by: "
            f"differences below {points:.1f} points may be chance; "
            f"resources as FINN folds for {self.fps:,.0f} FPS"
        )


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


def page_of(figures: Sequence[Figures], told: Told, picture: str) -> str:
    """The trials as Markdown, smallest first, under the picture: cost by cost, and whose Pareto fronts each is on.

    Args:
        figures: the trials.
        told: see `Told`.
        picture: the plot's file name.
    """
    fronts = {cost: set(_front(figures, cost)) for cost in COSTS}
    lines = [
        f"`{told.config}` with other widths and bits; {told.sentence(figures)}.",
        "",
        f"![Accuracy against weights, MACs, bit operations and estimated resources]({picture})",
        "",
        "| channels | bits | accuracy | weights | MACs | bit operations | LUT | BRAM18 | DSP | Pareto front of |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for i in sorted(range(len(figures)), key=lambda i: (figures[i].weights, figures[i].weight_bits)):
        one = figures[i]
        resources = (one.LUT, one.BRAM18, one.DSP)
        cells = [
            "/".join(map(str, one.channels)),
            _bits(one),
            f"{100 * one.accuracy:.1f} %",
            f"{one.weights:,}",
            f"{one.macs / 1e6:.2f} M",
            f"{one.bit_operations / 1e6:.0f} M",
            *("–" if amount is None else f"{amount:,.0f}" for amount in resources),
            ", ".join(COSTS[cost].split(" (")[0].removesuffix(" an image") for cost in COSTS if i in fronts[cost]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_plot(figures: Sequence[Figures], told: Told, path: Path) -> None:
    """Accuracy against each cost as one PNG, coloured by bits; trials on a Pareto front are joined and named."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    known = {cost: _known(figures, cost) for cost in COSTS}
    shown = [cost for cost in COSTS if known[cost]]
    rows = -(-len(shown) // 3)
    figure = Figure(figsize=(15, 4.6 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{told.config} with other widths and bits\n{told.sentence(figures)}", fontsize=11)
    depths = [one.weight_bits / one.weights for one in figures]
    points = None
    for number, cost in enumerate(shown):
        axes = figure.add_subplot(rows, min(3, len(shown)), number + 1)
        at = known[cost]
        costs = [float(getattr(figures[i], cost)) for i in at]
        percents = [100 * figures[i].accuracy for i in at]
        front = pareto(costs, percents)
        chosen = [costs[i] for i in front], [percents[i] for i in front]
        axes.step(*chosen, where="post", color="#2459d3", linewidth=1, label="Pareto front")
        axes.scatter(*chosen, s=110, facecolors="none", edgecolors="#2459d3", linewidths=1.2)
        colours = [depths[i] for i in at]
        points = axes.scatter(
            costs, percents, c=colours, cmap="viridis", vmin=min(depths) - 0.01, vmax=max(depths), s=36, zorder=3
        )
        for i in front:
            one = figures[at[i]]
            name = f"{'/'.join(map(str, one.channels))}\n{_bits(one)} bit"
            axes.annotate(name, (costs[i], percents[i]), (7, -5), textcoords="offset points", fontsize=7, va="top")
        axes.set_xlabel(COSTS[cost])
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylabel("accuracy on held-out images, %" if number % 3 == 0 else "")
        axes.grid(alpha=0.3)
        # Names stand to the right of their points, and below.
        axes.margins(x=0.2, y=0.14)
    if points is not None:
        figure.axes[0].legend(loc="lower right")
        figure.colorbar(points, ax=figure.axes, label="mean bits of a weight", shrink=0.7, pad=0.01)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)


def _bits(one: Figures) -> str:
    """One number where all groups have it."""
    return str(one.bits[0]) if len(set(one.bits)) == 1 else "/".join(map(str, one.bits))


def _known(figures: Sequence[Figures], cost: str) -> list[int]:
    return [i for i, one in enumerate(figures) if getattr(one, cost) is not None]


def _front(figures: Sequence[Figures], cost: str) -> list[int]:
    at = _known(figures, cost)
    front = pareto([float(getattr(figures[i], cost)) for i in at], [figures[i].accuracy for i in at])
    return [at[i] for i in front]
