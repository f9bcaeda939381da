"""The page's headline: what was compiled, the four figures that matter, and whether it fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from finn_build.report.hardware import Hardware
from finn_build.report.schema import Accuracy, Report
from finn_build.report.verdict import told
from finn_build.report.words import compact, percent


@dataclass(frozen=True)
class Tile:
    """A headline figure; `kind` is 'words' where the figure is none, 'bad' where it should not be."""

    name: str
    figure: str
    told: str
    unit: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Gauge:
    """A resource in percent of the device."""

    name: str
    told: str
    share: float
    limit: float | None
    over: bool


@dataclass(frozen=True)
class Gauges:
    """All resources, and in words whether they fit."""

    title: str
    rows: Sequence[Gauge]
    fits: bool


def tiles(report: Report) -> list[Tile]:
    """The headline: speed, accuracy, exactness, heatmap."""
    return [_speed_tile(report), _accuracy_tile(report), _exact_tile(report), _cam_tile(report)]


def about(report: Report) -> str:
    """What was compiled, in one line."""
    parts = []
    network = report.network
    if network is not None:
        bits = (network.weight_bits, network.act_bits)
        parts += [network.description] if network.description else []
        parts += [f"{bits[0]}-bit weights, {bits[1]}-bit activations"] if None not in bits else []
        parts += [f"{network.input[1]} × {network.input[0]} pixels"] if network.input else []
        parts += [f"{network.weights:,} weights"] if network.weights else []
        parts += [f"{compact(network.macs)} MACs an image"] if network.macs else []
        parts += [] if network.trained else ["untrained: seeded random weights"]
    if report.hardware is not None:
        parts.append(f"{report.hardware.board or report.hardware.part} at {told(report.hardware.clock_mhz)} MHz")
    return " · ".join(parts)


def _speed_tile(report: Report) -> Tile:
    hardware = report.hardware
    if hardware is None:
        return Tile("Throughput", "not estimated", "the build stopped before the hardware", kind="words")
    fps = f"{hardware.fps:,.0f}" if hardware.fps >= 100 else f"{hardware.fps:.3g}"
    cycles = f"{hardware.cycles_per_image:,} cycles an image at {told(hardware.clock_mhz)} MHz"
    return Tile("Throughput, estimated", fps, cycles, unit="FPS")


def _accuracy_tile(report: Report) -> Tile:
    accuracy = report.accuracy
    if accuracy is None:
        return Tile("Accuracy", "not measured", "no data set", kind="words")
    best = next(
        ((name, value) for name, value, _ in accuracies(accuracy)[::-1] if value != "–"), ("integer graph", "–")
    )
    others = [
        f"{name} {percent(value)}"
        for name, value in (("float", accuracy.float_), ("Brevitas", accuracy.quantised))
        if value is not None and percent(value) != best[1]
    ]
    copy = " (a copy)" if accuracy.note else ""
    where = f"{accuracy.dataset}{copy}, {accuracy.images:,} {accuracy.split} images"
    return Tile(f"Accuracy, {best[0]}", best[1].removesuffix(" %"), "; ".join([*others, where]), unit="%")


def _exact_tile(report: Report) -> Tile:
    rows = [row for row in report.verification if row.stage != "qonnx"]
    if not rows:
        return Tile("Exactness", "not compared", "no stage after QONNX was verified", kind="words")
    wrong = sum(row.mismatches for row in rows)
    values = sum(row.values for row in rows)
    where = f"in {compact(values)} values of {len(rows)} comparisons, from the integer graph on"
    return Tile(
        "Exactness", f"{wrong:,}", where, unit="mismatch" if wrong == 1 else "mismatches", kind="bad" if wrong else ""
    )


def _cam_tile(report: Report) -> Tile:
    cam = report.cam
    if cam is None:
        return Tile("Heatmap", "not checked", "the build stopped before the CAM block", kind="words")
    sizes = f"{cam.map[1]} × {cam.map[0]} map to {cam.output[1]} × {cam.output[0]} pixels, {cam.classes:,} classes"
    if cam.max_abs_error is None:
        return Tile("Heatmap", "not compared", sizes, kind="words")
    unit = "level off float64" if cam.max_abs_error <= 1 else "levels off float64"
    return Tile("Heatmap, at most", told(round(cam.max_abs_error, 3)), sizes, unit=unit)


def gauges(hardware: Hardware) -> Gauges | None:
    """Resources against the budget; None where there are no figures."""
    device, budget = dict(hardware.device.items()), dict(hardware.budget.items())
    rows = []
    for name, used in hardware.resources.items():
        whole, limit = device[name], budget[name]
        if used is None or not whole:
            continue
        bound = "≥ " if name in hardware.lower_bounds else ""
        of = told(whole if limit is None else limit)
        share = round(min(100.0, 100 * used / whole), 2)
        mark = None if limit is None else round(min(100.0, 100 * limit / whole), 2)
        rows.append(Gauge(name, f"{bound}{told(used)} / {of}", share, mark, name in hardware.misses))
    if not rows:
        return None
    chip = hardware.board or hardware.part
    bounds = [row.name for row in rows if row.told.startswith("≥")]
    if over := [f"{name} by {told(amount)}" for name, amount in hardware.misses.items()]:
        return Gauges(f"Does not fit {chip}: over the budget in {', '.join(over)}", rows, fits=False)
    but = f"; {' and '.join(bounds)} are lower bounds" if bounds else ""
    return Gauges(f"Fits {chip} by estimate{but}", rows, fits=True)


def accuracies(accuracy: Accuracy) -> list[tuple[str, str, str]]:
    """Executor, accuracy and the difference from float, in words."""
    rows = (
        ("float: the same weights, quantisers off", accuracy.float_),
        ("Brevitas", accuracy.quantised),
        ("integer graph", accuracy.integer),
    )
    found = []
    for name, value in rows:
        known = value is not None and accuracy.float_ is not None and name != rows[0][0]
        difference = f"{100 * (value - accuracy.float_):+.2f} points".replace("-", "−") if known else "–"  # type: ignore[operator]
        found.append((name, percent(value), difference))
    return found
