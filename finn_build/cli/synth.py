"""`finn-cam synth`: the generated accelerator synthesised for the chip by Yosys, beside FINN's estimates."""

import json
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from finn_build.cli.build import ConfigArgument, EvidenceOption, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import Config, load_config
from finn_build.environment import default_build_folder
from finn_build.hardware_runs import generated_with
from finn_build.pipeline import BuildOptions, build_all
from finn_build.stages.files import GRAPH, NODES

if TYPE_CHECKING:
    from finn_build.report.hardware import Hardware
    from finn_build.rtl.synth import Synthesised

RESOURCES = ("LUT", "FF", "BRAM18", "DSP")
UNPROVEN = (
    "Timing and placement: there is no open place-and-route for this chip here.",
    "Slices: an estimate from LUTs and flip-flops, with the packing of a published placement.",
    "Vivado's own figures: it infers some memories and shift registers otherwise.",
    "The DMAs and the processing system's interconnect: vendor tools alone make them.",
)
"""What this synthesis does not show."""


def synth(
    config: ConfigArgument,
    jobs: Annotated[int, typer.Option(min=1, help="Yosys runs at a time, about 0.5 GB each.")] = 2,
    flat: Annotated[bool, typer.Option("--flat", help="The whole in one run too, across modules: slow.")] = False,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights.")] = False,
    evidence: EvidenceOption = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Synthesise CONFIG's accelerator for 7-series, building what it needs first; equal modules are synthesised once.

    The CAM block is its SystemVerilog: C++ takes a vendor's tool. The whole is the sum of its modules, which the top
    connects by wires alone; `--flat` has Yosys optimise across them.
    """
    from finn_build.folding.evidence import require_own_folding

    chosen = load_config(config)
    if evidence:
        require_own_folding(chosen.folding.file, chosen.name, untrained, chosen.hardware.head)
    stages = StageConsole(standard_error())
    start = monotonic()
    with stages.running():
        options = BuildOptions(until="codegen", out=out, untrained=untrained, report=False)
        outcome = build_all(chosen, options, stages)
        code = generated_with(chosen, outcome.folder, "rtl", stages)
        from finn_build.rtl.netlist import read_netlist
        from finn_build.rtl.record import write_record
        from finn_build.rtl.result import code_digest
        from finn_build.rtl.synth import synthesise_blocks, synthesise_whole, total
        from finn_build.rtl.top import write_accelerator
        from finn_build.stages.inputs import load_graph

        netlist = read_netlist(load_graph(code / GRAPH), code / NODES)
        accelerator = write_accelerator(netlist, outcome.folder / "rtl" / "synthesis")
        tell = stages.started("synth", f"{len(netlist.blocks)} modules, {jobs} at a time", [])
        cache = default_build_folder() / ".cache" / "synthesis"
        modules = synthesise_blocks(accelerator, cache, jobs=jobs, on_progress=lambda share, _: tell(share))
        whole = synthesise_whole(accelerator, cache).resources if flat else total(modules)
    found = result(
        chosen.hardware.part,
        modules,
        whole.to_json(),
        outcome.report.hardware,
        code_digest(netlist),
        monotonic() - start,
    )
    path = write_record(outcome.folder, "synthesis", found)
    if evidence:
        _keep(chosen, code / GRAPH, found, flat)
    if as_json:
        print(json.dumps({"config": chosen.name, "flat": flat, **found}))
    else:
        _tell(found, path)
    return 0


def _keep(config: Config, graph: Path, found: dict[str, Any], flat: bool) -> None:
    """Keeps the synthesis as evidence of the config's folding file, with what the cost models say of the same nodes."""
    from finn_build.folding.costs.cost import total
    from finn_build.folding.evidence import keep_evidence, synthesis_evidence
    from finn_build.folding.fold import connected_cost
    from finn_build.folding.optimise import used
    from finn_build.rtl.synth import yosys_version
    from finn_build.stages.inputs import load_graph

    # DMAs are no RTL, and so neither synthesised nor predicted here.
    costs = connected_cost(load_graph(graph), config.hardware.part)
    predicted = used(total(cost for name, cost in costs.items() if not name.startswith("IODMA")))
    how = {"whole": "flattened" if flat else "sum of modules", "tool": yosys_version()}
    how["command"] = f"finn-cam synth {config.name} --evidence" + " --flat" * flat
    kept = synthesis_evidence(found["resources"], predicted, **how, modules=len(found["modules"]))
    keep_evidence(config.folding.file, config.name, {"synthesis": kept})


def result(
    part: str,
    modules: "list[Synthesised]",
    whole: dict[str, int],
    hardware: "Hardware | None",
    graph: str,
    seconds: float,
) -> dict[str, Any]:
    """The command's JSON: the report's part `synthesis`.

    Args:
        part: of the chip.
        modules: every node by itself.
        whole: resources of all.
        hardware: FINN's estimates, if the build has them.
        graph: digest of what was synthesised.
        seconds: that the command took.
    """
    from finn_build.resources.slices import slices

    estimates = {layer.name: layer for layer in hardware.layers} if hardware is not None else {}
    totals = dict(hardware.resources.items()) if hardware is not None else {}
    rows = []
    for module in modules:
        layer = estimates.get(module.name)
        estimate = {} if layer is None else {name: getattr(layer, name) for name in RESOURCES}
        rows.append({"name": module.name, "op": module.op, **module.resources.to_json(), "estimate": estimate})
    return {
        "part": part,
        "graph": graph,
        "resources": {**whole, "slices": slices(whole["LUT"], whole["FF"])},
        "estimate": {name: totals.get(name) for name in (*RESOURCES, "slices")},
        "modules": rows,
        "cam_backend": "rtl",
        "seconds": round(seconds, 1),
        "unproven": list(UNPROVEN),
    }


def _tell(found: dict[str, Any], path: Path) -> None:
    output = standard_output()
    table = Table("resource", "synthesised", "FINN's estimate", title=f"accelerator on {found['part']}")
    for name, amount in found["resources"].items():
        estimate = found["estimate"][name]
        table.add_row(name, f"{amount:,}", "–" if estimate is None else f"{estimate:,.0f}")
    output.print(table)
    largest = sorted(found["modules"], key=lambda module: -module["LUT"])[:10]
    modules = Table("module", *RESOURCES, title="largest modules")
    for module in largest:
        modules.add_row(module["name"], *(f"{module[name]:,}" for name in RESOURCES))
    output.print(modules)
    for line in found["unproven"]:
        output.print(f"unproven: {line}")
    output.print(f"in {path}")
