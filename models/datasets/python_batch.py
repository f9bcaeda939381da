"""CIFAR-10's Python batches, read without the power that a pickle has to run code."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

PIXELS = 3 * 32 * 32
_REMEDY = "fetch it again with finn-cam data cifar10"


class _Pixels:
    """Stands in for the array that the batch holds, and can do nothing but remember its bytes."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.data = b""

    def __setstate__(self, state: Any) -> None:
        """Take numpy's array state: version, shape, data type, column-major, bytes."""
        _, shape, kind, column_major, data = state
        if not isinstance(kind, _Bytes) or column_major or not isinstance(data, bytes | str):
            raise pickle.UnpicklingError("an array that is no row-major uint8")
        self.shape = tuple(int(length) for length in shape)
        # A Python 2 string read as latin-1 holds one byte a character.
        self.data = data.encode("latin-1") if isinstance(data, str) else data


class _Bytes:
    """Stands in for numpy's data type; only uint8 is let through."""

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like mean nothing for single bytes."""


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Pixels:
    if kind is not _Pixels:
        raise pickle.UnpicklingError("an array of another class")
    return _Pixels()


def _dtype(code: Any, *flags: Any) -> _Bytes:
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"an array of {code!r}")
    return _Bytes()


def _codecs_encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("an encoded value that is no latin-1 text")
    return text.encode("latin-1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Pixels,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _codecs_encode,
}


class _BatchReader(pickle.Unpickler):
    """Knows the names a batch needs, all of them replaced by stand-ins of this module, and refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in, never the thing itself."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}, which no batch needs")
        return _ALLOWED[module, name]


def read_python_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one batch of the 'python version'.

    Returns:
        Planes uint8 [N, 3072] and labels int64 [N].

    Raises:
        ModelError: the file is truncated, corrupt, or wants anything imported.
    """
    try:
        batch = _BatchReader(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        pixels, labels = batch["data"], batch["labels"]
        if not isinstance(pixels, _Pixels) or not isinstance(labels, list):
            raise pickle.UnpicklingError("data or labels of another type")
        if not all(type(label) is int for label in labels):
            raise pickle.UnpicklingError("labels that are no integers")
        if pixels.shape != (len(labels), PIXELS) or len(pixels.data) != len(labels) * PIXELS or not labels:
            raise pickle.UnpicklingError(f"{len(labels)} labels and {len(pixels.data)} bytes of shape {pixels.shape}")
        return np.frombuffer(pixels.data, np.uint8).reshape(pixels.shape), np.array(labels, np.int64)
    except Exception as error:
        # A hostile or damaged pickle can fail anywhere, with any exception.
        found = str(error) or type(error).__name__
        raise ModelError(str(path), "a CIFAR-10 batch (pickled dict of data and labels)", found, _REMEDY) from error
