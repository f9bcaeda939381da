"""Content digests of files, folders and plain values."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, wanted: Callable[[Path], bool] = lambda path: True) -> str:
    """SHA-256 over the relative names and contents of a folder's files, in sorted order; links are followed."""
    whole = hashlib.sha256()
    for path in sorted(p for p in _files_below(folder, frozenset()) if wanted(p)):
        whole.update(f"{path.relative_to(folder)}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()


def _files_below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """All files, through links to folders too: a data set's classes are often such links."""
    real = folder.resolve()
    if real in above:
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files_below(path, above | {real})
        elif path.is_file():
            yield path


def path_digest(path: Path) -> str:
    """Digest of a file or of a whole folder; 'absent' where there is neither."""
    if path.is_dir():
        return folder_digest(path)
    return file_digest(path) if path.is_file() else "absent"


def value_digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON. Values are plain: dicts with string keys, lists, strings, numbers."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
