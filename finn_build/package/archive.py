"""A package's zip: the same files give the same bytes, and what is read from one is checked before it is used."""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from finn_build.errors import UserError
from finn_build.package.manifest import safe_path

# The earliest date a zip can hold: the files' own dates would differ from build to build.
DATE = (1980, 1, 1, 0, 0, 0)
MODE, SCRIPT_MODE = 0o644, 0o755
UNIX = 3
MOST_BYTES = 1 << 31
REMEDY = "copy or build the package again"


def mode_of(path: str) -> int:
    """A file's permissions in a package: scripts can be run."""
    return SCRIPT_MODE if path.endswith(".sh") else MODE


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """A zip of files by their paths, sorted, with fixed dates and modes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(safe_path(path), DATE)
            entry.create_system = UNIX
            entry.external_attr = (stat.S_IFREG | mode_of(path)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path], compresslevel=9)
    return buffer.getvalue()


def read_package(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a package, a folder or a zip, by their paths.

    Raises:
        UserError: it is neither, is truncated or corrupt, or holds a link, a file twice or a path that leaves it.
    """
    if path.is_dir():
        yield from _from_folder(path)
    else:
        yield from _from_zip(path)


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise UserError(f"{folder}: {name}", "a file", "a link", REMEDY)
        if path.is_file():
            yield name, path.read_bytes()


def _from_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(entry.file_size for entry in archive.infolist())
            if whole > MOST_BYTES:
                raise UserError(str(path), f"at most {MOST_BYTES:,} bytes in all", f"{whole:,}", REMEDY)
            for entry in archive.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG) or entry.is_dir():
                    raise UserError(f"{path}: {entry.filename}", "a file", "a link, folder or device", REMEDY)
                try:
                    name = safe_path(entry.filename)
                except ValueError as error:
                    raise UserError(str(path), "paths below the package", str(error), REMEDY) from None
                if name in seen:
                    raise UserError(f"{path}: {name}", "one file of that name", "two", REMEDY)
                seen.add(name)
                yield name, archive.read(entry)
    except FileNotFoundError:
        raise UserError(str(path), "a package", "no such file", "correct the path") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        # zipfile has no error of its own for these: damaged data is zlib.error or EOFError, an unknown compression
        # NotImplementedError, an encrypted entry RuntimeError, a bad offset OSError or ValueError.
        raise UserError(str(path), "a package's zip", f"a broken one ({error})", REMEDY) from None
