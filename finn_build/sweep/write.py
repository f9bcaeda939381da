"""What a sweep leaves: a CSV of all trials, and a picture of accuracy against each cost with its Pareto front."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
BLUE, SHAPES = "#2459d3", "os^Dv"
COLUMNS = ("channels", "bits", "accuracy", "weights", "weight_bits", "macs", "bit_operations", "LUT", "BRAM18", "DSP")


Grid = tuple[list[int], list[list[int]]]


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
    """Accuracy against each cost as one PNG, coloured by bits; trials on a Pareto front are ringed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    shown = [cost for cost in COSTS if _known(figures, cost)]
    rows = -(-len(shown) // 3)
    figure = Figure(figsize=(15, 4.6 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{told.config} with other widths and bits\n{told.sentence(figures)}", fontsize=11)
    grid, points = grid_of(figures), None
    for number, cost in enumerate(shown):
        axes = figure.add_subplot(rows, min(3, len(shown)), number + 1)
        _draw_front(axes, figures, cost, named=grid is None)
        if grid is None:
            points = _draw_cloud(axes, figures, cost)
        else:
            _draw_grid(axes, figures, cost, grid)
        axes.set_xlabel(COSTS[cost])
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylabel("accuracy on held-out images, %" if number % 3 == 0 else "")
        axes.grid(alpha=0.3)
        # Names stand to the right of their points, and below.
        axes.margins(x=0.2 if grid is None else 0.08, y=0.14 if grid is None else 0.08)
    if shown:
        figure.axes[0].legend(loc="lower right", fontsize=8)
    if points is not None:
        figure.colorbar(points, ax=figure.axes, label="mean bits of a weight", shrink=0.7, pad=0.01)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)


def _draw_front(axes: Any, figures: Sequence[Figures], cost: str, named: bool) -> None:
    """The steps of a cost's Pareto front, and a ring around each of its trials; their names where they are wanted."""
    front = [figures[i] for i in _front(figures, cost)]
    at = [float(getattr(one, cost)) for one in front], [100 * one.accuracy for one in front]
    axes.step(*at, where="post", color=BLUE, linewidth=1, label="Pareto front")
    axes.scatter(*at, s=130, facecolors="none", edgecolors=BLUE, linewidths=1.2, zorder=4)
    for one, x, y in zip(front, *at, strict=True):
        if named:
            name = f"{'/'.join(map(str, one.channels))}\n{_bits(one)} bit"
            axes.annotate(name, (x, y), (7, -5), textcoords="offset points", fontsize=7, va="top", zorder=5)


def _draw_grid(axes: Any, figures: Sequence[Figures], cost: str, grid: Grid) -> None:
    """Trials of a grid: a colour a bit width, joined, and a shape a width."""
    from matplotlib import colormaps

    bits, widths = grid
    for number, kind in enumerate(bits):
        alike = [figures[i] for i in _known(figures, cost) if figures[i].bits[0] == kind]
        alike.sort(key=lambda one: one.macs)
        at = [float(getattr(one, cost)) for one in alike], [100 * one.accuracy for one in alike]
        colour = colormaps["viridis"](0.92 * number / max(1, len(bits) - 1))
        axes.plot(*at, ":", color=colour, linewidth=0.9, zorder=3)
        axes.plot([], [], "-", color=colour, linewidth=5, label=f"{kind} bit")
        for one, x, y in zip(alike, *at, strict=True):
            axes.plot(x, y, SHAPES[widths.index(one.channels)], color=colour, markersize=7, zorder=3)
    for shape, channels in zip(SHAPES, widths, strict=False):
        axes.plot([], [], shape, color="0.4", markersize=7, label="/".join(map(str, channels)))


def _draw_cloud(axes: Any, figures: Sequence[Figures], cost: str) -> Any:
    """Trials of any widths and bits, coloured by the mean of their weights' bits."""
    known = [figures[i] for i in _known(figures, cost)]
    depths = [one.weight_bits / one.weights for one in figures]
    at = [float(getattr(one, cost)) for one in known], [100 * one.accuracy for one in known]
    colours = [one.weight_bits / one.weights for one in known]
    return axes.scatter(*at, c=colours, cmap="viridis", vmin=min(depths) - 0.01, vmax=max(depths), s=36, zorder=3)


def grid_of(figures: Sequence[Figures]) -> Grid | None:
    """Bit widths and channels of trials that have one bit width each; None for others, and for more than SHAPES."""
    bits = sorted({one.bits[0] for one in figures})
    widths = sorted(list(channels) for channels in {tuple(one.channels) for one in figures})
    single = all(len(set(one.bits)) == 1 for one in figures)
    return (bits, widths) if single and len(widths) <= len(SHAPES) else None


def _bits(one: Figures) -> str:
    """One number where all groups have it."""
    return str(one.bits[0]) if len(set(one.bits)) == 1 else "/".join(map(str, one.bits))


def _known(figures: Sequence[Figures], cost: str) -> list[int]:
    return [i for i, one in enumerate(figures) if getattr(one, cost) is not None]


def _front(figures: Sequence[Figures], cost: str) -> list[int]:
    at = _known(figures, cost)
    front = pareto([float(getattr(figures[i], cost)) for i in at], [figures[i].accuracy for i in at])
    return [at[i] for i in front]
