"""Seeds: the few pixels that a low-resolution activation map is trusted on, drawn anew at every step."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

UNKNOWN = -1.0


def draw_seeds(
    cam: Tensor,
    size: int,
    foreground: int,
    background: int,
    share: float,
    generator: torch.Generator,
    centre: float = 0.0,
) -> Tensor:
    """Foreground seeds from where the map exceeds Otsu's threshold, background seeds from where it is lowest.

    Belharbi et al., WACV 2022, section 3. The Otsu region is eroded once, where that leaves anything; each seed is
    widened to 3×3 pixels; pixels that both claim belong to neither. A constant map has no seeds.

    Args:
        cam: float [N, h, w].
        size: S, pixels that the map is resized to, bilinearly.
        foreground, background: seeds of an image.
        share: n%, of an image's pixels that count as background, as a fraction.
        generator: on the CPU.
        centre: standard deviation, as a fraction of the side, of a Gaussian in the middle that the map is multiplied
            with: pictures show their object near the middle, which needs no box to know. 0: none, as in the paper.

    Returns:
        Float [N, S, S]: 1, 0, or `UNKNOWN`.
    """
    levels = _levels(cam, size, centre)
    flat = levels.flatten(1).float()
    inside = torch.stack([_otsu_region(level) for level in levels.numpy()]).flatten(1)
    least = flat.argsort(dim=1, stable=True)[:, : max(1, round(share * flat.shape[1]))]
    outside = torch.zeros(flat.shape, dtype=torch.bool).scatter_(1, least, True)
    outside &= inside.any(dim=1, keepdim=True)
    chosen = [
        _widen(_draw(where, count, generator), size) for where, count in ((inside, foreground), (outside, background))
    ]
    seeds = torch.full(levels.shape, UNKNOWN)
    seeds[chosen[0] & ~chosen[1]] = 1.0
    seeds[chosen[1] & ~chosen[0]] = 0.0
    return seeds


def _levels(cam: Tensor, size: int, centre: float) -> Tensor:
    """Min-maxed to 0 … 255, resized, and weighed: uint8 [N, S, S]."""
    x = cam - cam.amin(dim=(1, 2), keepdim=True)
    x = x / x.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    x = functional.interpolate(x[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    if centre > 0:
        offset = (torch.arange(size) - (size - 1) / 2) / (centre * size)
        falloff = torch.exp(-offset.square() / 2)
        x = x * falloff[:, None] * falloff[None, :]
        x = x / x.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    return (255 * x).to(torch.uint8)


def _otsu_region(level: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Tensor:
    """Bool [S, S]; empty for a constant map."""
    if level.min() == level.max():
        return torch.zeros(level.shape, dtype=torch.bool)
    _, region = cv2.threshold(level, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    eroded = cv2.erode(region, np.ones((3, 3), np.uint8))
    return torch.from_numpy((eroded if eroded.any() else region) > 0)


def _draw(where: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` pixels of each image's region [N, P], or all of it if it has fewer: bool [N, P]."""
    keys = torch.rand(where.shape, generator=generator).masked_fill(~where, -1.0)
    best, index = keys.topk(min(count, keys.shape[1]), dim=1)
    return torch.zeros(where.shape, dtype=torch.bool).scatter_(1, index, best >= 0)


def _widen(pixels: Tensor, size: int) -> Tensor:
    wide = functional.max_pool2d(pixels.float().view(-1, 1, size, size), 3, stride=1, padding=1)
    return wide[:, 0] > 0
