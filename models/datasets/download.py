"""Downloads that resume where they were cut, and are used only once their hash is the pinned one."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, InvalidURL
from pathlib import Path
from tempfile import mkdtemp

from models.datasets.archive import extract
from models.datasets.cifar10 import BINARY_FOLDER
from models.errors import ModelError

OnProgress = Callable[[int, int | None], None]
"""Bytes there, and bytes in all where the server says so."""

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
"""Of the official archive of 170,052,171 bytes, whose published MD5 is c32a1d4ab5d03f1284b67883e8d87530."""

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30.0


def download(url: str, path: Path, sha256: str, on_progress: OnProgress | None = None) -> Path:
    """Fetch a file; `path` appears only once it is whole and its hash is right.

    What a cut leaves stays in `path` + ".part", and the next call goes on from there if the server can.

    Args:
        url: http(s) address.
        path: where the file goes.
        sha256: of the whole file.
        on_progress: called after every chunk.

    Raises:
        ModelError: no network, the server refuses, the connection is cut, the disk is full, or the hash is another.
    """
    if path.is_file() and _sha256(path) == sha256:
        return path
    if not url.startswith(("http://", "https://")):
        raise ModelError(url, "an http or https address", "another", "correct the address")
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, on_progress)
    except urllib.error.HTTPError as error:
        raise ModelError(url, "the file", f"HTTP {error.code} {error.reason}", "try again later") from error
    except urllib.error.URLError as error:
        remedy = f"connect, or put the file at {path}"
        raise ModelError(url, "a network", str(error.reason), remedy) from error
    except (InvalidURL, ValueError) as error:
        raise ModelError(url, "an address", str(error), "correct the address") from error
    except (HTTPException, TimeoutError, ConnectionError) as error:
        found = f"cut after {part.stat().st_size if part.exists() else 0} bytes"
        raise ModelError(url, "the whole file", found, "run the command again: it goes on from there") from error
    except OSError as error:
        found = error.strerror or str(error)
        remedy = "give another folder, or free some space"
        raise ModelError(str(part), "a place that can be written", found, remedy) from error
    found = _sha256(part)
    if found != sha256:
        part.unlink()
        raise ModelError(url, f"SHA-256 {sha256}", found, "the file was removed; try again, or doubt the source")
    part.replace(path)
    return path


def _fetch(url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Append what is missing to the partial file, or begin anew where the server sends the whole."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - http(s) only
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            # Nothing lies beyond what is there: it is whole, or not this file at all; the hash will tell.
            error.close()
            return
        raise
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        done = have if resumed else 0
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if on_progress is not None:
                    on_progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise ConnectionError


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_cifar10(
    folder: Path, on_progress: OnProgress | None = None, url: str = CIFAR10_URL, sha256: str = CIFAR10_SHA256
) -> Path:
    """Download and unpack CIFAR-10's official archive.

    Args:
        folder: where `cifar-10-batches-bin` goes.
        on_progress: called after every chunk.
        url, sha256: the archive.

    Returns:
        The folder of the batches; at once where it is there already.

    Raises:
        ModelError: see `download` and `extract`.
    """
    target = folder / BINARY_FOLDER
    if target.is_dir():
        return target
    archive = download(url, folder / "cifar-10-binary.tar.gz", sha256, on_progress)
    scratch = Path(mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        extract(archive, scratch)
        if not (scratch / BINARY_FOLDER).is_dir():
            raise ModelError(str(archive), f"a folder {BINARY_FOLDER}", "none", "remove the archive and try again")
        # One rename: a kill leaves no half of a data set that looks like the whole.
        (scratch / BINARY_FOLDER).replace(target)
    finally:
        _remove(scratch)
    archive.unlink()
    return target


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
