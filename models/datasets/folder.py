"""A folder of class folders: `train/<class>/*.png` and `test/<class>/*.png` (or `val/`)."""

from pathlib import Path

import numpy as np

from models.datasets.dataset import Dataset, Split, require_folder
from models.datasets.pictures import list_pictures, read_picture
from models.errors import ModelError

SPLIT_FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("test", "val")}


def load_folder(root: Path, split: Split, size: int) -> Dataset:
    """Read a folder of class folders; the classes are the folders of `train` (or of the split alone), by name.

    Args:
        root: holds `train` and `test` (or `val`).
        split: "train" or "test".
        size: height and width in pixels that every picture is resized to.

    Raises:
        ModelError: the split is missing, a class has no picture, or a picture is corrupt.
    """
    require_folder(root, "a folder with train and test")
    folder = next((root / name for name in SPLIT_FOLDERS[split] if (root / name).is_dir()), None)
    if folder is None:
        wanted = " or ".join(SPLIT_FOLDERS[split])
        raise ModelError(str(root), f"a folder {wanted}", "neither" if split == "test" else "none", "add the split")
    reference = root / "train" if (root / "train").is_dir() else folder
    names = sorted(path.name for path in reference.iterdir() if path.is_dir())
    if not names:
        raise ModelError(str(reference), "one folder a class", "no folder", "put the pictures into class folders")
    images, labels = [], []
    for label, name in enumerate(names):
        pictures = list_pictures(folder / name) if (folder / name).is_dir() else []
        if not pictures:
            raise ModelError(str(folder / name), "pictures of the class", "none", "add some, or remove the class")
        images += [read_picture(path, size)[0] for path in pictures]
        labels += [label] * len(pictures)
    return Dataset(np.stack(images), np.array(labels, np.int64), names)
