"""The picture of a simulation: when each layer sends each image, over cycles."""

from collections.abc import Sequence

from matplotlib.ticker import FuncFormatter, MaxNLocator

from finn_build.report.drawing import NARROW_INCHES, WIDE_INCHES, Plot, canvas, short_name
from finn_build.report.simulated import LayerTime, Simulation
from finn_build.report.svg import Ink, plain_style, to_svg

MOST_NARROW_ROWS = 32


def timeline_plot(simulation: Simulation) -> Plot | None:
    """A row a layer in stream order, a bar an image from its first to its last word; None without a simulation."""
    rows = [row for row in simulation.timeline if row.first]
    if not rows:
        return None
    step = -(-len(rows) // MOST_NARROW_ROWS)
    few = [row for index, row in enumerate(rows) if index % step == 0 or index == len(rows) - 1]
    note = "" if len(few) == len(rows) else f"{len(few)} of {len(rows)} layers on a narrow screen"
    with plain_style():
        return Plot(_drawn(rows, WIDE_INCHES, "timeline-wide"), _drawn(few, NARROW_INCHES, "timeline-narrow"), note)


def _drawn(rows: Sequence[LayerTime], inches: float, name: str) -> str:
    figure, axes = canvas(inches, 0.9 + 0.17 * len(rows))
    tooltips = {}
    for index, row in enumerate(rows):
        for image, first in enumerate(row.first):
            ended = image < len(row.last)
            last = row.last[image] if ended else first
            colour = Ink.SERIES[image % len(Ink.SERIES)]
            (bar,) = axes.barh([index], [max(last - first, 1)], left=first, height=0.74, color=colour)
            gid = f"bar-{index}-{image}"
            bar.set_gid(gid)
            tooltips[gid] = f"{row.name}, image {image}: cycles {first:,} to {last:,}"
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_yticks(range(len(rows)), [short_name(row.name) for row in rows], fontsize=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(7 if inches > 6 else 3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("cycles; a bar is an image from a layer's first word to its last", fontsize=8.5)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    return to_svg(figure, name, "When each layer sends each image, over cycles", tooltips)
