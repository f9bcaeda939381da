"""What `finn-cam fold` found, kept beside the build: a file for each folding, chip, clock and network."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finn_build.cache.digest import path_digest, value_digest
from finn_build.cache.store import write_atomically
from finn_build.errors import UserError
from finn_build.report.folded import Folded
from finn_build.stages.files import CHILD, FOLDING

FOLDER = "fold"
MADE_OF = (f"partition/{CHILD}", f"specialise/{FOLDING}")
"""The files of a build that a record is of: its network, and its folding."""


def write_record(build: Path, facts: dict[str, Any]) -> Path:
    """Keeps the facts of a search; `build` is the folder of a config's results, built up to stage `partition`."""
    path = _record(build, facts["folding"], facts["part"], facts["clock_mhz"])
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps(facts, indent=1) + "\n")
    return path


def read_folded(build: Path, part: str, clock_mhz: float, folding_file: Path | None) -> Folded | None:
    """The report's part, if a search found the folding that the build has, whatever the depths of its FIFOs.

    Args:
        build: folder of a config's results.
        part: FPGA part of the build.
        clock_mhz: of the build.
        folding_file: of the config, whose evidence is shown as it is now.
    """
    if not (build / FOLDER).is_dir():
        return None
    from finn_build.folding.config import read_folding
    from finn_build.folding.evidence import read_evidence, without_depths

    try:
        folding = without_depths(read_folding(build / "specialise" / FOLDING))
        facts = json.loads(_record(build, folding, part, clock_mhz).read_text(encoding="utf-8"))
        if folding_file is not None:
            facts["evidence"] = read_evidence(folding_file, folding)
        return Folded.of(facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError, ValidationError):
        # Absent, damaged or of another version of this program: it can be made again.
        return None


def refresh_report(build: Path, folding_file: Path | None) -> Path | None:
    """Puts what was found into a build's last report.

    Returns:
        The page; None where there is no report of this folding, or a stage ran after it was written.
    """
    from finn_build.report.refresh import refresh

    def parts(part: str, clock_mhz: float) -> dict[str, Any] | None:
        found = read_folded(build, part, clock_mhz, folding_file)
        return None if found is None else {"folding": found}

    return refresh(
        build,
        MADE_OF,
        lambda report: None if report.hardware is None else parts(report.hardware.part, report.hardware.clock_mhz),
    )


def _record(build: Path, folding: dict[str, Any], part: str, clock_mhz: float) -> Path:
    from finn_build.folding.evidence import folding_digest, without_depths

    of = [folding_digest(without_depths(folding)), part, float(clock_mhz), path_digest(build / MADE_OF[0])]
    return build / FOLDER / f"{value_digest(of)[:16]}.json"
