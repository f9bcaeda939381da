"""Accuracy of a network on labelled images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.datasets.dataset import Dataset
from models.network import QuantResNet


@dataclass(frozen=True)
class Evaluation:
    """Accuracy on a data set.

    Args:
        images: how many there were.
        accuracy: the fraction classified right.
        confusion: int64 [classes, classes], rows the true class, columns the network's.
    """

    images: int
    accuracy: float
    confusion: NDArray[np.int64]


def to_input(images: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """UINT8 NHWC [N, S, S, 3] → float NCHW [N, 3, S, S] in [0, 1], channels last in memory."""
    # Divided, not multiplied by 1/255: the pixel quantiser divides by float32(1/255), and both round to the same pixel.
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255.0)


@torch.no_grad()
def evaluate(network: QuantResNet, data: Dataset, batch: int = 250, device: str = "cpu") -> Evaluation:
    """Classify every image of a data set with the network as it is set.

    Args:
        network: in evaluation mode; its `arithmetic` says how it computes.
        data: labelled images.
        batch: images at a time.
        device: where the network lies.
    """
    confusion: NDArray[np.int64] = np.zeros((network.classes, network.classes), np.int64)
    for start in range(0, len(data), batch):
        logits, _ = network(to_input(data.images[start : start + batch], device))
        predicted: NDArray[Any] = logits.argmax(1).cpu().numpy()
        np.add.at(confusion, (data.labels[start : start + batch], predicted), 1)
    return Evaluation(len(data), float(np.trace(confusion)) / max(1, len(data)), confusion)
