"""Where stages' results lie: a folder a stage, and a manifest a stage that is written last.

A run that is killed leaves either the earlier result with its manifest, or no manifest: never one that promises a
result which is not there. A result is used again only if its key is the same, each of its files still has the
content that the manifest says, and no file has come to them.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from finn_build.cache.digest import file_digest
from finn_build.cache.key import KeyParts, changed_parts, key_of
from finn_build.errors import UserError

FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """A stage's kept result: key parts, files with their digests, the seconds it took and its report."""

    parts: KeyParts
    files: dict[str, str]
    seconds: float
    report: dict[str, Any]


class Store:
    """The results of one config's build, below one folder."""

    def __init__(self, folder: Path, published: Mapping[str, frozenset[str]] | None = None) -> None:
        """Results below `folder`; `published` names files that other stages put into a stage's folder."""
        self.folder = folder
        self._published = published or {}
        self._manifests = folder / ".stages"
        self._partial = folder / ".partial"

    def place(self, stage: str) -> Path:
        """The folder of a stage's finished files."""
        return self.folder / stage

    def kept(self, stage: str) -> Kept | None:
        """What is kept of a stage, whatever its key; None where nothing whole is."""
        try:
            raw = json.loads((self._manifests / f"{stage}.json").read_text(encoding="utf-8"))
            if raw["format"] != FORMAT:
                return None
            fields = {name: raw[name] for name in ("parts", "files", "seconds", "report")}
            return TypeAdapter(Kept).validate_python(fields)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # A pydantic ValidationError is a ValueError.
            return None

    def why_not_reused(self, stage: str, parts: KeyParts) -> list[str]:
        """Why a stage has to run: the changed parts of its key, or the files that are not as they were; [] to reuse."""
        kept = self.kept(stage)
        if kept is None:
            return ["no earlier result"]
        changed = changed_parts(kept.parts, parts)
        if changed:
            return changed
        spoilt = [f"file {stage}/{name} is not as it was written" for name in self._spoilt(stage, kept)]
        return spoilt + [f"file {stage}/{name} was added" for name in self._added(stage, kept)]

    def run(self, stage: str, parts: KeyParts, work: Callable[[Path], tuple[float, dict[str, Any]]]) -> Kept:
        """Runs a stage in a folder of its own and keeps its result in place of the earlier one.

        Args:
            stage: its name, also the name of its folder.
            parts: its key's parts.
            work: writes the files below the folder it is given; returns the seconds it took and its report as JSON.
        """
        for place in (self._partial, self._manifests, self.place(stage)):
            require_folder(place)
        partial = self._partial / stage
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            seconds, report = work(partial)
            files = {str(p.relative_to(partial)): file_digest(p) for p in sorted(partial.rglob("*")) if p.is_file()}
            self._manifests.mkdir(exist_ok=True)
            manifest = self._manifests / f"{stage}.json"
            manifest.unlink(missing_ok=True)
            shutil.rmtree(self.place(stage), ignore_errors=True)
            partial.rename(self.place(stage))
            write_atomically(
                manifest,
                json.dumps(
                    {
                        "format": FORMAT,
                        "key": key_of(parts),
                        "parts": parts,
                        "files": files,
                        "seconds": seconds,
                        "report": report,
                    },
                    indent=1,
                ),
            )
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)
        return Kept(parts, files, seconds, report)

    def _spoilt(self, stage: str, kept: Kept) -> list[str]:
        place = self.place(stage)
        return [
            name
            for name, digest in kept.files.items()
            if not (place / name).is_file() or file_digest(place / name) != digest
        ]

    def _added(self, stage: str, kept: Kept) -> list[str]:
        """Files that nothing of this project wrote: whoever reads the whole folder would take them for the stage's."""
        place = self.place(stage)
        found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_symlink() or not path.is_dir()}
        return sorted(found - kept.files.keys() - self._published.get(stage, frozenset()))


def require_folder(path: Path) -> None:
    """Refuses what stands where a folder of results belongs.

    Raises:
        UserError: a file or a link is there.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        got = "a link" if path.is_symlink() else "a file"
        raise UserError(str(path), "a folder of results, or nothing", got, "delete it, and run the command again")


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader sees either the earlier content or all of the new, whoever else writes it too."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
