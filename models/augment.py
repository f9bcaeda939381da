"""Random changes to whole batches of uint8 images: crops, flips, zooms, colours, cut-outs, and mixtures of two.

Everything random is drawn an epoch at a time, as a function of seed, phase and epoch alone: nothing random has to be
saved to resume a training.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Augmentation = Literal["crop", "flip", "zoom", "colour", "cutout"]

LEAST_ZOOM = 0.6
"""The smallest window that a zoom shows, as a share of the image's side."""
GAIN, OFFSET = 0.25, 20.0
"""The widest change of contrast (a factor 1 ± GAIN, a channel) and of brightness (levels)."""


@dataclass(frozen=True)
class Epoch:
    """An epoch's random choices; N images, by position in `order`.

    Args:
        order: int64 [N], which image comes when.
        rows, columns: int64 [N], the crop's corner in the padded image.
        flips: bool [N].
        zooms: float64 [N, 3], the window's side and its corner's row and column, as shares of the image's side.
        gains: float32 [N, 3], factor of each channel; offsets: float32 [N], added levels.
        holes: int64 [N, 2], row and column of the cut-out's centre.
        mixtures: float64 [N], each image's own share where it is mixed with another.
    """

    order: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    flips: NDArray[np.bool_]
    zooms: NDArray[np.float64]
    gains: NDArray[np.float32]
    offsets: NDArray[np.float32]
    holes: NDArray[np.int64]
    mixtures: NDArray[np.float64]


def padding_of(size: int) -> int:
    """Pixels added on each side before a crop: 4 at 32×32, as in the reference, and in proportion."""
    return size // 8


def hole_of(size: int) -> int:
    """Side of a cut-out in pixels: the odd number at or below 3/8 of the image's, 11 at 32×32."""
    side = 3 * size // 8
    return side - 1 + side % 2


def draw_epoch(images: int, size: int, seed: int, phase: int, epoch: int, mixup: float = 0.0) -> Epoch:
    """Draw one epoch's choices; `mixup` is the beta distribution's parameter, 0 for none."""
    generator = np.random.default_rng([seed, phase, epoch])
    corners = 2 * padding_of(size) + 1
    order = generator.permutation(images)
    rows = generator.integers(corners, size=images)
    columns = generator.integers(corners, size=images)
    flips = generator.integers(2, size=images).astype(np.bool_)
    sides = generator.uniform(LEAST_ZOOM, 1.0, images)
    corner_shares = generator.uniform(0.0, 1.0, (images, 2)) * (1.0 - sides)[:, None]
    return Epoch(
        order=order,
        rows=rows,
        columns=columns,
        flips=flips,
        zooms=np.column_stack([sides, corner_shares]),
        gains=generator.uniform(1 - GAIN, 1 + GAIN, (images, 3)).astype(np.float32),
        offsets=generator.uniform(-OFFSET, OFFSET, images).astype(np.float32),
        holes=generator.integers(size, size=(images, 2)),
        mixtures=generator.beta(mixup, mixup, images) if mixup > 0 else np.ones(images),
    )


def reordered(draw: Epoch, order: NDArray[np.int64]) -> Epoch:
    """The same choices for each image, with the images in another order, int64 [N]."""
    places = np.argsort(draw.order)[order]
    return Epoch(**{field.name: getattr(draw, field.name)[places] for field in fields(Epoch)})


def augment(
    images: NDArray[np.uint8], chosen: slice, draw: Epoch, which: Collection[Augmentation]
) -> NDArray[np.uint8]:
    """Change a batch of images as drawn.

    Args:
        images: uint8 NHWC [N, S, S, 3].
        chosen: where in the epoch these images stand.
        draw: the epoch's choices.
        which: the kinds of change wanted; their order is fixed: zoom, crop and flip, colour, cut-out.

    Returns:
        uint8 NHWC [N, S, S, 3].
    """
    if "zoom" in which:
        images = zoom(images, draw.zooms[chosen])
    if "crop" in which or "flip" in which:
        middle = np.full(len(images), padding_of(images.shape[1]))
        rows, columns = (draw.rows[chosen], draw.columns[chosen]) if "crop" in which else (middle, middle)
        flips = draw.flips[chosen] if "flip" in which else np.zeros(len(images), np.bool_)
        images = crop_and_flip(images, rows, columns, flips)
    if "colour" in which:
        images = recolour(images, draw.gains[chosen], draw.offsets[chosen])
    if "cutout" in which:
        images = cut_out(images, draw.holes[chosen])
    return images


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


def zoom(images: NDArray[np.uint8], zooms: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Show a square window of each image at the image's own size (bilinear, half-pixel centres).

    Args:
        images: uint8 NHWC [N, S, S, 3].
        zooms: float64 [N, 3], the window's side and its corner's row and column, as shares of S.
    """
    S = images.shape[1]
    shown = np.empty_like(images)
    for i, (side, row, column) in enumerate(zooms):
        # Output pixel p is sampled at side·(p + ½) + S·corner − ½.
        matrix = np.array([[side, 0, S * column + (side - 1) / 2], [0, side, S * row + (side - 1) / 2]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown[i] = cv2.warpAffine(images[i], matrix, (S, S), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return shown


def recolour(images: NDArray[np.uint8], gains: NDArray[np.float32], offsets: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Change contrast and brightness: value·gain + offset, rounded and clipped; gains [N, 3], offsets [N]."""
    changed = images * gains[:, None, None, :] + offsets[:, None, None, None]
    clipped: NDArray[np.uint8] = changed.round().clip(0, 255).astype(np.uint8)
    return clipped


def cut_out(images: NDArray[np.uint8], holes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Set a square around each centre [N, 2] to mid-grey (DeVries and Taylor, arXiv:1708.04552).

    The centre lies anywhere in the image, so a square may stick out of it.
    """
    S = images.shape[1]
    near = np.abs(np.arange(S)[None, :] - holes.T[:, :, None]) <= hole_of(S) // 2
    covered = near[0][:, :, None] & near[1][:, None, :]
    return np.where(covered[..., None], np.uint8(128), images)
