"""One door to all data sets."""

from pathlib import Path
from typing import Literal

from models.datasets.cifar10 import BINARY_FOLDER, PYTHON_FOLDER, load_cifar10
from models.datasets.dataset import Dataset, Split, require_folder
from models.datasets.folder import holds_classes, load_folder
from models.datasets.tiny_imagenet import load_tiny_imagenet
from models.errors import ModelError

Kind = Literal["cifar10", "tiny-imagenet", "folder"]


def find_root(kind: Kind, folder: Path) -> Path | None:
    """Where in a folder a data set's layout begins: the folder itself or one directly in it; None if nowhere.

    Args:
        kind: `[data] dataset`.
        folder: what the user named.
    """
    if not folder.is_dir():
        return None
    if kind == "cifar10":
        candidates = [folder, folder / BINARY_FOLDER, folder / PYTHON_FOLDER]
        return next((path for path in candidates if _has_batches(path)), None)
    if kind == "tiny-imagenet":
        candidates = [folder, *sorted(folder.glob("tiny-imagenet*"))]
        return next((path for path in candidates if (path / "wnids.txt").is_file()), None)
    return folder if holds_classes(folder) else None


def _has_batches(folder: Path) -> bool:
    return any(path.suffix in ("", ".bin") for stem in ("data_batch_*", "test_batch*") for path in folder.glob(stem))


def load_dataset(kind: Kind, root: Path, split: Split, size: int, classes: int) -> Dataset:
    """Read a data set from its download's layout.

    Args:
        kind: `[data] dataset`.
        root: the folder of the layout, or the one it stands in.
        split: "train" or "test" (Tiny-ImageNet's `val`).
        size: image height and width in pixels.
        classes: how many classes the network tells apart.

    Raises:
        ModelError: something is missing, truncated or corrupt, or the classes are not that many.
    """
    require_folder(root, f"a folder with the data set {kind}")
    found = find_root(kind, root) or root
    if kind == "cifar10":
        dataset = load_cifar10(found, split, size)
    elif kind == "tiny-imagenet":
        dataset = load_tiny_imagenet(found, split, size)
    else:
        dataset = load_folder(found, split, size)
    if len(dataset.names) != classes:
        counted = str(len(dataset.names))
        raise ModelError(str(found), f"{classes} classes", counted, "correct [data] classes or the folder")
    return dataset
