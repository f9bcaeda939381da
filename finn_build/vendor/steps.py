"""The steps of a vendor build, kept where they ran: Vivado's projects name their own folders and cannot be moved.

Beside that they are kept as stages are: under a key of all that they depend on, with a marker that is written last. A
build that was killed goes on at the first step without a marker; what that one had left is cleared away before.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from finn_build.cache.digest import file_digest, value_digest
from finn_build.cache.store import write_atomically
from finn_build.errors import ToolFailed

FORMAT = 1


class Steps:
    """The steps below one folder.

    Attributes:
        ran, reused: names of the steps of this build, in order.
        keys: of each step so far, for the steps that read what it made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.reused: list[str] = []
        self.keys: dict[str, str] = {}

    def run(self, name: str, parts: Mapping[str, str], wanted: list[str], work: Callable[[Path], None]) -> Path:
        """Runs a step in its folder, or leaves it as it is.

        Args:
            name: of the step and its folder.
            parts: what its result depends on.
            wanted: files that it has to leave, relative to its folder; they are looked at before it is used again.
            work: does it, given the folder, which is empty.

        Raises:
            ToolFailed: it ended, but a wanted file is not there.
        """
        place, marker = self.folder / name, self.folder / ".steps" / f"{name}.json"
        key = value_digest({**parts, "place": str(place)})
        self.keys[name] = key
        if self._whole(place, marker, key, wanted):
            self.reused.append(name)
            return place
        marker.unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        start = time.perf_counter()
        work(place)
        for file in wanted:
            if not (place / file).is_file():
                raise ToolFailed(f"step {name}", 0, place / "tool.log", [f"it ended well, but left no {file}"])
        marker.parent.mkdir(exist_ok=True)
        kept = {
            "format": FORMAT,
            "key": key,
            "files": {file: file_digest(place / file) for file in wanted},
            "seconds": round(time.perf_counter() - start, 1),
        }
        write_atomically(marker, json.dumps(kept, indent=1))
        self.ran.append(name)
        return place

    def _whole(self, place: Path, marker: Path, key: str, wanted: list[str]) -> bool:
        try:
            kept = json.loads(marker.read_text(encoding="utf-8"))
            files = dict(kept["files"])
            same = kept["format"] == FORMAT and kept["key"] == key and sorted(files) == sorted(wanted)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        return same and all((place / f).is_file() and file_digest(place / f) == d for f, d in files.items())
