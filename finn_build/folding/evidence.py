"""What has been shown of a folding: its synthesis and its simulation, kept beside the folding file.

Evidence is of one folding. It carries that folding's digest and is worth nothing for another.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from finn_build.errors import UserError
from finn_build.folding.config import DEFAULTS, Folding

SUFFIX = ".evidence.json"
KINDS = ("synthesis", "simulation")


def folding_digest(folding: Folding) -> str:
    """Of what a folding says, whatever its layout and order."""
    said = {name: values for name, values in folding.items() if name != DEFAULTS or values}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def evidence_file(folding_file: Path) -> Path:
    """Where the evidence of a folding file lies."""
    return folding_file.with_name(folding_file.name.removesuffix(".json").removesuffix(".folding") + SUFFIX)


def read_evidence(folding_file: Path, folding: Folding) -> dict[str, Any]:
    """Synthesis and simulation that were made of a folding; null for what there is not, or is of another folding.

    Raises:
        UserError: the file is no evidence.
    """
    path = evidence_file(folding_file)
    none: dict[str, Any] = dict.fromkeys(KINDS)
    if not path.is_file():
        return none
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        digest, held = found["folding"], {kind: found.get(kind) for kind in KINDS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            str(path), "the evidence of a folding", str(error), "remove the file, and make it again"
        ) from None
    return held if digest == folding_digest(folding) else none


def write_evidence(folding_file: Path, folding: Folding, found: Mapping[str, Any]) -> Path:
    """Adds to the evidence of a folding; what is there of another folding is dropped."""
    kept = {kind: value for kind, value in read_evidence(folding_file, folding).items() if value is not None}
    path = evidence_file(folding_file)
    whole = {"folding": folding_digest(folding), **kept, **found}
    path.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path
