"""What `finn-cam simulate` and `finn-cam synth` found, kept beside the build with the digest of what it is of."""

import json
from pathlib import Path
from typing import Any, Literal

from finn_build.cache.digest import path_digest
from finn_build.cache.store import write_atomically

Kind = Literal["simulation", "synthesis"]
FOLDER = "rtl"


def write_record(build: Path, kind: Kind, facts: dict[str, Any]) -> Path:
    """Keeps a part of the report; `build` is the folder of a config's results, its code generated."""
    path = build / FOLDER / f"{kind}.json"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps({"of": _current(build), "facts": facts}, indent=1) + "\n")
    return path


def read_record(build: Path, kind: Kind) -> dict[str, Any] | None:
    """What was kept, if it is of the generated code as it now lies there; None otherwise."""
    try:
        kept = json.loads((build / FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
        facts = kept["facts"]
        return facts if isinstance(facts, dict) and kept["of"] == _current(build) else None
    except (OSError, ValueError, KeyError, TypeError):
        # Absent or damaged, it can be made again.
        return None


def _current(build: Path) -> str:
    return path_digest(build / "codegen")
