"""From a `Report` to what the page says: groups, shares in percent, and figures in words. No markup here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from finn_build.report import headline
from finn_build.report import verdict as verdicts
from finn_build.report.classes import classes
from finn_build.report.hardware import Hardware, HardwareLayer
from finn_build.report.schema import Example, Report, Stage, Verification, VerifiedStage
from finn_build.report.verdict import told
from finn_build.report.words import duration, percent, size_in_bytes

MOST_FAILURES = 8
PLUMBING = ("StreamingFIFO", "StreamingDataWidthConverter")


@dataclass(frozen=True)
class Group:
    """The comparisons of one stage."""

    stage: str
    rows: Sequence[Verification]

    @property
    def values(self) -> int:
        """Values compared."""
        return sum(row.values for row in self.rows)

    @property
    def mismatches(self) -> int:
        """Values that differ."""
        return sum(row.mismatches for row in self.rows)

    @property
    def passed(self) -> bool:
        """Whether every row is within its allowance."""
        return all(row.passed for row in self.rows)

    @property
    def method(self) -> str:
        """How they were compared; both where the rows differ."""
        return ", ".join(sorted({row.method for row in self.rows}))

    @property
    def allowance(self) -> bool:
        """Whether a row may show mismatches at all."""
        return any(row.allowed for row in self.rows)


def page(report: Report) -> dict[str, Any]:
    """What the template is given, but for style, plots and examples."""
    failures = verdicts.failures(report)
    more = len(failures) - MOST_FAILURES
    shown = failures[:MOST_FAILURES] + ([f"and {more} more"] if more > 0 else [])
    kind = "fail" if failures else "part" if report.until or not report.checks else "pass"
    hardware = report.hardware
    return {
        "report": report,
        "about": headline.about(report),
        "verdict": {"kind": kind, "line": verdicts.verdict(report), "failures": shown},
        "tiles": headline.tiles(report),
        "gauges": headline.gauges(hardware) if hardware else None,
        "sections": _sections(report),
        "stages": _stages(report.stages),
        "chain_lead": _chain_lead(report.stages),
        "accuracies": headline.accuracies(report.accuracy) if report.accuracy else [],
        "classes": classes(report.accuracy.labels, report.accuracy.confusion) if report.accuracy else None,
        "groups": groups(report),
        "layers_wrong": any(layer.mismatches for layer in report.layers),
        "hardware_lead": _hardware_lead(hardware) if hardware else "",
        "implementation": implementation(report),
        "hardware_notes": _hardware_notes(hardware) if hardware else [],
        "layer_tables": _layer_tables(hardware) if hardware else [],
        "has_types": any(layer_types(layer) for layer in hardware.layers) if hardware else False,
        "cam_facts": _two_columns(_cam_facts(report)),
        "commands": _commands(report),
        "versions": _two_columns(list(report.versions.items())),
    }


def groups(report: Report) -> list[Group]:
    """Comparisons by stage, in the order of the chain."""
    found = []
    for stage in get_args(VerifiedStage):
        rows = [row for row in report.verification if row.stage == stage]
        if rows:
            found.append(Group(stage, rows))
    return found


def example(one: Example, images: list[tuple[str, str]]) -> dict[str, Any]:
    """An example's card."""
    facts = [f"{one.size[1]} × {one.size[0]}"] if one.size else []
    facts.append(f"class {one.class_}")
    facts += [f"in truth {one.truth}"] if one.truth is not None else []
    facts.append("no peak, the map is constant" if one.peak is None else f"peak {one.peak[0]}, {one.peak[1]}")
    facts += [] if one.box is None else ["box {}, {} to {}, {}".format(*one.box)]
    facts += [one.executor] if one.executor else []
    return {
        "image": one.image,
        "label": one.label,
        "score": percent(one.score),
        "facts": facts,
        "images": images,
        "pixels": one.size is not None and max(one.size) <= 128,
        "top": [{"label": s.label, "share": round(100 * s.score, 1), "told": percent(s.score)} for s in one.top],
    }


def layer_types(layer: HardwareLayer) -> str:
    """Data types: in × weights → out, as far as they are known."""
    into = " × ".join(kind for kind in (layer.input_type, layer.weight_type) if kind)
    return " → ".join(kind for kind in (into, layer.output_type) if kind)


