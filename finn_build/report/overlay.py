"""A heatmap drawn over its picture, with box, peak and caption: the same bytes for the same inputs.

Everything is in the picture's own pixels. Small pictures are enlarged by a whole factor first, so that lines and
letters stay thin beside a 32-pixel image.
"""

import io
import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from finn_build.errors import UserError

Pixels = npt.NDArray[np.uint8]

STRONGEST_TINT = 0.62
"""Opacity of the colour where the map is 255; it falls linearly to 0, so that cold parts stay as they are."""

INK = (18, 20, 24)
PAPER = (245, 246, 248)
LINE = (255, 255, 255)


@dataclass(frozen=True)
class Marks:
    """What is drawn over a picture. `box` is [x0, y0, x1, y1] inclusive, `peak` [x, y]; None draws nothing."""

    caption: str = ""
    peak: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None


def draw_overlay(picture: Pixels, heatmap: Pixels, marks: Marks, *, shortest_side: int = 256) -> Pixels:
    """The picture under its heatmap, with marks and a strip below that carries the caption.

    Args:
        picture: uint8 [h, w, 3], RGB.
        heatmap: uint8 [H, W] of any size; stretched over the picture, bilinear with half-pixel centres.
        marks: box and peak in the picture's pixels, and the caption.
        shortest_side: the picture is enlarged by the least whole factor that reaches this many pixels.

    Returns:
        uint8 [h·k (+ strip), w·k, 3], RGB.

    Raises:
        UserError: an array of another shape or type.
    """
    _need_array("picture", picture, 3)
    _need_array("heatmap", heatmap, 2)
    height, width = picture.shape[:2]
    factor = max(1, math.ceil(shortest_side / min(height, width)))
    size = (width * factor, height * factor)
    heat = np.asarray(cv2.resize(heatmap, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    canvas = Image.fromarray(tint(enlarge(picture, factor), heat))
    _draw_marks(canvas, marks, factor)
    return _with_caption(np.asarray(canvas), marks.caption) if marks.caption else np.asarray(canvas)


def enlarge(picture: Pixels, factor: int) -> Pixels:
    """Each pixel of uint8 [h, w, 3] as a square of `factor` pixels: what the network saw, not a guess at more."""
    return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def tint(picture: Pixels, heatmap: Pixels) -> Pixels:
    """The picture [h, w, 3] with the heatmap [h, w] as colour over it; both uint8, rounded half up."""
    colour = _colours()[heatmap].astype(np.uint32)
    # Integers throughout, so that no machine rounds differently: opacity in 1/65280 = 1/(255·256).
    weight = heatmap.astype(np.uint32)[..., None] * round(STRONGEST_TINT * 256)
    mixed = colour * weight + picture.astype(np.uint32) * (65280 - weight)
    return ((mixed + 32640) // 65280).astype(np.uint8)


def to_png(picture: Pixels) -> bytes:
    """A PNG file of uint8 [h, w, 3] RGB, without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _need_array(name: str, array: Pixels, dimensions: int) -> None:
    wanted = "uint8 [h, w, 3]" if dimensions == 3 else "uint8 [h, w]"
    right = array.ndim == dimensions and array.dtype == np.uint8 and array.size > 0
    if not right or (dimensions == 3 and array.shape[2] != 3):
        raise UserError(name, wanted, f"{array.dtype} {list(array.shape)}", "convert it first")


@cache
def _colours() -> Pixels:
    """OpenCV's Turbo as uint8 [256, 3] RGB: perceptually even, and told apart by most colour-blind readers."""
    levels = np.arange(256, dtype=np.uint8)[:, None]
    bgr = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)
    return np.ascontiguousarray(bgr[:, 0, ::-1]).astype(np.uint8)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same letters on every machine, Greek and Cyrillic among them."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise UserError("matplotlib", "an installed package", "none", "install the project with `make setup`")
    return ImageFont.truetype(str(Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"), size)


def _draw_marks(canvas: Image.Image, marks: Marks, factor: int) -> None:
    draw = ImageDraw.Draw(canvas)
    thin = max(1, round(min(canvas.size) / 128))
    if marks.box is not None:
        x0, y0, x1, y1 = marks.box
        # Inclusive pixels: the box ends where pixel x1 ends.
        corners = (x0 * factor, y0 * factor, (x1 + 1) * factor - 1, (y1 + 1) * factor - 1)
        draw.rectangle(corners, outline=INK, width=3 * thin)
        inner = (corners[0] + thin, corners[1] + thin, corners[2] - thin, corners[3] - thin)
        if inner[0] <= inner[2] and inner[1] <= inner[3]:
            draw.rectangle(inner, outline=LINE, width=thin)
    if marks.peak is not None:
        x, y = ((2 * value + 1) * factor // 2 for value in marks.peak)
        reach = 5 * thin
        for colour, width in ((INK, 3 * thin), (LINE, thin)):
            draw.line((x - reach, y, x + reach, y), fill=colour, width=width)
            draw.line((x, y - reach, x, y + reach), fill=colour, width=width)


def _with_caption(picture: Pixels, caption: str) -> Pixels:
    width = picture.shape[1]
    size = max(11, width // 22)
    font = _font(size)
    strip = Image.new("RGB", (width, 2 * size), INK)
    text = _fitted(" ".join(caption.split()), font, width - size)
    ImageDraw.Draw(strip).text((size // 2, size), text, font=font, fill=PAPER, anchor="lm")
    return np.concatenate([picture, np.asarray(strip)], axis=0)


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    kept = len(text)
    while kept and font.getlength(f"{text[:kept]}…") > width:
        kept -= 1
    return f"{text[:kept].rstrip()}…"
