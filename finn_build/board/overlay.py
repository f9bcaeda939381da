"""A heatmap over its picture as a PNG, with box and peak, by numpy alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from .answer import Prediction
from .hostside import UInt8, resize_image, scale_box, scale_point

STRONGEST_TINT = 158  # of 255·256 where the map is 255: 62 %, as in `finn-cam localize`
SMALLEST, LARGEST = 256, 2048
INK, LINE = (18, 20, 24), (255, 255, 255)


def draw(picture: UInt8, answer: Prediction) -> UInt8:
    """The picture under its heatmap, small ones enlarged and large ones reduced.

    Args:
        picture: uint8 [H, W, 3], RGB.
        answer: of it.

    Returns:
        uint8 [h, w, 3], RGB.
    """
    height, width = picture.shape[:2]
    if max(height, width) > LARGEST:
        h, w = max(1, height * LARGEST // max(height, width)), max(1, width * LARGEST // max(height, width))
        base = resize_image(picture, h, w)
        factor = 1
    else:
        factor = max(1, min(-(-SMALLEST // min(height, width)), LARGEST // max(height, width)))
        base = np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))
    size = base.shape[:2]
    canvas = tint(base, resize_image(answer.heatmap, *size))
    thin = max(1, min(size) // 128)
    if answer.box is not None:
        x0, y0, x1, y1 = scale_box(answer.box, (height, width), size)
        for colour, inset, line in ((INK, 0, 3 * thin), (LINE, thin, thin)):
            _frame(canvas, (x0 + inset, y0 + inset, x1 - inset, y1 - inset), line, colour)
    if answer.peak is not None:
        x, y = scale_point(answer.peak, (height, width), size)
        for colour, line in ((INK, thin), (LINE, 0)):
            _fill(canvas, (x - 5 * thin, y - line, x + 5 * thin, y + line), colour)
            _fill(canvas, (x - line, y - 5 * thin, x + line, y + 5 * thin), colour)
    return canvas


def tint(picture: UInt8, heatmap: UInt8) -> UInt8:
    """The picture [h, w, 3] with the heatmap [h, w] as colour over it; both uint8, rounded half up."""
    colour = palette()[heatmap].astype(np.uint32)
    weight = heatmap.astype(np.uint32)[..., None] * STRONGEST_TINT
    mixed = colour * weight + picture.astype(np.uint32) * (65280 - weight)
    return np.asarray((mixed + 32640) // 65280, dtype=np.uint8)


def palette() -> UInt8:
    """256 colours from blue over green and yellow to red: uint8 [256, 3]."""
    stops = np.array([[48, 18, 59], [70, 134, 251], [26, 229, 181], [164, 252, 60], [250, 186, 57], [122, 4, 3]])
    at = np.linspace(0, 255, len(stops))
    columns = [np.interp(np.arange(256), at, stops[:, channel]) for channel in range(3)]
    return np.stack(columns, axis=1).round().astype(np.uint8)


def png(picture: UInt8) -> bytes:
    """A PNG file of uint8 [h, w, 3], RGB."""
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _fill(canvas: UInt8, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    x0, y0, x1, y1 = box
    canvas[max(0, y0) : max(0, y1 + 1), max(0, x0) : max(0, x1 + 1)] = colour


def _frame(canvas: UInt8, box: tuple[int, int, int, int], line: int, colour: tuple[int, int, int]) -> None:
    x0, y0, x1, y1 = box
    if x1 < x0 or y1 < y0:
        return
    for part in (
        (x0, y0, x1, min(y1, y0 + line - 1)),
        (x0, max(y0, y1 - line + 1), x1, y1),
        (x0, y0, min(x1, x0 + line - 1), y1),
        (max(x0, x1 - line + 1), y0, x1, y1),
    ):
        _fill(canvas, part, colour)
