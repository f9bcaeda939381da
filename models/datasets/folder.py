"""A folder of class folders: `train/<class>/*.png` and `test/<class>/*.png` (or `val/`), or the class folders alone.

Where there is no test part, a fifth of each class's pictures is one: those whose names have the lowest SHA-256. So the
parts are the same on every machine, and hardly change when pictures are added.
"""

import hashlib
from pathlib import Path

import numpy as np

from models.datasets.dataset import Dataset, Split, require_folder
from models.datasets.pictures import list_pictures, read_picture
from models.errors import ModelError

SPLIT_FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("test", "val")}
MACOSX = "__MACOSX"
"""What a Mac's archive leaves beside the folders that it held."""
TEST_SHARE = 5
"""One picture in so many is a test picture where the folder has no test part of its own."""


def class_folders(folder: Path) -> list[Path]:
    """The folders directly in a folder, by name, but for hidden ones and what a Mac's archive leaves."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", MACOSX)))


def part_of(root: Path, split: Split) -> Path | None:
    """The split's own folder of class folders, or None where it has none."""
    candidates = (root / name for name in SPLIT_FOLDERS[split])
    return next((path for path in candidates if path.is_dir() and class_folders(path)), None)


def holds_classes(root: Path) -> bool:
    """Whether a folder has class folders, in parts or directly.

    A folder of data sets is none: class folders that stand alone hold pictures, and a Tiny-ImageNet has lists.
    """
    if not root.is_dir() or (root / "wnids.txt").exists():
        return False
    parts: tuple[Split, ...] = ("train", "test")
    return any(part_of(root, split) for split in parts) or any(list_pictures(f) for f in class_folders(root))


def pictures_of(root: Path, split: Split) -> tuple[list[str], list[list[Path]]]:
    """The classes' names, and each class's pictures of a split.

    Args:
        root: holds `train` and `test` (or `val`), or `train` alone, or class folders.
        split: "train" or "test".

    Raises:
        ModelError: the split or its classes are missing, a class has no picture (or one, where it is to be parted), or
            the test part has a class that the training part lacks.
    """
    require_folder(root, "a folder of class folders")
    own = {"train": part_of(root, "train"), "test": part_of(root, "test")}
    whole = own["train"] or (None if own["test"] else root)
    if own[split] is None and whole is None:
        raise ModelError(str(root), "a folder train with class folders", "test alone", "add the training pictures")
    folder = own[split] or whole or root
    # The classes are those of the training part; a test part that lacks one is refused below.
    names = [path.name for path in class_folders(own["train"] or folder)]
    if not names:
        raise ModelError(str(folder), "one folder a class", "no folder", "put the pictures into class folders")
    _require_known(root, own["test"], names)
    found = []
    for name in names:
        place = folder / name
        pictures = list_pictures(place) if place.is_dir() else []
        parted = own["test"] is None
        if len(pictures) < 1 + parted:
            wanted = "two or more pictures of the class, one to test with" if parted else "pictures of the class"
            remedy = "add some, or remove the class"
            raise ModelError(str(place), wanted, str(len(pictures)) if pictures else "none", remedy)
        found.append(_part(pictures, split) if parted else pictures)
    return names, found


def _require_known(root: Path, test: Path | None, names: list[str]) -> None:
    """Pictures of a class that was not learnt would be left out of the accuracy without a word."""
    for path in class_folders(test) if test is not None else []:
        if path.name not in names and list_pictures(path):
            remedy = f"add its pictures to {root / 'train' / path.name}, or remove the folder"
            raise ModelError(str(path), f"a class of train ({', '.join(names)})", path.name, remedy)


def load_folder(root: Path, split: Split, size: int) -> Dataset:
    """Read a folder of class folders; the classes are its folders' names, sorted.

    Args:
        root: see `pictures_of`.
        split: "train" or "test".
        size: height and width in pixels that every picture is resized to.

    Raises:
        ModelError: see `pictures_of`; or a picture is corrupt.
    """
    names, pictures = pictures_of(root, split)
    images = [read_picture(path, size)[0] for paths in pictures for path in paths]
    labels = np.repeat(np.arange(len(names)), [len(paths) for paths in pictures])
    return Dataset(np.stack(images), labels.astype(np.int64), names)


def _part(pictures: list[Path], split: Split) -> list[Path]:
    """The pictures of a split, in order, where a class's pictures are parted here."""
    ranked = sorted(pictures, key=lambda path: hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).digest())
    tested = max(1, round(len(pictures) / TEST_SHARE))
    return sorted(ranked[:tested] if split == "test" else ranked[tested:])
