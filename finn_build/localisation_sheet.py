"""Pages of heatmaps: the first annotated images of every class under each method's map, with both boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cam_postproc.hostside import largest_box, scale_box
from cam_postproc.metrics.contours import intersection_over_union
from cam_postproc.metrics.maps import PROTOCOL_SIZE
from cam_postproc.reference import normalise_float64
from finn_build.localisation_data import Boxed
from finn_build.localisation_maps import FormName, Heat
from finn_build.report.contact_sheet import contact_sheet
from finn_build.report.overlay import Marks, draw_overlay, to_png

TILES = 20
SIDE = 160
"""Pixels of a tile's shorter side, at least."""

TRUTH = (64, 255, 128)
SHEETS: tuple[FormName, ...] = (
    ("integer", "cam"),
    ("quantised", "layercam-fused"),
    ("quantised", "fcam-skips"),
    ("integer", "fcam-tap"),
)
"""What is drawn, of what there is."""


def write_sheets(
    folder: Path, boxed: Boxed, labels: Sequence[str], heat: dict[FormName, Heat], rows: Sequence[dict[str, Any]]
) -> list[dict[str, str]]:
    """Draws a page for each form of `SHEETS`.

    The images are the first of each class, in the data set's order: nothing chooses the ones that look best.

    Args:
        folder: of the build, where the PNG files go.
        boxed: the images that were scored.
        labels: the classes' names.
        heat: every form's maps of them.
        rows: the table's, whose thresholds give the boxes.

    Returns:
        Executor, method and file of each page.
    """
    chosen = first_of_each_class(boxed.labels, TILES)
    told = []
    software = () if ("integer", "cam") in heat else (("quantised", "cam"),)
    for executor, method in (*software, *SHEETS):
        if (executor, method) not in heat:
            continue
        row = next(row for row in rows if (row["executor"], row["method"]) == (executor, method))
        threshold = row["best_threshold"] if row["threshold"] is None else row["threshold"]
        maps = heat[executor, method].maps
        tiles = [
            _tile(boxed.images[i], maps[i], boxed.boxes[i], labels[int(boxed.labels[i])], threshold) for i in chosen
        ]
        name = f"localisation-{executor}-{method}.png"
        (folder / name).write_bytes(to_png(contact_sheet(tiles)))
        told.append({"executor": executor, "method": method, "file": name})
    return told


def first_of_each_class(labels: NDArray[np.int64], count: int) -> list[int]:
    """Positions of each class's first images: one of every class, then a second one, until there are `count`."""
    turns = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        turns[where] = np.arange(len(where))
    return sorted(np.lexsort((labels, turns))[:count].tolist(), key=lambda i: (turns[i], labels[i]))


def _tile(
    picture: NDArray[np.uint8], score_map: NDArray[Any], truth: NDArray[np.int64], label: str, threshold: float
) -> NDArray[np.uint8]:
    size = (picture.shape[0], picture.shape[1])
    heatmap = np.rint(255 * normalise_float64(score_map)).astype(np.uint8)
    box = largest_box(heatmap, threshold)
    protocol = (PROTOCOL_SIZE, PROTOCOL_SIZE)
    overlap = 0.0
    if box is not None:
        found = np.array([scale_box(box, heatmap.shape, protocol)], np.int64)
        overlap = float(intersection_over_union(found, truth).max())
        box = scale_box(box, heatmap.shape, size)
    marks = Marks(f"IoU {overlap:.2f} · {label}", None, box)
    canvas = Image.fromarray(draw_overlay(picture, heatmap, marks, shortest_side=SIDE))
    factor = canvas.width / size[1]
    draw = ImageDraw.Draw(canvas)
    for corners in truth.tolist():
        x0, y0, x1, y1 = scale_box(tuple(corners), protocol, size)
        draw.rectangle((x0 * factor, y0 * factor, (x1 + 1) * factor - 1, (y1 + 1) * factor - 1), outline=TRUTH, width=2)
    return np.asarray(canvas)
