"""The picture of a folding's balance: cycles of each node, the optimum against FINN's heuristic, logarithmic."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from finn_build.report.drawing import NARROW_INCHES, WIDE_INCHES, Plot, canvas, short_name
from finn_build.report.folded import Folded, FoldedNode
from finn_build.report.svg import Ink, plain_style, to_svg

MOST_NAMED_COLUMNS = 64
MOST_NARROW_ROWS = 48
LABEL = "Cycles of each node, the optimum against FINN's SetFolding"
OPTIMUM, HEURISTIC = Ink.SERIES[0], Ink.SERIES[2]


def balance_plot(folded: Folded) -> Plot | None:
    """Each node's cycles for one image in stream order, the slowest marked; None where no node has any."""
    nodes = [node for node in folded.nodes if node.cycles]
    if not nodes:
        return None
    slowest = sorted(nodes, key=lambda node: -node.cycles)[:MOST_NARROW_ROWS]
    few = [node for node in nodes if node in slowest]
    note = "" if len(few) == len(nodes) else f"the slowest {len(few)} of {len(nodes)} nodes on a narrow screen"
    with plain_style():
        return Plot(_columns(folded, nodes), _rows(folded, few), note)


def _columns(folded: Folded, nodes: Sequence[FoldedNode]) -> str:
    named = len(nodes) <= MOST_NAMED_COLUMNS
    figure, axes = canvas(WIDE_INCHES, 4.2 if named else 3.4)
    tooltips = {}
    for index, node in enumerate(nodes):
        if node.heuristic is not None and node.heuristic.cycles:
            axes.plot([index, index], [node.cycles, node.heuristic.cycles], color=Ink.GRID, linewidth=1.4, zorder=1)
            axes.plot([index], [node.heuristic.cycles], "o", color=HEURISTIC, markersize=5.5, fillstyle="none")
        (point,) = axes.plot([index], [node.cycles], "o", color=_colour(folded, node), markersize=5.5)
        point.set_gid(f"node-{index}")
        tooltips[f"node-{index}"] = _told(node)
    axes.set_yscale("log")
    _plain_log(axes, "y")
    axes.set_xlim(-0.7, len(nodes) - 0.3)
    axes.spines["left"].set_visible(False)
    if named:
        axes.set_xticks(range(len(nodes)), [short_name(node.node) for node in nodes], rotation=90, fontsize=7.5)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(nodes)} nodes in stream order", fontsize=8.5)
    axes.set_ylabel("cycles an image", fontsize=8.5)
    axes.axhline(folded.cycles_per_image, color=Ink.MARK, linewidth=0.9, linestyle="--", zorder=0)
    if folded.heuristic is not None:
        axes.axhline(folded.heuristic.cycles_per_image, color=HEURISTIC, linewidth=0.9, linestyle="--", zorder=0)
    _legend(axes, folded, columns=3)
    return to_svg(figure, "balance-wide", LABEL, tooltips)


def _rows(folded: Folded, nodes: Sequence[FoldedNode]) -> str:
    figure, axes = canvas(NARROW_INCHES, 1.2 + 0.19 * len(nodes))
    for index, node in enumerate(nodes):
        if node.heuristic is not None and node.heuristic.cycles:
            axes.plot([node.cycles, node.heuristic.cycles], [index, index], color=Ink.GRID, linewidth=1.4, zorder=1)
            axes.plot([node.heuristic.cycles], [index], "o", color=HEURISTIC, markersize=5, fillstyle="none")
        axes.plot([node.cycles], [index], "o", color=_colour(folded, node), markersize=5)
    axes.set_xscale("log")
    _plain_log(axes, "x")
    axes.set_ylim(len(nodes) - 0.4, -0.6)
    axes.set_yticks(range(len(nodes)), [short_name(node.node) for node in nodes], fontsize=8)
    axes.set_xlabel("cycles an image", fontsize=8.5)
    axes.axvline(folded.cycles_per_image, color=Ink.MARK, linewidth=0.9, linestyle="--", zorder=0)
    if folded.heuristic is not None:
        axes.axvline(folded.heuristic.cycles_per_image, color=HEURISTIC, linewidth=0.9, linestyle="--", zorder=0)
    _legend(axes, folded, columns=1)
    return to_svg(figure, "balance-narrow", LABEL)


def _plain_log(axes: Axes, which: str) -> None:
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
    # Beside each other whole numbers would touch.
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if which == "y" else _short(value)))
    axes.minorticks_off()
    axes.grid(axis="y" if which == "y" else "x")


def _short(value: float) -> str:
    for limit, letter in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


def _legend(axes: Axes, folded: Folded, columns: int) -> None:
    def point(colour: str, label: str, fill: str = "full") -> Line2D:
        return Line2D([], [], marker="o", linestyle="", color=colour, label=label, fillstyle=fill, markersize=5.5)  # type: ignore[arg-type]

    handles = [
        point(Ink.MARK, f"sets the rate: {folded.cycles_per_image:,} cycles"),
        point(OPTIMUM, "optimum"),
    ]
    if folded.heuristic is not None:
        told = f"FINN's SetFolding: {folded.heuristic.cycles_per_image:,} cycles"
        handles.append(point(HEURISTIC, told, "none"))
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncol=columns,
        fontsize=8.5,
        borderaxespad=0,
        handletextpad=0.2,
        columnspacing=1.4,
    )


def _colour(folded: Folded, node: FoldedNode) -> str:
    return Ink.MARK if node.cycles == folded.cycles_per_image else OPTIMUM


def _told(node: FoldedNode) -> str:
    other = "" if node.heuristic is None else f", SetFolding {node.heuristic.cycles:,} ({node.heuristic.folding})"
    return f"{node.node}: {node.cycles:,} cycles ({node.folding}){other}"
