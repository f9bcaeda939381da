"""What every data set is once loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Dataset:
    """Images with labels, whole in memory.

    Args:
        images: uint8 NHWC [N, S, S, 3], RGB.
        labels: int64 [N], 0 … classes-1.
        names: the classes' names, in label order.
        boxes: float32 [N, 4] (x0, y0, x1, y1, inclusive, in pixels of `images`), or None where the set has none.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: list[str]
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: NDArray[np.int64]) -> "Dataset":
        """The images at `indices`, in that order."""
        boxes = None if self.boxes is None else self.boxes[indices]
        return Dataset(self.images[indices], self.labels[indices], self.names, boxes)


def require_folder(folder: Path, what: str) -> Path:
    """The folder, if it is one.

    Raises:
        ModelError: nothing is there, or a file.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        remedy = "name the folder with --data, or fetch one with finn-cam data cifar10"
        raise ModelError(str(folder), what, found, remedy)
    return folder
