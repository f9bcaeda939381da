"""Pictures that ship with the project, and the golden input images derived from them.

`README.md` beside this file gives title, author, licence and source of each. They are PNGs and every step below is
integer arithmetic, so the same bytes come out on every machine and with every version of the libraries.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PICTURES = ("chelsea", "coffee", "rocket", "astronaut")
"""The shipped pictures; the first is a cat, a class of CIFAR-10."""

CROPS_PER_PICTURE = 4
LARGE_SIZE = 128
"""Above this size executors take seconds an image, so the golden set has one crop of each of the two large pictures."""

_SEED = 20_260_101
# Where in a picture crop i lies: quarters of the slack, (down, right).
_PLACES = ((2, 0), (2, 4), (1, 2), (3, 2))
_LARGE_PLACE = (2, 2)


def example_pictures() -> list[tuple[str, NDArray[np.uint8]]]:
    """The shipped pictures for a report's examples.

    Returns:
        name and pixels (uint8, HWC, RGB; sizes differ) of each.
    """
    return [(name, _read(name)) for name in PICTURES]


def picture_path(name: str) -> Path:
    """The file of a shipped picture."""
    return Path(__file__).parent / f"{name}.png"


def golden_crops(size: int) -> NDArray[np.uint8]:
    """Crops of the shipped pictures at several scales.

    Args:
        size: height and width in pixels.

    Returns:
        uint8, NHWC, RGB: 16 crops up to 128×128, 2 above.
    """
    pictures = [pixels for _, pixels in example_pictures()]
    if size > LARGE_SIZE:
        return np.stack([_crop(_enlarge(p, size), size, 1, _LARGE_PLACE) for p in pictures[:2]])
    crops = []
    for pixels in pictures:
        largest = min(pixels.shape[:2]) // size
        # From the whole picture down to its pixels as they are; mirrored so that no two crops are alike.
        for i, factor in enumerate((largest, largest, max(1, largest // 2), 1)):
            crop = _crop(pixels, size, factor, _PLACES[i])
            crops.append(crop[:: -1 if i & 2 else 1, :: -1 if i & 1 else 1])
    return np.stack(crops)


def golden_images(size: int) -> NDArray[np.uint8]:
    """The golden set's input images: `golden_crops`, then all 0, all 255 and seeded noise.

    Args:
        size: height and width in pixels.

    Returns:
        uint8, NHWC, RGB.
    """
    noise = np.random.default_rng(_SEED).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    return np.concatenate([golden_crops(size), np.zeros_like(noise), np.full_like(noise, 255), noise])


def _read(name: str) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(picture_path(name)) as picture:
        return np.array(picture.convert("RGB"), dtype=np.uint8)


def _enlarge(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Repeats pixels until both sides reach `size`."""
    repeat = -(-size // min(pixels.shape[:2]))
    return pixels.repeat(repeat, axis=0).repeat(repeat, axis=1)


def _crop(pixels: NDArray[np.uint8], size: int, factor: int, place: tuple[int, int]) -> NDArray[np.uint8]:
    """A square of `size * factor` pixels at `place`, its blocks averaged (rounded half up) to `size`."""
    edge = size * factor
    top, left = ((have - edge) * quarters // 4 for have, quarters in zip(pixels.shape[:2], place, strict=True))
    blocks = pixels[top : top + edge, left : left + edge].astype(np.uint32).reshape(size, factor, size, factor, 3)
    area = factor * factor
    averages: NDArray[np.uint32] = (blocks.sum(axis=(1, 3)) + area // 2) // area
    return averages.astype(np.uint8)
