"""Many small overlays on one page."""

import math
from collections.abc import Sequence

import numpy as np

from finn_build.report.overlay import INK, Marks, Pixels, draw_overlay

SIDE = 224
"""Pixels of a tile's longer side, before its caption."""

GAP = 8
MOST_COLUMNS = 8


def draw_tile(picture: Pixels, heatmap: Pixels, marks: Marks, side: int = SIDE) -> Pixels:
    """An overlay for a sheet: small pictures enlarged by a whole factor. Arguments as `draw_overlay`'s.

    Args:
        picture: uint8 [h, w, 3], RGB, at most `side` pixels on its longer side.
        heatmap: uint8 [H, W].
        marks: in the picture's pixels.
        side: what the longer side comes near to.
    """
    short, long = sorted(picture.shape[:2])
    return draw_overlay(picture, heatmap, marks, shortest_side=short * max(1, side // long))


def contact_sheet(tiles: Sequence[Pixels]) -> Pixels:
    """Tiles in rows, each centred in a cell as large as the largest.

    Args:
        tiles: at least one, uint8 [h, w, 3], of any sizes.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    columns = min(MOST_COLUMNS, math.ceil(math.sqrt(len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    height, width = (max(tile.shape[axis] for tile in tiles) + GAP for axis in (0, 1))
    sheet = np.empty((rows * height + GAP, columns * width + GAP, 3), np.uint8)
    sheet[:] = INK
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top = GAP + row * height + (height - GAP - tile.shape[0]) // 2
        left = GAP + column * width + (width - GAP - tile.shape[1]) // 2
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet
