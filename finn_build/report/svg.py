"""Matplotlib figures as inline SVG: deterministic, coloured by the page's CSS variables, with tooltips.

A figure is drawn in stand-in colours (`Ink`), which are then replaced by `var(--name)`: so one figure follows the page
between light and dark. Letters stay letters, in the page's font.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import matplotlib
from markupsafe import escape
from matplotlib.figure import Figure


class Ink:
    """Stand-in colours and, below, the CSS variable that each becomes."""

    TEXT = "#010101"
    MUTED = "#020202"
    GRID = "#030303"
    ACCENT = "#040404"
    BAD = "#050505"
    MARK = "#060606"
    SERIES = ("#0a0a0a", "#0b0b0b", "#0c0c0c", "#0d0d0d", "#0e0e0e", "#0f0f0f")


VARIABLES = {
    Ink.TEXT: "ink",
    Ink.MUTED: "muted",
    Ink.GRID: "line",
    Ink.ACCENT: "accent",
    Ink.BAD: "bad",
    Ink.MARK: "mark",
    **{colour: f"series-{index}" for index, colour in enumerate(Ink.SERIES)},
}

STYLE = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": Ink.TEXT,
    "axes.labelcolor": Ink.MUTED,
    "axes.edgecolor": Ink.GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": Ink.GRID,
    "grid.linewidth": 0.6,
    "xtick.color": Ink.MUTED,
    "ytick.color": Ink.MUTED,
    "xtick.major.width": 0.0,
    "ytick.major.width": 0.0,
    "legend.frameon": False,
    "legend.labelcolor": Ink.TEXT,
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib's own defaults and ours, whatever a user's matplotlibrc says; put back afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def to_svg(figure: Figure, name: str, label: str, tooltips: Mapping[str, str] | None = None) -> str:
    """A figure as an `<svg>` element.

    Args:
        figure: drawn under `plain_style`.
        name: unique on the page; goes before every id within.
        label: what it shows, for those who hear the page.
        tooltips: text by the gid of an artist.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for gid, told in (tooltips or {}).items():
        text = text.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(told)}</title>', 1)
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    # The page scales it: its own size in points would overflow a phone.
    text = re.sub(
        r'<svg\b[^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg class="plot" role="img" viewBox="\1" aria-label="{escape(label)}">',
        text,
        count=1,
    )
    return text.strip()
