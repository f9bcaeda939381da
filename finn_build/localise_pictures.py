"""Finding and reading pictures: files, folders, glob patterns, a camera."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finn_build.board.pictures import as_rgb
from finn_build.errors import UserError
from finn_build.localise import Picture

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MOST_PIXELS = 120_000_000
"""Resizing takes 24 bytes a pixel."""


def read_picture(path: Path) -> Picture:
    """Reads a picture file of any mode as RGB, upright, transparency on white; the path is its name.

    Raises:
        UserError: it is missing, no picture, truncated, or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if path.exists() and not (path.is_file() or path.is_dir()):
        # A pipe would be waited for, and has nothing left when the picture is drawn.
        raise UserError(str(path), "a picture file", "a pipe or a device", "save the picture first")
    try:
        with warnings.catch_warnings():
            # Pillow's warnings say the same as the errors below, or concern what does not show.
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if math.prod(opened.size) > MOST_PIXELS:
                    raise _too_large(path, "×".join(map(str, opened.size)))
                upright = ImageOps.exif_transpose(opened)
                return Picture(str(path), as_rgb(upright))
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(str(path), "a picture", "no such file", "correct the path") from None
    except IsADirectoryError:
        raise UserError(str(path), "a picture", "a folder", "give its files") from None
    except PermissionError:
        raise
    except UnidentifiedImageError:
        raise UserError(str(path), "a picture (PNG, JPEG, …)", "a file of another kind", "convert it") from None
    except Image.DecompressionBombError:
        raise _too_large(path, "more") from None
    except Exception as error:
        # Damaged files make Pillow's decoders raise almost anything.
        found = f"a broken one ({' '.join(str(error).split()) or type(error).__name__})"
        raise UserError(str(path), "a whole picture", found, "fetch it again") from None


def _too_large(path: Path, got: str) -> UserError:
    return UserError(str(path), f"at most {MOST_PIXELS:,} pixels", got, "make it smaller")


def find_pictures(arguments: Sequence[str]) -> list[Path]:
    """The picture files that files, folders and glob patterns name, each once, folders in sorted order.

    Raises:
        UserError: a pattern or folder holds none.
    """
    import glob

    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and _is_picture(p))
            if not inside:
                raise UserError(argument, "a folder with pictures", "none in it", "give another folder")
            found.extend(inside)
        elif path.exists() or not glob.has_magic(argument):
            found.append(path)
        else:
            matches = sorted(Path(name) for name in glob.glob(argument, recursive=True))  # noqa: PTH207  absolute too
            files = [match for match in matches if match.is_file()]
            if not files:
                raise UserError(argument, "a pattern that files match", "none", "correct the pattern")
            found.extend(files)
    return list(dict.fromkeys(found))


def _is_picture(path: Path) -> bool:
    """By its name: no hidden one, as `._1.jpg` beside a Mac's files."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def photograph(camera: int, frames: int) -> list[Picture]:
    """Takes pictures with a camera.

    Args:
        camera: its number, from 0.
        frames: how many.

    Raises:
        UserError: there is no such camera, or it gives no picture.
    """
    import cv2

    # OpenCV tells on standard error what each of its drivers thinks of an absent camera.
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(camera)
    try:
        if not capture.isOpened():
            remedy = "check its number and permissions, and that no other program uses it"
            raise UserError(f"--camera {camera}", "a camera", "none that opens", remedy)
        return [_frame(capture.read(), camera, number) for number in range(1, frames + 1)]
    finally:
        capture.release()
        cv2.utils.logging.setLogLevel(before)


def _frame(taken: tuple[bool, object], camera: int, number: int) -> Picture:
    worked, frame = taken
    if not worked or not isinstance(frame, np.ndarray) or frame.ndim != 3:
        raise UserError(f"--camera {camera}", "a picture", f"none as number {number}", "plug the camera in again")
    return Picture(f"camera{camera}-{number:04d}", np.ascontiguousarray(frame[:, :, ::-1], dtype=np.uint8))
