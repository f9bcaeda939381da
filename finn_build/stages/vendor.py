"""Stage `vendor`: Vivado and Vitis HLS make the bitfile from the sources that were verified and simulated."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finn_build.config import FoldingSpec, HardwareSpec
from finn_build.report.schema import Check, check
from finn_build.stages.result import Progress, StageResult
from finn_build.vendor.tools import Tools

if TYPE_CHECKING:
    from finn_build.vendor.build import Measured

REPORTS = ("utilization.rpt", "hierarchy.rpt", "timing.rpt", "power.rpt")
SLOWEST_SHARE = 0.98
"""Of the wanted clock: the processing system divides its own clock by whole numbers."""


def make_bitfile(
    codegen: Path,
    generated: Path,
    name: str,
    hardware: HardwareSpec,
    folding: FoldingSpec,
    tools: Tools,
    deps: Path,
    work: Path,
    out: Path,
    progress: Progress,
) -> StageResult:
    """Runs every step that is not kept, and writes `NAME.bit`, `NAME.hwh` and Vivado's reports.

    Without the bitfile it ends, told by a check that failed, where the synthesised design exceeds the budget, before an
    hour of place and route, and where the routed design misses its clock.

    Args:
        codegen: generated sources, a folder a node.
        generated: their graph.
        name: the config's, and the bitfile's.
        hardware: part and clock.
        folding: its budget.
        tools: what runs. Only the version counts in the key.
        deps: FINN's headers and the board files, at fixed commits.
        work: where the projects lie; finished steps in it are used again.
        out: gets the results.
        progress: told after each step.

    Raises:
        UserError: disk, path, licence, part or dependencies are not as they have to be.
        ToolFailed: a tool failed; with the first errors of its log.
    """
    from finn_build.environment import licence_variables
    from finn_build.graph.codegen import hardware_id
    from finn_build.resources.devices import device
    from finn_build.resources.estimates import estimate
    from finn_build.stages.inputs import load_graph
    from finn_build.vendor.build import VendorBuild, VendorSources, read_facts
    from finn_build.vendor.preflight import check_all
    from finn_build.vendor.sources import dmas_of, hls_nodes

    check_all(work, hardware.part, deps, licence_variables())
    graph = load_graph(generated)
    made_of = VendorSources(
        name=name,
        graph=generated,
        nodes=codegen,
        part=hardware.part,
        clock_mhz=hardware.clock_mhz,
        build_id=hardware_id(codegen),
        packet_bytes=next(dma.bytes for dma in dmas_of(graph) if dma.direction == "out"),
        deps=deps,
    )
    build = VendorBuild(made_of, tools, work, progress)
    estimates = estimate(graph, hardware.part, hardware.clock_mhz).totals
    build.probe()
    build.synthesise_cpp(hls_nodes(graph))
    design = build.design(build.stitch())
    clock = float(read_facts(design)["clock_mhz"])
    synthesised = build.synthesise(design)
    limits = {what: int(whole * folding.budget) for what, whole in device(hardware.part).items()}
    checks = [_of_clock(clock, hardware.clock_mhz), *_of_budget(synthesised, limits)]
    facts = _facts(tools, "synthesised", synthesised, clock, estimates)
    if all(found.passed for found in checks):
        routed = build.implement(synthesised)
        facts = _facts(tools, "routed", routed, clock, estimates)
        checks.append(_of_timing(routed))
        if checks[-1].passed:
            shutil.copyfile(build.bitstream(routed), out / f"{name}.bit")
            shutil.copyfile(design / "top.hwh", out / f"{name}.hwh")
    for report in REPORTS:
        found = Path(facts["folder"]) / report
        if found.is_file():
            shutil.copyfile(found, out / report)
    facts.pop("folder")
    return StageResult(checks=tuple(checks), facts={"implementation": facts})


def _of_clock(clock: float, wanted: float) -> Check:
    limit = round(SLOWEST_SHARE * wanted, 3)
    return check("clock that the chip gives", clock, ">=", limit, unit="MHz", detail=f"{wanted:g} MHz are asked for")


def _of_budget(synthesised: "Measured", limits: dict[str, int]) -> list[Check]:
    """One check a resource: what synthesis uses against the budget, so that place and route has its margin."""
    found = []
    for name, used in synthesised.used.items():
        remedy = f"over by {used - limits[name]:,.0f}; fold less, or raise [folding] budget"
        detail = remedy if used > limits[name] else ""
        found.append(check(f"{name} after synthesis", used, "<=", limits[name], detail=detail))
    return found


def _of_timing(routed: "Measured") -> Check:
    timing = routed.timing
    where = f"{timing.failing:,} of {timing.endpoints:,} paths, slowest {timing.worst or 'not listed'}"
    remedy = f"the design would run at {timing.highest_mhz:.1f} MHz: lower [hardware] clock_mhz, or fold less"
    detail = f"{where}; {remedy}" if timing.worst_ns < 0 else ""
    return check("worst slack", timing.worst_ns, ">=", 0.0, unit="ns", detail=detail)


def _facts(
    tools: Tools, state: str, found: "Measured", clock: float, estimates: dict[str, int | None]
) -> dict[str, Any]:
    from finn_build.package.manifest import CAM_BLOCK, INPUT_DMA, OUTPUT_DMA
    from finn_build.vendor.reports import errors_of, read_power

    cells = [found.cells[cell] for cell in (INPUT_DMA, CAM_BLOCK, OUTPUT_DMA) if cell in found.cells]
    # What the estimates count: the accelerator and its DMAs, not what joins them to the processing system.
    accelerator = {name: sum(cell[name] for cell in cells) for name in (cells[0] if cells else {})}
    timing = found.timing
    return {
        "tool": f"Vivado {tools.version}",
        "state": state,
        "used": found.used,
        "accelerator": accelerator,
        "errors": errors_of(estimates, accelerator),
        "clock_mhz": clock,
        "highest_mhz": timing.highest_mhz,
        "setup_ns": timing.setup_ns,
        "hold_ns": timing.hold_ns,
        "pulse_ns": timing.pulse_ns,
        "failing": timing.failing,
        "endpoints": timing.endpoints,
        "worst": timing.worst,
        "power_w": read_power(found.folder / "power.rpt"),
        "folder": str(found.folder),
    }
