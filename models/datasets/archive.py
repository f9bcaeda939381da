"""Unpacking archives that were not made here."""

import tarfile
import zlib
from pathlib import Path, PurePosixPath

from models.errors import ModelError


def extract(archive: Path, folder: Path) -> None:
    """Unpack plain files and folders, after all of the archive's names were looked at.

    Args:
        archive: a tar file, compressed or not.
        folder: where to; nothing is ever written outside it.

    Raises:
        ModelError: a name leads out of the folder, an entry is a link or a device, or the archive is damaged.
    """
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            for member in members:
                _check(member, archive)
            for member in members:
                path = folder / member.name
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                source = tar.extractfile(member)
                if source is None:
                    raise tarfile.ReadError(f"{member.name} holds nothing")
                path.parent.mkdir(parents=True, exist_ok=True)
                with source, path.open("wb") as file:
                    while chunk := source.read(1 << 20):
                        file.write(chunk)
                if path.stat().st_size != member.size:
                    raise tarfile.ReadError(f"{member.name} is cut short")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        remedy = "remove the archive and fetch it again"
        raise ModelError(str(archive), "a whole archive", str(error) or type(error).__name__, remedy) from error


def _check(member: tarfile.TarInfo, archive: Path) -> None:
    name = PurePosixPath(member.name)
    remedy = "do not trust the archive"
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or ":" in member.name:
        raise ModelError(str(archive), "names inside its folder", repr(member.name), remedy)
    if not (member.isreg() or member.isdir()):
        raise ModelError(str(archive), "files and folders only", f"{member.name!r}, a link or device", remedy)
