"""Is a package whole: every file as its manifest says, none missing, none added."""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from finn_build.errors import UserError
from finn_build.package.archive import REMEDY, read_package
from finn_build.package.manifest import MANIFEST, Manifest

MOST_NAMED = 3


def verify_package(path: Path) -> Manifest:
    """Checks a package, a folder or a zip, against its own manifest, which is returned.

    Raises:
        UserError: it is no package, or a file is missing, added or differs; the first of them are named.
    """
    files = dict(read_package(path))
    if MANIFEST not in files:
        raise UserError(str(path), f"a package with a {MANIFEST}", "none", REMEDY)
    manifest = _read_manifest(path, files.pop(MANIFEST))
    listed = {file.path: file for file in manifest.files}
    if len(listed) != len(manifest.files):
        raise UserError(f"{path}: {MANIFEST}", "each file once", "a file twice", REMEDY)
    _none(path, "every file of the manifest", "missing", sorted(listed.keys() - files.keys()))
    _none(path, "only files of the manifest", "added", sorted(files.keys() - listed.keys()))
    changed = [
        name
        for name, content in sorted(files.items())
        if len(content) != listed[name].bytes or hashlib.sha256(content).hexdigest() != listed[name].sha256
    ]
    _none(path, "files as the manifest says", "changed", changed)
    return manifest


def _read_manifest(path: Path, content: bytes) -> Manifest:
    place = f"{path}: {MANIFEST}"
    try:
        return Manifest.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{place}: {where}", "a manifest", first["msg"], REMEDY) from None
    except (ValueError, RecursionError) as error:
        raise UserError(place, "JSON", str(error), REMEDY) from None


def _none(path: Path, expected: str, state: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        raise UserError(str(path), expected, f"{state}: {', '.join(names[:MOST_NAMED])}{more}", REMEDY)
