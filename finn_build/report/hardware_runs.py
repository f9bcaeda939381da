"""What the page says of the simulated and the synthesised accelerator. No markup here."""

from typing import Any

from finn_build.report.hardware import Hardware
from finn_build.report.schema import Report
from finn_build.report.simulated import Simulation, Synthesis
from finn_build.report.timeline import timeline_plot
from finn_build.report.verdict import told

MOST_FIFOS = 12
RESOURCES = ("LUT", "FF", "BRAM18", "DSP", "slices")


def hardware_runs(report: Report) -> dict[str, Any]:
    """`simulation` and `synthesis` for the template; None for what was not asked for."""
    simulation, synthesis = report.simulation, report.synthesis
    return {
        "simulation": _simulation(simulation, report.hardware) if simulation else None,
        "synthesis": _synthesis(synthesis) if synthesis else None,
    }


def _simulation(found: Simulation, hardware: Hardware | None) -> dict[str, Any]:
    if found.not_run:
        return {"not_run": found.not_run, "facts": [], "fifos": [], "plot": None}
    backend = (
        "whole, its CAM block in SystemVerilog"
        if found.cam_backend == "rtl"
        else "up to the tap, whose words the CAM block's C++ takes; its cycles are not counted"
    )
    facts = [
        ("images", told(found.images)),
        ("words compared", f"{told(found.values)}, {told(found.mismatches)} differ"),
        ("simulated hardware", backend),
        ("pauses on input and output", "none" if found.stalls_seed is None else f"random, seed {found.stalls_seed}"),
        ("latency", f"{told(found.latency_cycles)} cycles{_predicted(found, hardware, 'latency_cycles')}"),
        (
            "interval",
            "–"
            if found.interval_cycles is None
            else f"{told(found.interval_cycles)} cycles{_predicted(found, hardware, 'interval_cycles')}",
        ),
        ("frames a second", "–" if found.fps is None else f"{told(found.fps)} at {told(found.clock_mhz)} MHz"),
        ("cycles a second of simulation", told(round(found.cycles_per_second or 0))),
    ]
    fullest = sorted(found.fifos, key=lambda fifo: -fifo.high_water / max(fifo.depth, 1))[:MOST_FIFOS]
    return {"not_run": "", "facts": facts, "fifos": fullest, "plot": timeline_plot(found)}


def _predicted(found: Simulation, hardware: Hardware | None, name: str) -> str:
    """The stream model's figure for what was simulated."""
    predicted = hardware.predicted if hardware is not None else None
    value = getattr(predicted, f"tap_{name}" if found.cam_backend == "hls" else name, None)
    return "" if value is None or found.stalls_seed is not None else f", {told(value)} predicted"


def _synthesis(found: Synthesis) -> dict[str, Any]:
    rows = [
        (name, told(found.resources.get(name)), told(found.estimate.get(name)), _error(found, name))
        for name in RESOURCES
    ]
    return {"part": found.part, "rows": rows, "modules": found.modules, "unproven": found.unproven}


def _error(found: Synthesis, name: str) -> str:
    """How far the estimate is off."""
    measured, estimated = found.resources.get(name), found.estimate.get(name)
    return f"{100 * (estimated - measured) / measured:+.0f} %" if measured and estimated is not None else "–"
