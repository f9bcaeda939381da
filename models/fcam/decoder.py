"""The decoders: from coarse features, guided by finer ones, to the foreground of the image's class at image size."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.fcam.features import Features

Kind = Literal["skips", "tap"]
KINDS: tuple[Kind, ...] = ("skips", "tap")
"""`skips` sees the classifier's finer activations, as the paper's; `tap` the image and the classifier's last map."""

MOST_CHANNELS = 32
COARSEST = 4
"""Pixels of a side of the map that gathers the surroundings."""


@dataclass(frozen=True)
class Shape:
    """What a decoder is built for.

    Args:
        kind: what guides it.
        size: of the image and of the answer, pixels of each side.
        channels: of the classifier's maps, from the tap to the finest.
        sides: of those maps, pixels.
        width: channels at image size; coarser maps have more, up to 32.
    """

    kind: Kind
    size: int
    channels: tuple[int, ...]
    sides: tuple[int, ...]
    width: int = 12

    def about(self) -> dict[str, Any]:
        """As a checkpoint holds it."""
        return asdict(self)


class Decoder(nn.Module):
    """A U-Net's second half: upsample, join the next finer map, convolve; then one logit a pixel.

    The paper's two channels with a softmax say the same as one logit with a sigmoid, at half the cost.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        if shape.kind == "skips":
            guides = [*zip(shape.sides[1:], shape.channels[1:], strict=True), (shape.size, 3)]
            self.pyramid: nn.ModuleList | None = None
        else:
            self.pyramid = _pyramid(shape.size, shape.sides[0], shape.width)
            sides = [shape.size // 2**i for i in range(len(self.pyramid))]
            guides = [*zip(sides, _widths(shape, sides), strict=True)][::-1]
        widths = _widths(shape, [side for side, _ in guides])
        first = min(MOST_CHANNELS, 2 * widths[0])
        self.start = _unit(shape.channels[0], first, 1)
        self.context = nn.ModuleList(_unit(first, first, 3, stride=2) for _ in range(_halvings(shape.sides[0])))
        self.reduce = nn.ModuleList(_unit(inputs, width, 1) for (_, inputs), width in zip(guides, widths, strict=True))
        before = [first, *widths[:-1]]
        self.join = nn.ModuleList(_unit(a + b, b, 3) for a, b in zip(before, widths, strict=True))
        self.answer = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, images: Tensor, features: Features) -> Tensor:
        """The logit of "this pixel shows the image's class".

        Args:
            images: float NCHW [N, 3, S, S] in [0, 1].
            features: of the same images.

        Returns:
            Float [N, S, S].
        """
        x = self._surroundings(self.start(features.maps[0]))
        for guide, reduce, join in zip(self._guides(images, features), self.reduce, self.join, strict=True):
            if x.shape[2:] != guide.shape[2:]:
                x = functional.interpolate(x, size=guide.shape[2:], mode="bilinear", align_corners=False)
            x = join(torch.cat([x, reduce(guide)], dim=1))
        logit: Tensor = self.answer(x)[:, 0]
        return logit

    def _surroundings(self, x: Tensor) -> Tensor:
        """Adds to each place what the whole picture shows: a shallow classifier's tap sees but a part of it."""
        levels = [x]
        for step in self.context:
            levels.append(step(levels[-1]))
        whole = levels[-1]
        for finer in reversed(levels[:-1]):
            whole = finer + functional.interpolate(whole, size=finer.shape[2:], mode="bilinear", align_corners=False)
        return whole

    def _guides(self, images: Tensor, features: Features) -> Sequence[Tensor]:
        """Coarse to fine."""
        if self.pyramid is None:
            return [*features.maps[1:], images]
        found = []
        x = images
        for step in self.pyramid:
            x = step(x)
            found.append(x)
        return found[::-1]


def _pyramid(size: int, side: int, width: int) -> nn.ModuleList:
    """Convolutions that halve the image down to the tap's size."""
    steps = [_unit(3, width, 3)]
    inputs = width
    while size > side:
        outputs = min(MOST_CHANNELS, 2 * inputs)
        steps.append(_unit(inputs, outputs, 3, stride=2))
        inputs, size = outputs, (size + 1) // 2
    return nn.ModuleList(steps)


def _halvings(side: int) -> int:
    """How often a side is halved until it is at most `COARSEST`."""
    count = 0
    while side > COARSEST:
        side, count = (side + 1) // 2, count + 1
    return count


def _widths(shape: Shape, sides: Sequence[int]) -> list[int]:
    """Channels at each side: `width` at image size, twice as many at half of it."""
    return [min(MOST_CHANNELS, round(shape.width * shape.size / side)) for side in sides]


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
