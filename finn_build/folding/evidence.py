"""What has been shown of a folding: its synthesis and its simulation, kept beside the folding file.

Evidence is of one folding and its FIFO depths. It carries the digest of both and is worth nothing for others.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from finn_build.errors import UserError
from finn_build.folding.config import DEFAULTS, Folding, read_folding
from finn_build.folding.head import require_same_head
from finn_build.folding.rules import FIFO_DEPTHS

SUFFIX = ".evidence.json"
KINDS = ("synthesis", "simulation")


def folding_digest(folding: Folding) -> str:
    """Of what a folding says, whatever its layout and order."""
    said = {name: values for name, values in folding.items() if name != DEFAULTS or values}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def evidence_file(folding_file: Path) -> Path:
    """Where the evidence of a folding file lies."""
    return folding_file.with_name(folding_file.name.removesuffix(".json").removesuffix(".folding") + SUFFIX)


def without_depths(folding: Folding) -> Folding:
    """A folding without what it says of FIFOs."""
    return {
        name: {key: value for key, value in values.items() if key not in FIFO_DEPTHS}
        for name, values in folding.items()
        if name == DEFAULTS or any(key not in FIFO_DEPTHS for key in values)
    }


def read_evidence(folding_file: Path, folding: Folding) -> dict[str, Any]:
    """Synthesis and simulation that were made of a folding; null for what there is not, or is of another folding.

    Args:
        folding_file: whose evidence it is.
        folding: with the file's FIFO depths, or without any.

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
    if without_depths(folding) == folding and folding_file.is_file():
        # The depths are those of the file, if it is its folding.
        filed = read_folding(folding_file)
        folding = filed if folding_digest(without_depths(filed)) == folding_digest(folding) else folding
    return held if digest == folding_digest(folding) else none


def write_evidence(folding_file: Path, folding: Folding, found: Mapping[str, Any]) -> Path:
    """Adds to the evidence of a folding; what is there of another folding is dropped."""
    kept = {kind: value for kind, value in read_evidence(folding_file, folding).items() if value is not None}
    path = evidence_file(folding_file)
    whole = {"folding": folding_digest(folding), **kept, **found}
    path.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def synthesis_evidence(took: Mapping[str, float], predicted: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """What synthesis found of an accelerator, beside what the cost models predict for the same nodes.

    Args:
        took: LUT, FF, BRAM18 and DSP of all modules.
        predicted: likewise.
        more: what else is kept.
    """
    names = ("LUT", "FF", "BRAM18", "DSP")
    return {
        "resources": {name: round(took[name]) for name in names},
        "predicted": {name: round(predicted[name]) for name in names},
        "error": {name: round(predicted[name] / took[name] - 1, 4) if took[name] else 0.0 for name in names},
        **more,
    }


def require_own_folding(file: Path | None, name: str, untrained: bool, head: str = "cam") -> Path:
    """The folding file that evidence is to be kept of.

    Args:
        file: that the config names.
        name: of the config.
        untrained: whether the weights are random, which evidence of a shipped folding is not made with.
        head: of the config: evidence of a network without its CAM block is none of one with it.

    Raises:
        UserError: the config names no file, or one of a network with a CAM block, or the weights are random.
    """
    if file is None:
        remedy = f"write one with finn-cam fold {name} --write, and name it in the config"
        raise UserError(f"{name}: [folding] file", "a folding file", "none", remedy)
    if untrained:
        raise UserError("--evidence", "the config's own weights", "--untrained", "leave one of them out")
    require_same_head(file, name, head)
    return file


def keep_evidence(file: Path | None, name: str, found: Mapping[str, Any]) -> Path:
    """Keeps evidence beside a config's folding file.

    Args:
        file: the folding file that the config names.
        name: of the config.
        found: `synthesis` or `simulation`.

    Raises:
        UserError: the config names none.
    """
    kept = require_own_folding(file, name, untrained=False)
    return write_evidence(kept, read_folding(kept), found)
