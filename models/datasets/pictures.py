"""Reading picture files."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.errors import ModelError

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".gif", ".tif", ".tiff"})


def list_pictures(folder: Path) -> list[Path]:
    """The picture files directly in a folder, by name, but for hidden ones, as `._1.jpg` beside a Mac's files."""
    return sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file())


def is_picture(path: Path) -> bool:
    """Whether a file's name is one of a picture that is read."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_picture(path: Path, size: int) -> tuple[NDArray[np.uint8], int, int]:
    """Read a picture of any mode and size: upright, transparency on white, 16 bits a pixel scaled to 8.

    The whole picture is resized (bilinear, with antialiasing) to a square: nothing is cut off, so a box can follow.

    Args:
        path: the file.
        size: height and width wanted, in pixels.

    Returns:
        uint8 HWC [size, size, 3], RGB, and the picture's own width and height (upright).

    Raises:
        ModelError: the file is no picture, truncated or corrupt.
    """
    try:
        with warnings.catch_warnings():
            # They announce the error below, or concern what does not show.
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                file.load()
                # Cameras note how they were held; localize turns pictures upright as well.
                picture = as_rgb(ImageOps.exif_transpose(file))
        width, height = picture.size
        if (width, height) != (size, size):
            picture = picture.resize((size, size), Image.Resampling.BILINEAR)
        return np.array(picture, np.uint8), width, height
    except Image.DecompressionBombError:
        raise ModelError(str(path), "a picture of up to 178 million pixels", "more", "make it smaller") from None
    except Exception as error:
        # Damaged files make Pillow's decoders raise almost anything.
        found = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(str(path), "a picture", found, "remove the file, or fetch the data set again") from error


def as_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode as RGB, just as `localize` and the board read it."""
    if picture.mode.startswith("I") or picture.mode == "F":
        # 16-bit and floating grey, scaled to what the file uses: convert() would clip it.
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=0.0, neginf=0.0)
        most = values.max(initial=0.0)
        top = 65535.0 if most > 255 else 1.0 if picture.mode == "F" and most <= 1 else 255.0
        picture = Image.fromarray(np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8))
    elif picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    return picture.convert("RGB")
