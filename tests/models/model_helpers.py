"""Small networks, images and data sets that the tests of this package share."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.datasets import Dataset
from models.network import QuantResNet, build_network, initialise_untrained
from models.spec import Groups, ModelSpec

LABELS = ["ant", "bee", "cat"]


def small_spec(bits: int = 4, channels: tuple[int, ...] = (8, 16), strides: tuple[int, ...] = (1, 2)) -> ModelSpec:
    return ModelSpec(
        groups=Groups(blocks=[1] * len(channels), channels=list(channels), strides=list(strides)),
        weight_bit_width=bits,
        act_bit_width=bits,
        first_bit_width=bits,
        last_bit_width=bits,
        checkpoint=Path("unused"),
    )


def small_network(bits: int = 4, seed: int = 0) -> QuantResNet:
    torch.manual_seed(seed)
    network = build_network(small_spec(bits), len(LABELS))
    initialise_untrained(network, seed, 16)
    return network


def random_images(count: int, size: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def random_dataset(count: int, size: int = 16, seed: int = 0) -> Dataset:
    labels = np.random.default_rng(seed + 1).integers(0, len(LABELS), count)
    # Class c is brighter in channel c, so that there is something to learn.
    images = random_images(count, size, seed) // 2
    images[np.arange(count), :, :, labels] += 100
    return Dataset(images, labels.astype(np.int64), list(LABELS))
