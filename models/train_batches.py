"""From a data set to the batches that a training step takes: chosen, augmented, mixed, on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.augment import Epoch, augment
from models.datasets.dataset import Dataset
from models.evaluate import to_input
from models.processes import Processes
from models.spec import TrainSpec
from models.train_loss import mix


@dataclass(frozen=True)
class Batch:
    """This process's part of a batch.

    Args:
        images: float NCHW [N, 3, S, S] in [0, 1], mixed where the recipe says so.
        labels: int64 [N].
        chosen: int64 [N], which of the data's images they are.
        partners, shares: labels int64 [N] of the images mixed in, and each image's own share float [N]; or None.
    """

    images: Tensor
    labels: Tensor
    chosen: NDArray[np.int64]
    partners: Tensor | None = None
    shares: Tensor | None = None


class Batches:
    """The batches of a training.

    Args:
        data: the images to train on.
        recipe: batch_size, augment, mixup.
        processes: each takes its part of every batch.
        device: where batches are wanted.
    """

    def __init__(self, data: Dataset, recipe: TrainSpec, processes: Processes, device: str) -> None:
        self.data, self.recipe, self.device = data, recipe, device
        self.mine = processes.part(recipe.batch_size)

    def batch(self, draw: Epoch, step: int) -> Batch:
        """Batch number `step` of the epoch that was drawn."""
        first = step * self.recipe.batch_size
        own = slice(first + self.mine.start, first + self.mine.stop)
        images, labels = self._augmented(draw, own)
        if not self.recipe.mixup:
            return Batch(images, labels, draw.order[own])
        # Each image is mixed with the one across the whole batch: those of the mirrored part, backwards.
        end = first + self.recipe.batch_size
        others, partners = self._augmented(draw, slice(end - self.mine.stop, end - self.mine.start))
        shares = torch.from_numpy(draw.mixtures[own]).float().to(self.device)
        return Batch(mix(images, others.flip(0), shares), labels, draw.order[own], partners.flip(0), shares)

    def _augmented(self, draw: Epoch, chosen: slice) -> tuple[Tensor, Tensor]:
        order = draw.order[chosen]
        images = augment(self.data.images[order], chosen, draw, self.recipe.augment)
        return to_input(images, self.device), torch.from_numpy(self.data.labels[order]).to(self.device)
