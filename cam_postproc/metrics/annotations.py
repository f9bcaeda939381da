"""Annotated boxes and masks of the field's file formats."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat  # document types are refused, so nothing can be expanded or fetched

import cv2
import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.metrics.contours import Int64, resize_box
from cam_postproc.metrics.maps import PROTOCOL_SIZE
from cam_postproc.metrics.pixels import merge_masks

TINY_IMAGENET_SIZE = 64  # pixels
_MAX_XML_BYTES = 16 << 20
_MOST_PIXELS = 1 << 31  # of an image's side


@dataclass(frozen=True)
class Annotation:
    """What is known of one image.

    Args:
        image_id: its path below the data set's folder.
        label: class index, -1 if unknown.
        size: (width, height), pixels.
        boxes: each x0, y0, x1, y1, both corners included, at the image's size.
        masks: mask files below the masks' folder.
        ignore: file of the region that is not counted, or "".
    """

    image_id: str
    label: int
    size: tuple[int, int]
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    masks: tuple[str, ...] = ()
    ignore: str = ""

    def boxes_at(self, size: int = PROTOCOL_SIZE) -> Int64:
        """Boxes on the image resized to a square of `size` pixels: int64 [B, 4]."""
        boxes = [resize_box(box, self.size, (size, size)) for box in self.boxes]
        return np.array(boxes, dtype=np.int64).reshape(-1, 4)


def read_wsol_metadata(folder: Path, *, labels_needed: bool = True) -> list[Annotation]:
    """The evaluator's format, in the order of image_ids.txt.

    image_ids.txt (path), class_labels.txt (path,label), image_sizes.txt (path,width,height; not needed with masks),
    localization.txt (path,x0,y0,x1,y1 or path,mask,ignore; several lines an image).

    Args:
        folder: of these files.
        labels_needed: whether class_labels.txt has to be there; the evaluator scores maps without it.

    Raises:
        CamError: a missing file, a malformed line, or an image without label, size, box or mask.
    """
    ids = [fields[0] for fields in _lines(folder / "image_ids.txt", (1,))]
    named = folder / "class_labels.txt"
    known = labels_needed or named.exists()
    labels = {f[0]: _integer(f[1], named) for f in _lines(named, (2,))} if known else dict.fromkeys(ids, -1)
    place = folder / "localization.txt"
    boxes: dict[str, list[tuple[int, int, int, int]]] = {}
    masks: dict[str, list[str]] = {}
    ignore: dict[str, str] = {}
    for fields in _lines(place, (5, 3)):
        if len(fields) == 5:
            x0, y0, x1, y1 = (_integer(value, place) for value in fields[1:])
            boxes.setdefault(fields[0], []).append(_box((x0, y0, x1, y1), place))
        else:
            masks.setdefault(fields[0], []).append(fields[1])
            if fields[2]:
                ignore.setdefault(fields[0], fields[2])
    if boxes and masks:
        raise CamError(str(place), "boxes or masks", "both", "keep them in folders of their own")
    sizes: dict[str, tuple[int, int]] = {}
    if boxes:
        place_sizes = folder / "image_sizes.txt"
        for image_id, width, height in _lines(place_sizes, (3,)):
            sizes[image_id] = (_integer(width, place_sizes), _integer(height, place_sizes))
    annotations = []
    for image_id in ids:
        if image_id not in labels or (image_id not in boxes and image_id not in masks):
            missing = "class_labels.txt" if image_id not in labels else "localization.txt"
            raise CamError(str(folder / missing), f"a line for {image_id}", "none", "complete the metadata")
        if image_id in boxes and min(sizes.get(image_id, (0, 0))) < 1:
            raise CamError(str(folder / "image_sizes.txt"), f"a size of {image_id}", "none", "complete the metadata")
        annotations.append(
            Annotation(
                image_id,
                labels[image_id],
                sizes.get(image_id, (PROTOCOL_SIZE, PROTOCOL_SIZE)),
                tuple(boxes.get(image_id, ())),
                tuple(masks.get(image_id, ())),
                ignore.get(image_id, ""),
            )
        )
    return annotations


def read_tiny_imagenet(folder: Path, split: str) -> list[Annotation]:
    """Tiny-ImageNet's boxes: val/val_annotations.txt, or train/<wnid>/<wnid>_boxes.txt; labels count as in wnids.txt.

    Raises:
        CamError: another split, a missing file, or a malformed line.
    """
    wnids = [fields[0] for fields in _lines(folder / "wnids.txt", (1,), "\t")]
    index = {wnid: i for i, wnid in enumerate(wnids)}
    size = (TINY_IMAGENET_SIZE, TINY_IMAGENET_SIZE)
    found = []
    if split == "val":
        place = folder / "val" / "val_annotations.txt"
        for name, wnid, *corners in _lines(place, (6,), "\t"):
            if wnid not in index:
                raise CamError(str(place), "a class of wnids.txt", wnid, "complete wnids.txt")
            found.append(Annotation(f"val/images/{name}", index[wnid], size, (_corners(corners, place),)))
    elif split == "train":
        for wnid in wnids:
            place = folder / "train" / wnid / f"{wnid}_boxes.txt"
            for name, *corners in _lines(place, (5,), "\t"):
                path = f"train/{wnid}/images/{name}"
                found.append(Annotation(path, index[wnid], size, (_corners(corners, place),)))
    else:
        raise CamError("Tiny-ImageNet split", "train or val", repr(split), "choose one of them")
    return found


def read_voc_xml(path: Path, *, origin: int = 1) -> tuple[Annotation, tuple[str, ...]]:
    """One image's VOC annotation, and the name of each box's object.

    Args:
        origin: number of the first pixel: 1 in PASCAL VOC; ImageNet's files of this form count from 0.

    Raises:
        CamError: no XML, a document type (which could make a small file expand without end), no size, or a box without
            its four corners.
    """
    nodes = list(_xml_leaves(path))
    values = dict(nodes)
    width, height = values.get("annotation/size/width", ""), values.get("annotation/size/height", "")
    size = (_integer(width, path), _integer(height, path))
    if min(size) < 1:
        raise CamError(str(path), "a size above 0", str(size), "check the annotation")
    names: list[str] = []
    corners: list[dict[str, int]] = []
    for tag, text in nodes:
        if tag == "annotation/object/name":
            names.append(text)
        box_tag = re.fullmatch(r"annotation/object/bndbox/(xmin|ymin|xmax|ymax)", tag)
        if box_tag:
            if not corners or box_tag[1] in corners[-1]:
                corners.append({})
            corners[-1][box_tag[1]] = max(0, _integer(text, path) - origin)
    if any(len(corner) != 4 for corner in corners) or len(names) != len(corners):
        raise CamError(str(path), "xmin, ymin, xmax and ymax of each named object", "fewer", "check the annotation")
    boxes = tuple(_box((c["xmin"], c["ymin"], c["xmax"], c["ymax"]), path) for c in corners)
    return Annotation(values.get("annotation/filename", path.stem), -1, size, boxes), tuple(names)


def read_mask(folder: Path, annotation: Annotation, size: int = PROTOCOL_SIZE) -> npt.NDArray[np.uint8]:
    """An image's mask as `metrics.pixels` wants it: uint8 [size, size], 1, 0, or 255 where not counted.

    Raises:
        CamError: a file that is missing or no image.
    """
    instances = np.stack([_read_binary(safe_path(folder, name), size) for name in annotation.masks])
    if not annotation.ignore:
        return merge_masks(instances, np.zeros((size, size), dtype=np.bool_))
    return merge_masks(instances, _read_binary(safe_path(folder, annotation.ignore), size))


def safe_path(folder: Path, name: str) -> Path:
    """folder / name, if that stays inside the folder; links that its owner put there are followed.

    Raises:
        CamError: an absolute name, one that climbs out, or one that no file can have.
    """
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise CamError("file name", f"a path inside {folder}", repr(name), "check the metadata")
    return folder / name


def _read_binary(path: Path, size: int) -> npt.NDArray[np.bool_]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if image is None:
        raise CamError(str(path), "a mask image", "none", "check the masks' folder")
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8) > 0


def _lines(path: Path, counts: tuple[int, ...], separator: str = ",") -> Iterator[list[str]]:
    try:
        # Editors on Windows put a byte order mark first.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or "no UTF-8 text"
        raise CamError(str(path), "a text file", got, "check the metadata's folder") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split(separator)]
        if len(fields) not in counts:
            wanted = " or ".join(map(str, counts))
            raise CamError(f"{path}:{number}", f"{wanted} fields", str(len(fields)), "correct the line")
        yield fields


def _integer(text: str, place: Path) -> int:
    try:
        value = int(float(text))
    except (ValueError, OverflowError):
        value = _MOST_PIXELS + 1
    if abs(value) > _MOST_PIXELS:
        raise CamError(str(place), "a number", repr(text[:40]), "correct the file")
    return value


def _corners(fields: list[str], place: Path) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (_integer(value, place) for value in fields)
    return _box((x0, y0, x1, y1), place)


def _box(box: tuple[int, int, int, int], place: Path) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    if not (0 <= x0 <= x1 and 0 <= y0 <= y1):
        raise CamError(str(place), "a box with 0 ≤ x0 ≤ x1 and 0 ≤ y0 ≤ y1", str(box), "correct the box")
    return box


def _xml_leaves(path: Path) -> Iterator[tuple[str, str]]:
    """(path of tags, text) of each element, as they end."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CamError(str(path), "an XML file", error.strerror or "an error", "check the folder") from None
    if len(data) > _MAX_XML_BYTES:
        raise CamError(str(path), f"at most {_MAX_XML_BYTES} bytes", str(len(data)), "that is no annotation")
    found: list[tuple[str, str]] = []
    stack: list[tuple[str, list[str]]] = []

    def start(tag: str, _: dict[str, str]) -> None:
        stack.append((tag, []))

    def text(chunk: str) -> None:
        stack[-1][1].append(chunk)

    def end(_: str) -> None:
        found.append(("/".join(tag for tag, _ in stack), "".join(stack[-1][1]).strip()))
        stack.pop()

    def refuse(*_: object) -> None:
        raise CamError(str(path), "XML without a document type", "a document type", "remove the DOCTYPE line")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        if isinstance(error, CamError):
            raise
        raise CamError(str(path), "well-formed XML", str(error), "check the file") from None
    yield from found
