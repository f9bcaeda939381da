"""Stage `specialise`: narrow types, an RTL or HLS variant for each node, its folding, and what that costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finn_build.config import CamSettings, FoldingSpec, HardwareSpec
from finn_build.report.schema import Check, Verification, check
from finn_build.stages.executed import output_of, verify_layers
from finn_build.stages.files import CHILD, CONNECTED, FIFOS, FOLDING, GENERIC, GRAPH
from finn_build.stages.result import Progress, StageResult

if TYPE_CHECKING:
    from finn_build.folding.config import Folding
    from finn_build.graph.fifos import BypassFifo


def specialise_graph(
    partition: Path,
    integer: Path,
    golden: Path,
    hardware: HardwareSpec,
    folding: FoldingSpec,
    cam: CamSettings,
    out: Path,
    progress: Progress,
    folding_file: Path | None = None,
) -> StageResult:
    """Specialises the dataflow graph for the chip and folds it.

    The graph with narrowed types still executes and is compared on the golden images; its specialised form does not, so
    that is compared with it node for node.

    Raises:
        UserError: the folding names no node, or a value that is not legal; the message has the legal ones.
        CheckFailed: an output differs, a node became HLS that has RTL, or a specialised node differs from its twin.
    """
    from finn_build.folding.automatic import set_folding
    from finn_build.folding.chains import require_columns
    from finn_build.folding.config import apply_folding, folding_of, read_folding, with_depths, write_folding
    from finn_build.folding.converters import forced_converters, told_converters
    from finn_build.folding.head import without_cam
    from finn_build.graph.specialise import require_same_layers, specialise
    from finn_build.graph.widths import minimise_widths
    from finn_build.head import read_arrays
    from finn_build.nodes.variants import choose_rtl, load_weights_at_run_time
    from finn_build.stages.inputs import load_graph, save_graph
    from finn_build.streams.build import connect_with_least_depths, write_fifos

    generic, _ = minimise_widths(load_graph(partition / CHILD))
    progress(0.1)
    rows = verify_layers("specialise", generic, output_of(generic, hardware.head), read_arrays(golden), integer)
    save_graph(generic, out / GENERIC)
    progress(0.7)
    specialised, variants = specialise(generic, hardware.part)
    given: Folding = {}
    place = "SetFolding" if folding_file is None else folding_file.name
    if folding_file is None:
        specialised, _ = set_folding(specialised, folding.fps, hardware.clock_mhz)
        choose_rtl(specialised, cam.backend)
        told = f"FINN's SetFolding at {folding.fps:g} frames a second"
    else:
        # A file names nodes as it is written below: after their final variants.
        choose_rtl(specialised, cam.backend)
        given = read_folding(folding_file)
        given = given if hardware.head == "cam" else without_cam(given)
        specialised, told = apply_folding(specialised, given, place), place
    require_columns(specialised, hardware.part, place)
    if cam.loaded:
        load_weights_at_run_time(specialised)
    made = connect_with_least_depths(
        specialised, given, place, hardware.part, lambda share: progress(0.75 + 0.15 * share)
    )
    specialised, connected = made.specialised, made.connected
    save_graph(specialised, out / GRAPH)
    write_folding(out / FOLDING, with_depths(folding_of(specialised), given))
    write_fifos(out / FIFOS, made)
    require_same_layers(specialised, connected)
    save_graph(connected, out / CONNECTED)
    structural = Verification(
        stage="specialise", output="nodes", values=len(variants), mismatches=0, max_abs_diff=0.0, method="structural"
    )
    # Where the model knows every operator to the cycle, depths that it runs with are no guess.
    unproven = [fifo for fifo in made.bypasses if made.streams.estimated and not fifo.safe and _is_given(fifo, given)]
    notes = [*(_warning(fifo) for fifo in unproven), *made.notes(given)]
    facts = _facts(connected, hardware, folding.budget)
    converters = forced_converters(connected, hardware.part)
    notes += told_converters(converters, place) if folding_file is not None else []
    facts |= {"folding": told, "notes": notes, "predicted": made.predicted(), "converters": converters}
    return StageResult(checks=tuple(_fits(facts)), verification=(*rows, structural), facts={"hardware": facts})


def _is_given(fifo: "BypassFifo", given: "Folding") -> bool:
    return "inFIFODepths" in given.get(fifo.add, {}) or "outFIFODepths" in given.get(fifo.branch, {})


def _warning(fifo: "BypassFifo") -> str:
    return (
        f"The FIFO between {fifo.branch} and {fifo.add} has {fifo.depth_words:,} words, {fifo.whole_words:,} are known "
        "to be safe: by the stream model these suffice too, and finn-cam simulate shows it."
    )


def _facts(connected: Any, hardware: HardwareSpec, budget: float) -> dict[str, Any]:
    """What the report says of the accelerator: every node's folding, cycles and estimates, and the chip's budget."""
    from finn_build.resources.devices import device
    from finn_build.resources.estimates import estimate

    found, whole = estimate(connected, hardware.part, hardware.clock_mhz), device(hardware.part)
    return {
        "part": hardware.part,
        "clock_mhz": hardware.clock_mhz,
        "cycles_per_image": found.cycles_per_image,
        "fps": found.fps,
        "bottleneck": found.bottleneck,
        "resources": found.totals,
        "budget": {name: int(amount * budget) for name, amount in whole.items()},
        "device": whole,
        "lower_bounds": found.lower_bounds,
        "layers": [
            {
                "name": node.name,
                "op": node.op,
                "backend": node.backend,
                "pe": node.pe,
                "simd": node.simd,
                # FINN says 0 of what only hands words on: it has no figure.
                "cycles": node.cycles or None,
                "LUT": node.lut,
                "FF": node.ff,
                "BRAM18": node.bram18,
                "DSP": node.dsp,
            }
            for node in found.nodes
        ],
    }


def _fits(hardware: dict[str, Any]) -> list[Check]:
    """One check a resource: what is used against the budget; resources that nobody estimates are left out."""
    checks = []
    for name, limit in hardware["budget"].items():
        used = hardware["resources"].get(name)
        if used is None or limit is None:
            continue
        over = f"over by {used - limit:,.0f}" if used > limit else ""
        checks.append(check(f"{name} of {hardware['part']}", used, "<=", limit, detail=over))
    return checks
