"""What a packet says of a picture: class, score, peak, box and heatmap, in the picture's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cam_postproc.hostside import PacketLayout, decode_packets, largest_box, resize_image, scale_box, scale_point
from cam_postproc.hostside import softmax_scores as scores_of
from finn_build.head import Head

UInt8 = NDArray[np.uint8]


class Named(Protocol):
    """What an answer needs to know of a picture: its name and its (height, width) in pixels."""

    @property
    def name(self) -> str:
        """How the results call it."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture as the user gave it: a name for the results, and uint8 [H, W, 3], RGB."""

    name: str
    pixels: UInt8

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class Seen:
    """A picture as the network sees it: name and (height, width) of the picture, uint8 [size, size, 3] of the input."""

    name: str
    size: tuple[int, int]
    pixels: UInt8


@dataclass(frozen=True)
class Answer:
    """What the accelerator says of one picture.

    Attributes:
        picture: its name.
        size: its (height, width).
        class_index: argmax of the logits.
        label: that class's name.
        score: its share of the softmax of the dequantised logits.
        scores: of every class, float64 [classes].
        peak: [x, y] in the picture's pixels; None for a constant map.
        box: [x0, y0, x1, y1], inclusive, in the picture's pixels; None where no pixel lies above the threshold.
        heatmap: uint8 [H, W] at the size of the packet.
    """

    picture: str
    size: tuple[int, int]
    class_index: int
    label: str
    score: float
    scores: NDArray[np.float64]
    peak: tuple[int, int] | None
    box: tuple[int, int, int, int] | None
    heatmap: UInt8


def seen_by_network(picture: Picture, size: int) -> Seen:
    """The picture resized to the network's input of size × size pixels."""
    return Seen(picture.name, picture.size, resize_image(picture.pixels, size, size))


def network_input(pictures: Sequence[Picture], size: int) -> UInt8:
    """The pictures as the network sees them: uint8 [N, size, size, 3]."""
    return np.stack([resize_image(picture.pixels, size, size) for picture in pictures])


def read_packets(
    packets: UInt8, layout: PacketLayout, head: Head, threshold: float, pictures: Sequence[Named]
) -> list[Answer]:
    """Reads one packet a picture.

    Args:
        packets: uint8 [N, L].
        layout: of the packets.
        head: whose labels and scales they are in.
        threshold: τ of the box, a fraction of the map's peak.
        pictures: in the packets' order.
    """
    read = decode_packets(layout, packets)
    scores = scores_of(read.logits, head.logit_scale)
    return [answer(picture, scores[i], read.maps[i, 0], head.labels, threshold) for i, picture in enumerate(pictures)]


def answer(
    picture: Named, scores: NDArray[np.float64], heatmap: UInt8, labels: Sequence[str], threshold: float
) -> Answer:
    """What scores and a heatmap at network size say of a picture.

    Args:
        picture: in whose pixels peak and box are.
        scores: float64 [classes], softmax of the logits.
        heatmap: uint8 [H, W]; all zeros for a constant or gated map, which has neither peak nor box.
        labels: the classes' names.
        threshold: τ of the box.
    """
    index = int(scores.argmax())
    network = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), network[1])
    box = largest_box(heatmap, threshold)
    return Answer(
        picture=picture.name,
        size=picture.size,
        class_index=index,
        label=labels[index],
        score=float(scores[index]),
        scores=scores,
        peak=scale_point([x, y], network, picture.size) if heatmap.any() else None,
        box=None if box is None else scale_box(box, network, picture.size),
        heatmap=heatmap,
    )
