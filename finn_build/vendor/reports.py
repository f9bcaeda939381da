"""Vivado's reports in numbers: utilisation, utilisation by cell, timing and power, as text of 2022.2 and 2024.2."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finn_build.errors import ToolFailed

REMEDY = "a report that this project does not know; look at it"
_SITES = {
    "LUT": "Slice LUTs",
    "FF": "Slice Registers",
    "slices": "Slice",
    "DSP": "DSPs",
}
_COLUMNS = {"LUT": ("Total LUTs",), "FF": ("FFs",), "DSP": ("DSP Blocks", "DSP48 Blocks")}


@dataclass(frozen=True)
class Timing:
    """What the timing summary says; ns, counts and MHz.

    Attributes:
        setup_ns, hold_ns, pulse_ns: worst slack of each kind, negative where it is not met.
        total_ns: sum of all negative setup slacks.
        failing, endpoints: of setup.
        period_ns: of the fastest clock.
        worst: source and destination of the slowest path, where the report lists paths.
    """

    setup_ns: float
    hold_ns: float
    pulse_ns: float
    total_ns: float
    failing: int
    endpoints: int
    period_ns: float
    worst: str = ""

    @property
    def worst_ns(self) -> float:
        """The smallest slack of any kind."""
        return min(self.setup_ns, self.hold_ns, self.pulse_ns)

    @property
    def highest_mhz(self) -> float:
        """The clock that the slowest path would allow."""
        return 1000.0 / (self.period_ns - self.setup_ns)


def read_utilisation(path: Path) -> dict[str, float]:
    """LUT, FF, BRAM18, DSP and slices in use, from `report_utilization`.

    Slices are only known after placement, so that key may be missing. A block RAM tile counts as two of 18 Kb.

    Raises:
        ToolFailed: there is no such report, or a resource is missing in it.
    """
    used = {row[0].rstrip("*"): row[1] for row in _rows(_text(path)) if len(row) > 1}
    found = {}
    for name, site in _SITES.items():
        if site in used:
            found[name] = _number(path, site, used[site])
        elif name != "slices":
            raise _unknown(path, f"no row {site}")
    if "Block RAM Tile" not in used:
        raise _unknown(path, "no row Block RAM Tile")
    found["BRAM18"] = 2 * _number(path, "Block RAM Tile", used["Block RAM Tile"])
    return found


def read_hierarchy(path: Path) -> dict[str, dict[str, float]]:
    """LUT, FF, BRAM18 and DSP by cell, from `report_utilization -hierarchical`; cells by their last name.

    Raises:
        ToolFailed: there is no such report, or a column is missing.
    """
    rows = list(_rows(_text(path)))
    head = next((row for row in rows if row[0] == "Instance"), None)
    if head is None:
        raise _unknown(path, "no column Instance")
    places = {name: next((head.index(w) for w in wanted if w in head), None) for name, wanted in _COLUMNS.items()}
    memories = [head.index(name) if name in head else None for name in ("RAMB36", "RAMB18")]
    if None in (*places.values(), *memories):
        raise _unknown(path, "columns of another kind of chip")
    found: dict[str, dict[str, float]] = {}
    for row in rows[rows.index(head) + 1 :]:
        if len(row) != len(head) or row[0] in found:
            continue
        amounts = {name: _number(path, row[0], row[at]) for name, at in places.items() if at is not None}
        big, small = (_number(path, row[0], row[at]) for at in memories if at is not None)
        found[row[0]] = {**amounts, "BRAM18": 2 * big + small}
    return found


def read_timing(path: Path) -> Timing:
    """From `report_timing_summary`.

    Raises:
        ToolFailed: there is no such report, it has no summary, or no path of the design is constrained.
    """
    text = _text(path)
    found = re.search(r"^ *WNS\(ns\) +TNS\(ns\).*\n[ -]+\n(.*)$", text, re.MULTILINE)
    values = found[1].split() if found is not None else []
    if len(values) != 12:
        raise _unknown(path, "no design timing summary")
    if "NA" in (values[0], values[4]) or values[3] == "0":
        raise _unknown(path, "no path of the design is constrained: it has no clock")
    wns, tns, failing, total, whs, wpws = (values[i] for i in (0, 1, 2, 3, 4, 8))
    periods = [float(p) for p in re.findall(r"^\S+ +\{[\d. ]+\} +([\d.]+) +[\d.]+ *$", text, re.MULTILINE)]
    if not periods:
        raise _unknown(path, "no clock summary")
    path_found = re.search(r"Slack \(\w+\) *:.*?Source: +(\S+).*?Destination: +(\S+)", text, re.DOTALL)
    return Timing(
        setup_ns=_number(path, "WNS", wns),
        hold_ns=_number(path, "WHS", whs),
        pulse_ns=0.0 if wpws == "NA" else _number(path, "WPWS", wpws),
        total_ns=_number(path, "TNS", tns),
        failing=int(failing),
        endpoints=int(total),
        period_ns=min(periods),
        worst=f"from {path_found[1]} to {path_found[2]}" if path_found is not None else "",
    )


def read_power(path: Path) -> float | None:
    """Watts on the chip, estimated by Vivado; None where the report has no such line."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"Total On-Chip Power \(W\)\s*\|\s*([\d.]+)", text)
    return float(found[1]) if found is not None else None


def error_of(estimate: float, measured: float) -> float | None:
    """By how much an estimate is off, as a fraction of what was measured; None where nothing was."""
    return (estimate - measured) / measured if measured else None


def errors_of(estimates: Mapping[str, float | None], measured: Mapping[str, float]) -> dict[str, float]:
    """Of each resource that has an estimate and was measured."""
    errors = {}
    for name, estimate in estimates.items():
        if estimate is not None and name in measured and (error := error_of(estimate, measured[name])) is not None:
            errors[name] = error
    return errors


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolFailed("vivado", 0, path, [f"it left no {path.name} ({error.strerror})"]) from None


def _rows(text: str) -> Iterator[list[str]]:
    """The cells of tables drawn with bars."""
    for line in text.splitlines():
        if line.startswith("|") and line.rstrip().endswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if cells[0]:
                yield cells


def _number(path: Path, what: str, text: str) -> float:
    try:
        value = float(text.lstrip("<"))
    except ValueError:
        raise _unknown(path, f"{what} is {text!r}") from None
    return value


def _unknown(path: Path, what: str) -> ToolFailed:
    return ToolFailed("vivado", 0, path, [what, REMEDY])
