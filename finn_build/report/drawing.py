"""What the report's figures share: sizes, the colour and short name of a layer, the legend."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from finn_build.report.svg import Ink

WIDE_INCHES = 10.6
NARROW_INCHES = 3.9

FAMILIES = (
    ("MVAU", "matrix-vector"),
    ("VVAU", "matrix-vector"),
    ("MatMul", "matrix-vector"),
    ("Threshold", "thresholds"),
    ("ConvolutionInputGenerator", "sliding window"),
    ("SlidingWindow", "sliding window"),
    ("FMPadding", "padding"),
    ("Cam", "CAM"),
)
FAMILY_COLOURS = dict(
    zip(("matrix-vector", "thresholds", "sliding window", "padding", "CAM", "other"), Ink.SERIES, strict=True)
)
SHORT_NAMES = (
    ("ConvolutionInputGenerator", "SWG"),
    ("StreamingDataWidthConverter", "DWC"),
    ("StreamingFIFO", "FIFO"),
    ("DuplicateStreams", "Fork"),
    ("ElementwiseAdd", "Add"),
    ("Thresholding", "Thres"),
    ("GlobalAccPool", "AccPool"),
    ("FMPadding", "Pad"),
    ("_rtl", ""),
    ("_hls", ""),
)


@dataclass(frozen=True)
class Plot:
    """One figure as SVG for a desk and for a phone; equal where one shape serves both."""

    wide: str
    narrow: str
    note: str = ""


def family(op: str) -> str:
    """The group by whose colour an operator is drawn."""
    return next((name for prefix, name in FAMILIES if op.lower().startswith(prefix.lower())), "other")


def short_name(name: str, most: int = 16) -> str:
    """A node's name for an axis: FINN's long operator names abbreviated, the rest cut."""
    for long, short in SHORT_NAMES:
        name = name.replace(long, short)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def canvas(width_inches: float, height_inches: float) -> tuple[Figure, Axes]:
    """An empty figure and its axes."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    return figure, figure.add_subplot()


def legend(axes: Axes, kinds: Sequence[str], inches: float) -> None:
    """The colours of the kinds of layer that a figure shows, above it."""
    patches = [Patch(color=FAMILY_COLOURS[kind]) for kind in kinds]
    axes.legend(
        patches,
        kinds,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncol=len(kinds) if inches > 6 else 3,
        fontsize=8.5,
        borderaxespad=0,
        handlelength=0.9,
        handletextpad=0.5,
        columnspacing=1.4,
    )