def _small(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"{value:.3g}" if value >= 1e-3 else f"{value:.2e}"


def _share_of_interval(layer: HardwareLayer, hardware: Hardware) -> float:
    return round(min(100.0, 100 * (layer.cycles or 0) / hardware.cycles_per_image), 1)


def _total(layers: Sequence[HardwareLayer], resource: str) -> float | None:
    amounts = [getattr(layer, resource) for layer in layers if getattr(layer, resource) is not None]
    return sum(amounts) if amounts else None


FILTERS: dict[str, Callable[..., Any]] = {
    "told": told,
    "small": _small,
    "sign": lambda relation: verdicts.SIGNS[relation],
    "bytes": size_in_bytes,
    "types": layer_types,
    "share_of_interval": _share_of_interval,
    "total": _total,
}


def _sections(report: Report) -> list[tuple[str, str]]:
    wanted = [
        ("examples", "Examples", report.examples),
        ("chain", "Chain", report.stages),
        ("accuracy", "Accuracy", True),
        ("localisation", "Localisation", report.localisation),
        ("verification", "Verification", report.verification),
        ("layers", "Layers", report.layers),
        ("hardware", "Hardware", report.hardware),
        ("folding", "Folding", report.folding),
        ("implementation", "Implementation", report.implementation),
        ("simulation", "Simulation", report.simulation),
        ("synthesis", "Synthesis", report.synthesis),
        ("cam", "CAM block", report.cam),
        ("bars", "Full bars", report.verify),
        ("package", "Package", report.package),
        ("reproduce", "Make it again", True),
        ("not-shown", "Not shown", report.not_shown),
    ]
    return [(anchor, name) for anchor, name, there in wanted if there]


def _stages(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    longest = max((stage.seconds for stage in stages), default=0.0) or 1.0
    return [
        {
            "name": stage.name,
            "summary": stage.summary,
            "time": duration(stage.seconds),
            "share": round(100 * stage.seconds / longest, 1),
            "reused": stage.reused,
            "checks": stage.checks,
            "passed": stage.passed,
            "held": sum(check.passed for check in stage.checks),
        }
        for stage in stages
    ]


def _chain_lead(stages: Sequence[Stage]) -> str:
    ran = [stage for stage in stages if not stage.reused]
    kept = len(stages) - len(ran)
    stages_ran = "1 stage" if len(ran) == 1 else f"{len(ran)} stages"
    parts = [f"{stages_ran} ran in {duration(sum(stage.seconds for stage in ran))}"] if ran else []
    if kept:
        parts.append(f"{kept} reused what an earlier build had made (their times are from then)")
    return f"{'; '.join(parts)}."


def _hardware_lead(hardware: Hardware) -> str:
    slowest = f"the slowest layer, {hardware.bottleneck}, takes" if hardware.bottleneck else "the slowest layer takes"
    lead = (
        f"{hardware.part} at {told(hardware.clock_mhz)} MHz: {slowest} {hardware.cycles_per_image:,} cycles an image, "
        f"which is {told(hardware.fps)} FPS. All figures are estimates made before synthesis."
    )
    return f"{lead} Folding: {hardware.folding}." if hardware.folding else lead


def implementation(report: Report) -> dict[str, Any] | None:
    """What Vivado found, beside the estimates: rows of resource, estimate, used, error and the whole design's share."""
    found, hardware = report.implementation, report.hardware
    if found is None:
        return None
    estimates = dict(hardware.resources.items()) if hardware else {}
    device = dict(hardware.device.items()) if hardware else {}
    whole = dict(found.used.items())
    rows = []
    for name, used in found.accelerator.items():
        if used is None and whole[name] is None:
            continue
        error, total, of = found.errors.get(name), whole[name], device.get(name)
        share = f"{100 * total / of:.1f} %" if of and total is not None else "–"
        told_error = "–" if error is None else f"{100 * error:+.1f} %"
        rows.append((name, told(estimates.get(name)), told(used), told_error, told(total), share))
    final = "placed and routed" if found.state == "routed" else "synthesised only: it does not meet the budget"
    met = "met" if min(found.setup_ns, found.hold_ns, found.pulse_ns) >= 0 else "not met"
    facts = [
        ("design", final),
        ("clock", f"{told(found.clock_mhz)} MHz, {met}"),
        ("slowest path allows", f"{found.highest_mhz:.1f} MHz"),
        ("slack: setup, hold, pulse", f"{found.setup_ns:.3f}, {found.hold_ns:.3f}, {found.pulse_ns:.3f} ns"),
        ("paths that fail", f"{told(found.failing)} of {told(found.endpoints)}"),
    ]
    facts += [("slowest path", found.worst)] if found.worst else []
    facts += [("power, estimated", f"{found.power_w:.2f} W")] if found.power_w is not None else []
    return {"tool": found.tool, "rows": rows, "facts": facts}


def _hardware_notes(hardware: Hardware) -> list[str]:
    notes = list(hardware.notes)
    if hardware.lower_bounds:
        names = ", ".join(hardware.lower_bounds)
        notes.append(
            f"≥: FINN has no estimate of {names} for some layers (a dash in the table), so there is more of it."
        )
    return notes


def _layer_tables(hardware: Hardware) -> list[tuple[str, list[HardwareLayer], bool]]:
    """Layers that compute, and apart from them what only joins streams."""
    main = [layer for layer in hardware.layers if not layer.op.startswith(PLUMBING)]
    plumbing = [layer for layer in hardware.layers if layer.op.startswith(PLUMBING)]
    tables = [(f"{len(main)} layers", main, True), (f"{len(plumbing)} converters and FIFOs", plumbing, False)]
    return [table for table in tables if table[1]]


def _cam_facts(report: Report) -> list[tuple[str, str]]:
    cam = report.cam
    if cam is None:
        return []
    found = [
        ("classes", told(cam.classes)),
        ("map", f"{cam.map[1]} × {cam.map[0]}"),
        ("heatmap", f"{cam.output[1]} × {cam.output[0]}"),
        ("channels", told(cam.channels)),
        ("tap, weights", f"{told(cam.tap_bits)} and {told(cam.weight_bits)} bits"),
        ("backend", cam.backend),
        ("stores", cam.storage),
        ("sampling", cam.sampling),
        ("box threshold", told(cam.threshold)),
        ("packet", f"{told(cam.packet_bytes)} bytes"),
        ("cycles an image", told(cam.cycles)),
        ("images compared", told(cam.images)),
        ("maps, logits, class that differ", told(cam.mismatches)),
        ("heatmap against float64", f"{told(cam.max_abs_error)} levels at most"),
    ]
    known = [(name, value) for name, value in found if value and not value.startswith("–")]
    return known + [(name, told(value)) for name, value in cam.facts.items()]


def _two_columns(rows: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    half = -(-len(rows) // 2)
    return [column for column in (rows[:half], rows[half:]) if column]


def _commands(report: Report) -> list[str]:
    until = f" --until {report.until}" if report.until else ""
    checkout = [f"git checkout {report.commit}"] if report.commit else []
    made = report.command or (
        f"finn-cam build {report.config}{until}" if until else f"make build CONFIG={report.config}"
    )
    return [*checkout, made]
