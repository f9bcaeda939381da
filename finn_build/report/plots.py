"""The report's figures of cycles and of layer errors. Each is drawn twice: `wide` for a desk, `narrow` for a phone."""

import math
from collections.abc import Sequence

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from finn_build.report.drawing import (
    FAMILY_COLOURS,
    NARROW_INCHES,
    WIDE_INCHES,
    Plot,
    canvas,
    family,
    legend,
    short_name,
)
from finn_build.report.hardware import Hardware, HardwareLayer
from finn_build.report.schema import LayerFidelity
from finn_build.report.svg import Ink, plain_style, to_svg

MOST_NAMED_COLUMNS = 64
MOST_NARROW_ROWS = 48


def cycles_plot(hardware: Hardware) -> Plot | None:
    """Cycles of each layer for one image, in stream order, the bottleneck marked; None where no layer has any."""
    layers = [layer for layer in hardware.layers if layer.cycles]
    if not layers:
        return None
    slowest = sorted(layers, key=lambda layer: -(layer.cycles or 0))[:MOST_NARROW_ROWS]
    shown = [layer for layer in layers if layer in slowest]
    note = "" if len(shown) == len(layers) else f"the slowest {len(shown)} of {len(layers)} layers on a narrow screen"
    with plain_style():
        return Plot(_cycle_columns(hardware, layers), _cycle_rows(hardware, shown), note)


def fidelity_plot(layers: Sequence[LayerFidelity]) -> Plot | None:
    """Mean square error of each layer against float, logarithmic; None where nothing was measured."""
    measured = [layer for layer in layers if layer.mse_brevitas or layer.mse_qonnx]
    if not measured:
        return None
    with plain_style():
        return Plot(
            _fidelity(measured, WIDE_INCHES, "fidelity-wide"), _fidelity(measured, NARROW_INCHES, "fidelity-narrow")
        )


def _cycle_columns(hardware: Hardware, layers: Sequence[HardwareLayer]) -> str:
    named = len(layers) <= MOST_NAMED_COLUMNS
    figure, axes = canvas(WIDE_INCHES, 3.9 if named else 3.2)
    tooltips = {}
    for index, layer in enumerate(layers):
        (bar,) = axes.bar([index], [layer.cycles or 0], width=0.78, color=_layer_colour(hardware, layer))
        bar.set_gid(f"layer-{index}")
        tooltips[f"layer-{index}"] = _told_layer(layer)
    axes.set_xlim(-0.7, len(layers) - 0.3)
    top = max(layer.cycles or 0 for layer in layers)
    axes.set_ylim(0, top * 1.16)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    if named:
        axes.set_xticks(range(len(layers)), [short_name(layer.name) for layer in layers], rotation=90, fontsize=7.5)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(layers)} layers in stream order", fontsize=8.5)
    axes.set_ylabel("cycles an image", fontsize=8.5)
    position = next((i for i, layer in enumerate(layers) if layer.name == hardware.bottleneck), None)
    if position is not None:
        alignment = "left" if position < len(layers) * 0.2 else "right" if position > len(layers) * 0.8 else "center"
        label = f"bottleneck {short_name(hardware.bottleneck, 28)}: {layers[position].cycles:,}"
        axes.annotate(
            label,
            (position, layers[position].cycles or 0),
            xytext=(0, 5),
            textcoords="offset points",
            ha=alignment,
            fontsize=9,
            color=Ink.MARK,
        )
    legend(axes, _families(layers), WIDE_INCHES)
    return to_svg(figure, "cycles-wide", "Cycles of each layer for one image, in stream order", tooltips)


def _cycle_rows(hardware: Hardware, layers: Sequence[HardwareLayer]) -> str:
    figure, axes = canvas(NARROW_INCHES, 0.9 + 0.19 * len(layers))
    top = max(layer.cycles or 0 for layer in layers)
    for index, layer in enumerate(layers):
        axes.barh([index], [layer.cycles or 0], height=0.72, color=_layer_colour(hardware, layer))
        marked = layer.name == hardware.bottleneck
        axes.text(
            (layer.cycles or 0) + top * 0.015,
            index,
            f"{layer.cycles:,}",
            va="center",
            fontsize=8,
            color=Ink.MARK if marked else Ink.MUTED,
        )
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlim(0, top * 1.22)
    axes.set_yticks(range(len(layers)), [short_name(layer.name) for layer in layers], fontsize=8)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    legend(axes, _families(layers), NARROW_INCHES)
    return to_svg(figure, "cycles-narrow", "Cycles of each layer for one image, in stream order")


def _fidelity(layers: Sequence[LayerFidelity], inches: float, name: str) -> str:
    figure, axes = canvas(inches, 2.7)
    for key, label, colour, marker, size in (
        ("mse_brevitas", "Brevitas", Ink.SERIES[0], "o", 5.5),
        ("mse_qonnx", "QONNX", Ink.SERIES[1], "x", 5.0),
    ):
        points = [(i, getattr(layer, key)) for i, layer in enumerate(layers) if getattr(layer, key)]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=size, label=label, fillstyle="none")
    axes.set_yscale("log")
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
    # Exponents as letters: math text would come out in another font.
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _exponential(value)))
    axes.set_xticks([])
    axes.set_xlim(-0.7, len(layers) - 0.3)
    axes.set_xlabel(f"{len(layers)} layers, from the input to the logits", fontsize=8.5)
    axes.set_ylabel("mean square error", fontsize=8.5)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncol=2, fontsize=8.5, borderaxespad=0, handletextpad=0.3)
    return to_svg(figure, name, "Mean square error of each layer against float")


def _layer_colour(hardware: Hardware, layer: HardwareLayer) -> str:
    return Ink.MARK if layer.name == hardware.bottleneck else FAMILY_COLOURS[family(layer.op)]


def _told_layer(layer: HardwareLayer) -> str:
    folding = "".join(
        f", {key} {value}" for key, value in (("PE", layer.pe), ("SIMD", layer.simd)) if value is not None
    )
    return f"{layer.name}: {layer.cycles:,} cycles{folding}"


def _families(layers: Sequence[HardwareLayer]) -> list[str]:
    seen = {family(layer.op) for layer in layers}
    return [kind for kind in FAMILY_COLOURS if kind in seen]


def _thousands(value: float, _: int) -> str:
    return f"{value:,.0f}"


def _exponential(value: float) -> str:
    exponent = math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if -3 <= exponent <= 3 else f"{value / 10**exponent:.0f}e{exponent}"
