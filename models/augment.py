"""Random crops and flips of whole batches of uint8 images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Epoch:
    """An epoch's random choices, a function of seed, phase and epoch alone: nothing random has to be saved to resume.

    Args:
        order: int64 [N], which image comes when.
        rows, columns: int64 [N], the crop's corner in the padded image, by position in `order`.
        flips: bool [N].
    """

    order: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    flips: NDArray[np.bool_]


def padding_of(size: int) -> int:
    """Pixels added on each side before a crop: 4 at 32×32, as in the reference, and in proportion."""
    return size // 8


def draw_epoch(images: int, size: int, seed: int, phase: int, epoch: int) -> Epoch:
    """Draw the order, crops and flips of one epoch."""
    generator = np.random.default_rng([seed, phase, epoch])
    corners = 2 * padding_of(size) + 1
    return Epoch(
        order=generator.permutation(images),
        rows=generator.integers(corners, size=images),
        columns=generator.integers(corners, size=images),
        flips=generator.integers(2, size=images).astype(np.bool_),
    )


def crop_and_flip(
    images: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64], flips: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Shift each image within a border of zeros and mirror some of them.

    Args:
        images: uint8 NHWC [N, S, S, 3].
        rows, columns: int64 [N], 0 … 2·padding; the middle value leaves the image where it is.
        flips: bool [N], left to right.

    Returns:
        uint8 NHWC [N, S, S, 3].
    """
    N, S = images.shape[:2]
    padding = padding_of(S)
    padded = np.zeros((N, S + 2 * padding, S + 2 * padding, 3), np.uint8)
    padded[:, padding : padding + S, padding : padding + S] = images
    y = rows[:, None] + np.arange(S)
    x = columns[:, None] + np.where(flips[:, None], np.arange(S)[::-1], np.arange(S))
    cropped: NDArray[np.uint8] = padded[np.arange(N)[:, None, None], y[:, :, None], x[:, None, :]]
    return cropped
