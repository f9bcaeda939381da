"""Annotated images as the network sees them, and their boxes as the protocol compares them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cam_postproc.metrics.annotations import safe_path
from cam_postproc.metrics.contours import Int64
from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.localisation_sources import read_annotations


@dataclass(frozen=True)
class Boxed:
    """Annotated images.

    Attributes:
        images: uint8 NHWC [N, S, S, 3], RGB, at the network's size.
        labels: int64 [N].
        boxes: N arrays int64 [B, 4], at the protocol's 224×224.
        source: in what format they are annotated.
    """

    images: NDArray[np.uint8]
    labels: Int64
    boxes: list[Int64]
    source: str = "tiny-imagenet"

    def __len__(self) -> int:
        return len(self.labels)


def load_boxed(config: Config, root: Path, split: Literal["train", "val"], metadata: Path | None = None) -> Boxed:
    """The annotated images of a split; of those that choose a threshold the first fifty of each class.

    Args:
        config: whose `[data]` and `[input]` say what is wanted.
        root: of the pictures.
        split: `val` is scored; `train` chooses a threshold.
        metadata: a folder in the evaluator's format; None finds out what lies in `root`.

    Raises:
        UserError: a data set without boxes, or none in this split.
        CamError, ModelError: annotations or pictures are missing or broken, or there is another number of classes.
    """
    from models.datasets.pictures import read_picture

    found = read_annotations(config, root, split, metadata)
    if not found.annotations:
        raise UserError(f"{root}: {split}", "annotated boxes", "none", "fetch the data set again")
    classes = 1 + max(annotation.label for annotation in found.annotations)
    if classes > config.data.classes:
        remedy = "correct [data] classes or the folder"
        raise UserError(str(metadata or root), f"{config.data.classes} classes", f"{classes} or more", remedy)
    size = config.input.size
    paths = [safe_path(found.pictures, annotation.image_id) for annotation in found.annotations]
    return Boxed(
        images=np.stack([read_picture(path, size)[0] for path in paths]),
        labels=np.array([annotation.label for annotation in found.annotations], np.int64),
        boxes=[annotation.boxes_at() for annotation in found.annotations],
        source=found.source,
    )
