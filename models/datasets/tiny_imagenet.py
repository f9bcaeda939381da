"""Tiny-ImageNet's layout: wnids.txt, words.txt, `train/<wnid>/images`, `val/val_annotations.txt`."""

from pathlib import Path

import numpy as np

from models.datasets.dataset import Dataset, Split, require_folder
from models.datasets.pictures import list_pictures, read_picture
from models.errors import ModelError

Box = tuple[float, float, float, float]
_REMEDY = "fetch the data set again"


def load_tiny_imagenet(root: Path, split: Split, size: int) -> Dataset:
    """Read Tiny-ImageNet, or a part of its classes in the same layout; labels follow wnids.txt.

    Args:
        root: the folder with wnids.txt.
        split: "train", or "test" for the validation images (the test images have no labels).
        size: height and width in pixels that every picture is resized to; boxes follow.

    Raises:
        ModelError: a file is missing or malformed, a class is empty, or a picture is corrupt.
    """
    require_folder(root, "a folder in Tiny-ImageNet's layout")
    wnids = [line.strip() for line in _lines(root / "wnids.txt") if line.strip()]
    if not wnids:
        raise ModelError(str(root / "wnids.txt"), "one class a line", "an empty file", _REMEDY)
    words = dict(line.split("\t", 1) for line in _lines(root / "words.txt") if "\t" in line)
    names = [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]
    labels_of = {wnid: label for label, wnid in enumerate(wnids)}
    entries = _train_entries(root, wnids) if split == "train" else _val_entries(root, labels_of)
    images, boxes = [], []
    for path, _, box in entries:
        image, width, height = read_picture(path, size)
        images.append(image)
        boxes.append(_scale(box, size / width, size / height))
    labels = np.array([label for _, label, _ in entries], np.int64)
    boxed = all(box is not None for _, _, box in entries)
    return Dataset(np.stack(images), labels, names, np.array(boxes, np.float32) if boxed else None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(str(path), "a text file of Tiny-ImageNet", _reason(error), _REMEDY) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _train_entries(root: Path, wnids: list[str]) -> list[tuple[Path, int, Box | None]]:
    entries: list[tuple[Path, int, Box | None]] = []
    for label, wnid in enumerate(wnids):
        folder = root / "train" / wnid / "images"
        pictures = list_pictures(folder) if folder.is_dir() else []
        if not pictures:
            raise ModelError(str(folder), f"pictures of class {wnid}", "none", _REMEDY)
        annotations = root / "train" / wnid / f"{wnid}_boxes.txt"
        boxes: dict[str, Box] = {}
        if annotations.exists():
            for number, line in enumerate(_lines(annotations), 1):
                name, *numbers = line.split("\t")
                boxes[name] = _box(numbers, annotations, number)
        entries += [(path, label, boxes.get(path.name)) for path in pictures]
    return entries


def _val_entries(root: Path, labels_of: dict[str, int]) -> list[tuple[Path, int, Box | None]]:
    annotations = root / "val" / "val_annotations.txt"
    entries: list[tuple[Path, int, Box | None]] = []
    for number, line in enumerate(_lines(annotations), 1):
        name, *rest = line.split("\t")
        if not rest or rest[0] not in labels_of:
            found = rest[0] if rest else "no class"
            raise ModelError(f"{annotations} line {number}", "a class of wnids.txt", found, _REMEDY)
        path = root / "val" / "images" / name
        entries.append((path, labels_of[rest[0]], _box(rest[1:], annotations, number) if len(rest) > 1 else None))
    empty = set(range(len(labels_of))) - {label for _, label, _ in entries}
    if empty:
        wnid = list(labels_of)[min(empty)]
        raise ModelError(str(annotations), f"images of class {wnid}", "none", _REMEDY)
    return entries


def _box(numbers: list[str], path: Path, line: int) -> Box:
    try:
        x0, y0, x1, y1 = (float(number) for number in numbers)
    except ValueError as error:
        raise ModelError(f"{path} line {line}", "x0, y0, x1, y1", " ".join(numbers) or "none", _REMEDY) from error
    return x0, y0, x1, y1


def _scale(box: Box | None, x_factor: float, y_factor: float) -> Box:
    """Follow a resize; both corners belong to the box, so the far ones are scaled one pixel further out."""
    x0, y0, x1, y1 = box or (0.0, 0.0, 0.0, 0.0)
    return x0 * x_factor, y0 * y_factor, (x1 + 1) * x_factor - 1, (y1 + 1) * y_factor - 1
