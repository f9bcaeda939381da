"""CIFAR-10 in the 'binary version' layout (records of one label and 3×32×32 pixels) and in the Python one (pickles)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.datasets.dataset import Dataset, Split, require_folder
from models.datasets.python_batch import read_python_batch
from models.errors import ModelError

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIZE = 32
RECORD_BYTES = 1 + 3 * SIZE * SIZE
BINARY_FOLDER = "cifar-10-batches-bin"
PYTHON_FOLDER = "cifar-10-batches-py"
_REMEDY = "fetch it again with finn-cam data cifar10"


def _read_binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Planes uint8 [N, 3072] and labels int64 [N] of one batch file."""
    raw = np.fromfile(path, np.uint8)
    if raw.size == 0 or raw.size % RECORD_BYTES:
        raise ModelError(str(path), f"whole records of {RECORD_BYTES} bytes", f"{raw.size} bytes", _REMEDY)
    records = raw.reshape(-1, RECORD_BYTES)
    return records[:, 1:], records[:, 0].astype(np.int64)


def load_cifar10(root: Path, split: Split, size: int = SIZE) -> Dataset:
    """Read CIFAR-10.

    Args:
        root: the folder of the batches, or the one that holds `cifar-10-batches-bin` or `cifar-10-batches-py`.
        split: "train" (every data_batch_N that is there) or "test".
        size: must be 32.

    Raises:
        ModelError: a folder, batch or record is missing, truncated or corrupt.
    """
    if size != SIZE:
        raise ModelError("[input] size", f"{SIZE} for CIFAR-10", str(size), "correct the config")
    require_folder(root, "a folder with CIFAR-10")
    folders = [root, root / BINARY_FOLDER, root / PYTHON_FOLDER]
    stem = "data_batch_*" if split == "train" else "test_batch*"
    for folder in folders:
        batches = sorted(path for path in folder.glob(stem) if path.suffix in ("", ".bin"))
        if batches:
            break
    else:
        raise ModelError(str(root), f"{stem} or {stem}.bin, the {split} split of CIFAR-10", "no such file", _REMEDY)
    parts = [_read_binary(path) if path.suffix == ".bin" else read_python_batch(path) for path in batches]
    for path, (_, labels) in zip(batches, parts, strict=True):
        if labels.min() < 0 or labels.max() >= len(CLASSES):
            raise ModelError(str(path), "labels 0 to 9", str(labels[(labels < 0) | (labels > 9)][0]), _REMEDY)
    planes = np.concatenate([planes for planes, _ in parts])
    images = np.ascontiguousarray(planes.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1))
    return Dataset(images, np.concatenate([labels for _, labels in parts]), list(CLASSES))
