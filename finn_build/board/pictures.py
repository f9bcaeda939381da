"""Picture files as RGB pixels: the same bytes on the board and in `finn-cam localize`.

Pillow is imported when a file is read; where it is missing, one line says so.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import MissingModule, Refused
from .hostside import UInt8

Pictures = UInt8 | Sequence[UInt8]
"""One array, or pictures of different sizes."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MOST_PIXELS = 120_000_000
"""Resizing takes 24 bytes a pixel."""


def pillow(name: str) -> Any:
    """A module of Pillow.

    Raises:
        MissingModule: it is not installed.
    """
    try:
        return importlib.import_module(f"PIL.{name}")
    except ImportError:
        raise MissingModule("Pillow: needed for picture files, but not installed; run: pip install pillow") from None


def read_picture(path: Path) -> UInt8:
    """A picture file of any mode as uint8 [H, W, 3], RGB, upright, transparency on white.

    Raises:
        Refused: it is missing, no picture, truncated, or too large.
        MissingModule: Pillow is not installed.
    """
    image = pillow("Image")
    try:
        with warnings.catch_warnings():
            # They say the same as the errors below, or concern what does not show.
            warnings.simplefilter("ignore")
            with image.open(path) as opened:
                if math.prod(opened.size) > MOST_PIXELS:
                    raise Refused(f"{path}: expected at most {MOST_PIXELS:,} pixels, got more; make it smaller")
                return as_rgb(pillow("ImageOps").exif_transpose(opened))
    except Refused:
        raise
    except FileNotFoundError:
        raise Refused(f"{path}: expected a picture, got no such file; correct the path") from None
    except Exception as error:
        # Damaged files make Pillow's decoders raise almost anything.
        found = " ".join(str(error).split()) or type(error).__name__
        raise Refused(f"{path}: expected a whole picture, got one that cannot be read ({found}); convert it") from None


def as_rgb(image: Any) -> UInt8:
    """A Pillow image of any mode as uint8 [H, W, 3]: grey repeated, 16 bits scaled, transparency on white."""
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit and floating grey: scaled to what the file uses, since convert() would clip it to white.
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
        most = values.max(initial=0.0)
        top = 65535.0 if most > 255 else 1.0 if image.mode == "F" and most <= 1 else 255.0
        grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        over = pillow("Image").new("RGBA", image.size, (255, 255, 255, 255))
        over.alpha_composite(image.convert("RGBA"))
        image = over
    return np.array(image.convert("RGB"), dtype=np.uint8)


def check_pictures(pictures: Pictures) -> list[tuple[int, int]]:
    """The pictures' (height, width).

    Raises:
        Refused: naming the first that is no uint8 [H, W, 3].
    """
    sizes = []
    for number, picture in enumerate(pictures):
        array = np.asarray(picture)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            got = f"{array.dtype} {list(array.shape)}"
            raise Refused(f"picture {number}: expected uint8 [H, W, 3], RGB, got {got}; convert it first")
        sizes.append((int(array.shape[0]), int(array.shape[1])))
    return sizes


def find_pictures(names: list[str]) -> list[Path]:
    """The files that files and folders name, folders in sorted order.

    Raises:
        Refused: a folder holds no picture.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if not path.is_dir():
            found.append(path)
            continue
        # No hidden ones, as `._1.jpg` beside a Mac's files.
        named = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        inside = sorted(p for p in named if p.is_file())
        if not inside:
            raise Refused(f"{name}: expected a folder with pictures, got none in it; give another")
        found.extend(inside)
    return found
