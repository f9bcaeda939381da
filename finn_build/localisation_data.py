"""Annotated images as the network sees them, and their boxes as the protocol compares them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cam_postproc.metrics.annotations import Annotation, read_tiny_imagenet
from cam_postproc.metrics.contours import Int64
from finn_build.config import Config
from finn_build.errors import UserError

BOXED_A_CLASS = 50
"""Training images a class whose boxes may choose a threshold: localisation is learnt from class labels alone."""


@dataclass(frozen=True)
class Boxed:
    """Annotated images.

    Attributes:
        images: uint8 NHWC [N, S, S, 3], RGB, at the network's size.
        labels: int64 [N].
        boxes: N arrays int64 [B, 4], at the protocol's 224×224.
    """

    images: NDArray[np.uint8]
    labels: Int64
    boxes: list[Int64]

    def __len__(self) -> int:
        return len(self.labels)


def load_boxed(config: Config, root: Path, split: Literal["train", "val"]) -> Boxed:
    """The annotated images of a split; of the training images the first fifty of each class.

    Args:
        config: whose `[data]` and `[input]` say what is wanted.
        root: of the data set.
        split: `val` is scored; `train` chooses a threshold.

    Raises:
        UserError: a data set without boxes, or none in this split.
        CamError, ModelError: annotations or pictures are missing or broken, or there is another number of classes.
    """
    from models.datasets.pictures import read_picture

    if config.data.dataset != "tiny-imagenet":
        got = f"{config.data.dataset}, which has none"
        raise UserError(f"{config.name}: [data] dataset", "images with boxes: tiny-imagenet", got, "use another config")
    annotations = read_tiny_imagenet(root, split)
    if split == "train":
        annotations = _first_of_each_class(annotations)
    if not annotations:
        raise UserError(f"{root}: {split}", "annotated boxes", "none", "fetch the data set again")
    classes = 1 + max(annotation.label for annotation in annotations)
    if classes > config.data.classes:
        remedy = "correct [data] classes or the folder"
        raise UserError(str(root), f"{config.data.classes} classes", f"{classes} or more", remedy)
    size = config.input.size
    return Boxed(
        images=np.stack([read_picture(root / annotation.image_id, size)[0] for annotation in annotations]),
        labels=np.array([annotation.label for annotation in annotations], np.int64),
        boxes=[annotation.boxes_at() for annotation in annotations],
    )


def _first_of_each_class(annotations: list[Annotation]) -> list[Annotation]:
    seen: Counter[int] = Counter()
    kept = []
    for annotation in annotations:
        seen[annotation.label] += 1
        if seen[annotation.label] <= BOXED_A_CLASS:
            kept.append(annotation)
    return kept
