"""Where annotated boxes come from: Tiny-ImageNet's files, the field's evaluator's metadata, or VOC's XML."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cam_postproc.metrics.annotations import Annotation, read_tiny_imagenet, read_voc_xml, read_wsol_metadata
from finn_build.config import Config
from finn_build.errors import UserError

Split = Literal["train", "val"]

BOXED_A_CLASS = 50
"""Images a class whose boxes may choose a threshold: localisation is learnt from class labels alone."""

IDS = "image_ids.txt"
WSOL_SPLITS: dict[Split, str] = {"val": "test", "train": "val"}
"""The evaluator scores on `test` and chooses on its fully annotated `val`."""

VOC_XML, VOC_PICTURES, VOC_SETS = "Annotations", "JPEGImages", Path("ImageSets") / "Main"


@dataclass(frozen=True)
class Annotated:
    """A split's annotations.

    Attributes:
        annotations: an entry for each image, or for each class of an image.
        pictures: the folder that their paths start from.
        source: the format, in words.
    """

    annotations: list[Annotation]
    pictures: Path
    source: str


def is_annotated(root: Path) -> bool:
    """Whether a folder holds annotations of its own that `read_annotations` knows, besides a data set's."""
    return (root / IDS).is_file() or (root / VOC_XML).is_dir()


def read_annotations(config: Config, root: Path, split: Split, metadata: Path | None = None) -> Annotated:
    """The annotations of a split; of those that choose a threshold the first fifty of each class.

    Args:
        config: whose `[data]` names data set and labels.
        root: of the pictures.
        split: `val` is scored; `train` chooses a threshold, and may be empty.
        metadata: a folder in the evaluator's format, or one with its splits `val` and `test`; None looks into `root`
            for metadata, then for VOC's folders, then takes the config's data set.

    Raises:
        UserError: there are no boxes in a format that is known.
        CamError: a file is missing or broken.
    """
    if metadata is not None or (root / IDS).is_file():
        found = _wsol(metadata or root, root, split)
    elif (root / VOC_XML).is_dir():
        found = _voc(config, root, split)
    elif config.data.dataset == "tiny-imagenet":
        # A copy of the data set may come without its training images.
        there = split == "val" or (root / "train").is_dir()
        found = Annotated(read_tiny_imagenet(root, split) if there else [], root, "tiny-imagenet")
    else:
        got = f"{config.data.dataset}, which has none"
        remedy = "use another config, or name metadata with --metadata"
        raise UserError(f"{config.name}: [data] dataset", "images with boxes: tiny-imagenet", got, remedy)
    return found if split == "val" else replace(found, annotations=_first_of_each_class(found.annotations))


def _wsol(metadata: Path, pictures: Path, split: Split) -> Annotated:
    if not metadata.is_dir():
        raise UserError(f"--metadata {metadata}", "a folder", "nothing there", "correct the path")
    folder = metadata / WSOL_SPLITS[split]
    if (metadata / IDS).is_file():
        if split == "train":
            return Annotated([], pictures, "metadata")
        folder = metadata
    elif split == "train" and not folder.is_dir():
        return Annotated([], pictures, "metadata")
    annotations = read_wsol_metadata(folder)
    if any(annotation.masks for annotation in annotations):
        remedy = "score maps against masks with finn-cam score"
        raise UserError(str(folder / "localization.txt"), "boxes", "masks", remedy)
    return Annotated(annotations, pictures, "metadata")


def _voc(config: Config, root: Path, split: Split) -> Annotated:
    """One entry for each image and class of the config's: its map is compared with the boxes of that class."""
    folder = root / VOC_XML
    names = _listed(root / VOC_SETS / f"{split}.txt")
    if names is None:
        # Without a list of splits all images are scored.
        names = sorted(path.stem for path in folder.glob("*.xml")) if split == "val" else []
        if split == "val" and not names:
            raise UserError(str(folder), "XML files", "none", "correct --data")
    ids = _listed(root / "wnids.txt")
    known = {name: index for index, name in enumerate(config.labels if ids is None else ids)}
    found = []
    for name in names:
        path = folder / f"{name}.xml"
        # ImageNet's files name synsets and count pixels from 0; PASCAL's name classes and count from 1.
        annotation, objects = read_voc_xml(path, origin=1 if ids is None else 0)
        for kind in dict.fromkeys(objects):
            if kind in known:
                boxes = tuple(box for box, own in zip(annotation.boxes, objects, strict=True) if own == kind)
                picture = _picture(root, annotation.image_id)
                found.append(replace(annotation, image_id=picture, label=known[kind], boxes=boxes))
    if names and not found:
        remedy = "use a config whose [data] labels are the names in the XML, or add wnids.txt"
        raise UserError(str(folder), f"objects named {', '.join(list(known)[:3])} …", "none", remedy)
    return Annotated(found, root, "VOC XML")


def _picture(root: Path, name: str) -> str:
    """The picture's path below the root; ImageNet's files leave its ending away."""
    paths = [f"{VOC_PICTURES}/{name}{end}" for end in ("", ".JPEG", ".jpg", ".png")]
    return next((path for path in paths if (root / path).is_file()), paths[0])


def _listed(path: Path) -> list[str] | None:
    """The first word of each line; None without such a file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return [line.split()[0] for line in lines if line.strip()]


def _first_of_each_class(annotations: Iterable[Annotation]) -> list[Annotation]:
    seen: Counter[int] = Counter()
    kept = []
    for annotation in annotations:
        seen[annotation.label] += 1
        if seen[annotation.label] <= BOXED_A_CLASS:
            kept.append(annotation)
    return kept
