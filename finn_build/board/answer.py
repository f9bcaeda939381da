"""What a packet says of a picture, in the picture's own pixels; the same bytes as `finn-cam localize`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .hostside import (
    Box,
    PacketLayout,
    UInt8,
    decode_packets,
    largest_box,
    scale_box,
    scale_point,
    softmax_scores,
)


@dataclass(frozen=True)
class Prediction:
    """What the accelerator says of one picture.

    Attributes:
        class_index: of the highest logit; ties go to the lowest index.
        label: that class's name.
        score: its share of the softmax of the dequantised logits.
        scores: of every class, float64 [classes].
        logits: int32 [classes], sums over the map.
        shown_class: whose heatmap it is: the same, or the class that was asked for.
        heatmap: uint8 [H, W] at the packet's size; zeros for a constant or gated map.
        peak: [x, y] of the heatmap's first maximum, in the picture's pixels; None where the heatmap is zero.
        box: [x0, y0, x1, y1], inclusive, in the picture's pixels; None where no pixel lies above the threshold.
        size: (height, width) of the picture.
        gated: the shown class's logit was below the gate.
    """

    class_index: int
    label: str
    score: float
    scores: npt.NDArray[np.float64]
    logits: npt.NDArray[np.int32]
    shown_class: int
    heatmap: UInt8
    peak: tuple[int, int] | None
    box: Box | None
    size: tuple[int, int]
    gated: bool

    def row(self, name: str) -> dict[str, Any]:
        """As JSON has it: the keys of `finn-cam localize`."""
        return {
            "image": name,
            "class": self.class_index,
            "label": self.label,
            "score": self.score,
            "peak": None if self.peak is None else list(self.peak),
            "box": None if self.box is None else list(self.box),
        }


def read_answers(
    packets: UInt8,
    layout: PacketLayout,
    labels: Sequence[str],
    logit_scale: float,
    threshold: float,
    sizes: Sequence[tuple[int, int]],
) -> list[Prediction]:
    """Reads one packet a picture.

    Args:
        packets: uint8 [N, L].
        layout: of the packets.
        labels: names of the classes.
        logit_scale: of one step of an integer logit.
        threshold: τ of the box, a fraction of the map's peak.
        sizes: (height, width) of each picture.

    Raises:
        CamError: bytes that no accelerator of this layout sends.
    """
    read = decode_packets(layout, packets)
    scores = softmax_scores(read.logits, logit_scale)
    answers = []
    for i, size in enumerate(sizes):
        heatmap = read.maps[i, 0]
        index = int(scores[i].argmax())
        y, x = divmod(int(heatmap.argmax()), heatmap.shape[1])
        box = largest_box(heatmap, threshold)
        answers.append(
            Prediction(
                class_index=index,
                label=labels[index],
                score=float(scores[i, index]),
                scores=scores[i],
                logits=read.logits[i],
                shown_class=int(read.shown_class[i]),
                heatmap=heatmap,
                peak=scale_point((x, y), heatmap.shape, size) if heatmap.any() else None,
                box=None if box is None else scale_box(box, heatmap.shape, size),
                size=size,
                gated=bool(read.gated[i]),
            )
        )
    return answers
