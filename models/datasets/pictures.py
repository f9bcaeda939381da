"""Reading picture files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.errors import ModelError

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".gif", ".tif", ".tiff"})


def list_pictures(folder: Path) -> list[Path]:
    """The picture files directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def read_picture(path: Path, size: int) -> tuple[NDArray[np.uint8], int, int]:
    """Read a picture of any mode and size.

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
        with Image.open(path) as file:
            file.load()
            # Cameras note how they were held; localize turns pictures upright as well.
            picture = ImageOps.exif_transpose(file)
            width, height = picture.size
            if picture.mode.startswith("I"):
                # 16 bits a pixel; converting would clip at 255.
                picture = Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
            picture = picture.convert("RGB")
            if (width, height) != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BILINEAR)
            return np.array(picture, np.uint8), width, height
    except Exception as error:
        # Damaged files make Pillow's decoders raise almost anything.
        found = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(str(path), "a picture", found, "remove the file, or fetch the data set again") from error
