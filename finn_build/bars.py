"""`verify.json`: the full bars of each issue as `make verify` measured them, and when they may be shown.

A figure says something of the commit and the files it was measured on, and of no other. So each is kept with the
commit, the digests of its inputs and the command that makes it, and is shown only where all are still the same.
"""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finn_build.cache.digest import path_digest
from finn_build.cache.store import write_atomically
from finn_build.environment import ROOT
from finn_build.report.schema import Bar, Relation, compare


@dataclass(frozen=True)
class Measured:
    """One figure: what it is, its limit, and on what and how it was measured.

    Attributes:
        measured: the figure.
        limit: with `relation`, what it has to keep.
        command: makes it anew.
        commit: of the checkout; None if that had changes, and then the figure is never shown.
        inputs: digests of the files it was measured on, by path relative to the checkout.
    """

    name: str
    measured: float
    relation: Relation
    limit: float
    command: str
    commit: str | None
    inputs: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether the figure keeps its limit."""
        return compare(self.measured, self.relation, self.limit)


def clean_commit() -> str | None:
    """The checkout's commit; None outside git, or where tracked files differ from it."""
    commit = _git("rev-parse", "HEAD")
    return commit if commit and _git("status", "--porcelain", "--untracked-files=no") == "" else None


def digests(inputs: Iterable[Path]) -> dict[str, str]:
    """Digests of files and folders by their path, relative to the checkout where they lie in it."""
    return {_named(path): path_digest(path) for path in inputs}


def read_bars(path: Path) -> list[Measured]:
    """What a `verify.json` holds; nothing if it is absent or broken, since it can be measured anew."""
    try:
        return [Measured(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_bar(path: Path, figure: Measured) -> None:
    """Adds a figure, in place of an earlier one of its name."""
    others = [other for other in read_bars(path) if other.name != figure.name]
    entries: list[dict[str, Any]] = [asdict(entry) for entry in sorted([*others, figure], key=lambda entry: entry.name)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"figures": entries}, indent=1) + "\n")


def holds_still(figure: Measured, commit: str | None) -> bool:
    """Whether a figure was measured at this commit, on files that are as they were."""
    if commit is None or figure.commit != commit:
        return False
    return all(path_digest(ROOT / name) == digest for name, digest in figure.inputs.items())


def bars_to_show(path: Path) -> list[Bar]:
    """The figures that hold for the checkout as it is, as the report shows them."""
    commit = clean_commit()
    return [
        Bar(
            name=figure.name,
            measured=figure.measured,
            limit=figure.limit,
            relation=figure.relation,
            passed=figure.passed,
            command=figure.command,
        )
        for figure in read_bars(path)
        if holds_still(figure, commit)
    ]


def _named(path: Path) -> str:
    whole = path.resolve()
    return str(whole.relative_to(ROOT)) if whole.is_relative_to(ROOT) else str(whole)


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
