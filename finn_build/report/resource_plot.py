"""Resources against the budget, stacked by kind of layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from finn_build.report.drawing import FAMILY_COLOURS, NARROW_INCHES, WIDE_INCHES, Plot, canvas, family, legend
from finn_build.report.hardware import Hardware
from finn_build.report.svg import Ink, plain_style, to_svg
from finn_build.report.verdict import told

LONGEST_BAR = 2.0
"""In devices: a network that misses by more has its bar cut there, and says its figure beside it."""


@dataclass(frozen=True)
class Row:
    """One resource: amounts, absolute."""

    name: str
    used: float
    device: float
    budget: float | None
    told: str

    @property
    def over(self) -> bool:
        """Whether it exceeds the budget."""
        return self.budget is not None and self.used > self.budget


def resources_plot(hardware: Hardware) -> Plot | None:
    """Resources as shares of the device, stacked by kind of layer, with the budget's line; None without figures."""
    device, budget = dict(hardware.device.items()), dict(hardware.budget.items())
    rows = []
    for name, used in hardware.resources.items():
        whole = device[name]
        if used is not None and whole:
            bound = "≥ " if name in hardware.lower_bounds else ""
            words = f"{bound}{told(used)} of {told(whole)}, {used / whole:.0%}"
            rows.append(Row(name, float(used), float(whole), budget[name], words))
    if not rows:
        return None
    with plain_style():
        return Plot(_wide(hardware, rows), _narrow(hardware, rows))


def _wide(hardware: Hardware, rows: Sequence[Row]) -> str:
    figure, axes = canvas(WIDE_INCHES, 1.0 + 0.44 * len(rows))
    tooltips, longest = _bars(axes, hardware, rows, WIDE_INCHES, height=0.6)
    for index, row in enumerate(rows):
        colour = Ink.BAD if row.over else Ink.TEXT
        axes.text(longest * 1.02, index, row.told, va="center", fontsize=9, color=colour)
    axes.set_xlim(0, longest * 1.26)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=9, color=Ink.TEXT)
    return to_svg(figure, "resources-wide", "Resources as shares of the device, with the budget", tooltips)


def _narrow(hardware: Hardware, rows: Sequence[Row]) -> str:
    figure, axes = canvas(NARROW_INCHES, 1.1 + 0.52 * len(rows))
    tooltips, longest = _bars(axes, hardware, rows, NARROW_INCHES, height=0.36)
    for index, row in enumerate(rows):
        colour = Ink.BAD if row.over else Ink.TEXT
        axes.text(0, index - 0.26, f"{row.name}  {row.told}", va="bottom", fontsize=8.5, color=colour)
    axes.set_xlim(0, longest * 1.02)
    axes.set_ylim(len(rows) - 0.5, -0.8)
    axes.set_yticks([])
    return to_svg(figure, "resources-narrow", "Resources as shares of the device, with the budget", tooltips)


def _bars(
    axes: Axes, hardware: Hardware, rows: Sequence[Row], inches: float, height: float
) -> tuple[dict[str, str], float]:
    """Draws bars, budget marks and the shares' axis; returns tooltips and the axis' end in devices."""
    tooltips: dict[str, str] = {}
    seen = set()
    longest = min(LONGEST_BAR, max(1.0, *(row.used / row.device for row in rows)))
    for index, row in enumerate(rows):
        left = 0.0
        for kind, amount in _shares(hardware, row):
            width = min(amount / row.device, longest - left)
            bar = axes.barh([index], [width], left=left, height=height, color=FAMILY_COLOURS[kind])[0]
            left += width
            gid = f"{row.name}-{kind.replace(' ', '-')}"
            bar.set_gid(gid)
            tooltips[gid] = f"{row.name}, {kind}: {told(amount)}"
            seen.add(kind)
        if row.budget is not None:
            share = row.budget / row.device
            colour = Ink.BAD if row.over else Ink.TEXT
            axes.plot([share, share], [index - height * 0.7, index + height * 0.7], color=colour, linewidth=1.8)
    shares = {round(row.budget / row.device, 2) for row in rows if row.budget is not None}
    axes.axvline(1.0, color=Ink.GRID, linewidth=1.2)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    ticks = {0.0: "0", 0.25: "25 %", 0.5: "50 %", 1.0: "device"}
    ticks |= {share: f"budget {share:.0%}" for share in shares} if len(shares) == 1 else {0.75: "75 %"}
    if longest > 1.5:
        ticks = {0.0: "0", 1.0: "device", longest: f"{longest:.1f} devices"}
    if shares == {1.0}:
        ticks[1.0] = "device, budget"
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=8)
    legend(axes, [kind for kind in FAMILY_COLOURS if kind in seen], inches)
    return tooltips, longest


def _shares(hardware: Hardware, row: Row) -> list[tuple[str, float]]:
    """Amounts by kind of layer; what the layers do not account for counts as other, and never more than is used."""
    amounts = dict.fromkeys(FAMILY_COLOURS, 0.0)
    for layer in hardware.layers:
        amounts[family(layer.op)] += float(getattr(layer, row.name) or 0)
    total = sum(amounts.values())
    if total > row.used > 0:
        amounts = {kind: amount * row.used / total for kind, amount in amounts.items()}
    amounts["other"] += max(0.0, row.used - total)
    return [(kind, amount) for kind, amount in amounts.items() if amount > 0]
