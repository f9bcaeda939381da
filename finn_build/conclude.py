"""The end of a build: its stages' results gathered into the report."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finn_build.bars import bars_to_show, clean_commit
from finn_build.cache.digest import value_digest
from finn_build.cache.key import tool_versions
from finn_build.cache.source import source_digests
from finn_build.config import Config
from finn_build.environment import default_build_folder
from finn_build.evaluation import read_evaluation
from finn_build.folding.record import read_folded
from finn_build.localisation_report import read_localisation
from finn_build.package.build import publish_package
from finn_build.report.files import write_report
from finn_build.report.folded import Folded
from finn_build.report.schema import NOT_SHOWN, NOT_SHOWN_BY_VIVADO, Report, Stage, Verification
from finn_build.report.simulated import Simulation, Synthesis
from finn_build.report.verdict import failures, verdict
from finn_build.rtl.record import Kind, read_record
from finn_build.runner import Runner

REPORT_JSON, REPORT_HTML, VERIFY_JSON = "report.json", "report.html", "verify.json"
PARTS = {"network", "layers", "hardware", "implementation", "simulation", "cam", "accuracy", "examples", "package"}
"""The report's parts that stages fill, under these names in their facts."""

_LAYER = re.compile(r"layer (\d+) \((.*)\)")


@dataclass(frozen=True)
class Outcome:
    """How a build ended: its report, the folder of its results, whether every check held, what to tell, the exit code.

    `exit_code` is 0 well, 1 a failed check, else that of the error that ended the way to the bitfile.
    """

    report: Report
    folder: Path
    passed: bool
    summary: list[str]
    exit_code: int


def conclude(config: Config, runner: Runner, folder: Path, command: str, write: bool = True) -> Outcome:
    """Gathers what the stages told into `report.json` and `report.html`, and puts the package beside them.

    Args:
        config: that was built.
        runner: with the stages that ran or were reused.
        folder: of the build.
        command: that makes it again.
        write: leave no trace if not: other commands build what they need without touching the last report.
    """
    facts = {name: part for run in runner.done for name, part in run.result.facts.items() if name in PARTS}
    facts |= _recorded(folder, facts)
    if "accuracy" not in facts and (evaluated := read_evaluation(folder)) is not None:
        facts["accuracy"] = evaluated
    rows = [row for run in runner.done for row in run.result.verification]
    report = Report.model_validate(
        {
            "config": config.name,
            "versions": tool_versions(),
            "commit": clean_commit(),
            "localisation": read_localisation(folder),
            "folding": _folded(config, folder, facts),
            "verify": bars_to_show(default_build_folder() / VERIFY_JSON),
            "until": runner.until,
            "stopped": None if runner.stopped is None else str(runner.stopped),
            "command": command,
            "no_bitfile": runner.no_bitfile,
            "not_shown": NOT_SHOWN_BY_VIVADO if _routed(facts) else NOT_SHOWN,
            "stages": [
                Stage(
                    name=run.name,
                    seconds=round(run.seconds, 3),
                    reused=run.reused,
                    checks=run.result.checks,
                    summary=run.title,
                )
                for run in runner.done
            ],
            "verification": rows,
            **facts,
            "layers": _layers(facts.get("layers", []), rows),
        }
    )
    code = runner.stopped.exit_code if runner.stopped is not None else 0 if report.passed else 1
    if not write:
        return Outcome(report, folder, report.passed, [], code)
    if report.package is not None:
        publish_package(runner.store.place("package"), folder, config.name)
    write_report(report, folder / REPORT_JSON)
    _write_page(report, folder)
    notes = [f"note: {note}" for note in (report.hardware.notes if report.hardware is not None else ())]
    # Why the way to the bitfile ended is told last, as every error is.
    told = [
        *failures(report)[report.stopped is not None :],
        *notes,
        f"{config.name}: {verdict(report)}",
        f"report: {folder / REPORT_HTML}",
    ]
    if report.package is not None:
        told.append(f"package: {folder / report.package.file}")
    if report.no_bitfile:
        told.append(f"no bitfile: {report.no_bitfile}")
    if report.stopped:
        told.append(f"finn-cam: {report.stopped}")
    return Outcome(report, folder, report.passed, told, code)


def _routed(facts: dict[str, Any]) -> bool:
    """Whether Vivado went all the way."""
    return bool(facts.get("implementation", {}).get("state") == "routed")


def _folded(config: Config, folder: Path, facts: dict[str, Any]) -> Folded | None:
    """What `finn-cam fold` found, if it is the folding of this build."""
    hardware = facts.get("hardware")
    return hardware and read_folded(folder, hardware["part"], hardware["clock_mhz"], config.folding.file)


def _recorded(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """What `simulate` and `synth` found of the code as it now is; of two simulations the longer one."""
    found: dict[str, Any] = {}
    parts: dict[Kind, type[Simulation] | type[Synthesis]] = {"simulation": Simulation, "synthesis": Synthesis}
    for kind, part in parts.items():
        try:
            found[kind] = part.model_validate(read_record(folder, kind))
        except ValidationError:
            # There is none, or one that another version of this program wrote: it can be made again.
            continue
    short = facts.get("simulation", {}).get("images") or 0
    if "simulation" in found and (found["simulation"].images or 0) <= short:
        del found["simulation"]
    return found


def _layers(fidelity: list[dict[str, Any]], rows: Sequence[Verification]) -> list[dict[str, Any]]:
    """Each layer once: its error against float where the network was trained here, its integer mismatches everywhere.

    A layer's row in the verification says `layer 3 (name)`; the same position in `fidelity` is the same layer.
    """
    merged = {position: dict(layer) for position, layer in enumerate(fidelity)}
    for row in rows:
        found = _LAYER.fullmatch(row.output)
        if found is None:
            continue
        layer = merged.setdefault(int(found[1]), {"name": found[2]})
        layer["values"] = row.values
        layer["mismatches"] = (layer.get("mismatches") or 0) + row.mismatches
    return [merged[position] for position in sorted(merged)]


def _write_page(report: Report, folder: Path) -> None:
    """Draws the page only where something that it shows changed: plots take longer than a build that reuses all."""
    shown = report.model_copy(update={"stages": tuple(s.model_copy(update={"reused": False}) for s in report.stages)})
    key = value_digest([shown.model_dump(mode="json"), source_digests("finn_build.report.html")])
    stamp, page = folder / ".stages" / "report.key", folder / REPORT_HTML
    if page.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return
    from finn_build.report.html import write_html

    write_html(shown, page)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(key, encoding="utf-8")
