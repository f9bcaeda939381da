"""What a recipe means: which images are kept apart, how fast is learnt, and by which optimiser."""

import math
from typing import Any

import numpy as np
import torch

from models.checkpoint import read_weights
from models.datasets.dataset import Dataset
from models.errors import ModelError
from models.network import QuantResNet
from models.spec import ModelSpec, TrainSpec
from models.train_state import fingerprint

PHASES = ("float", "quantised")
_BIT_WIDTHS = {"weight_bit_width", "act_bit_width", "first_bit_width", "last_bit_width"}
_QUANTISED_FIELDS = {"epochs", "freeze_epochs", "learning_rate", "scale_learning_rate", "distillation", "fuse"}
"""What the float phase does not depend on."""


def identities(spec: ModelSpec, recipe: TrainSpec, data: Dataset) -> tuple[str, str]:
    """Fingerprints of a whole training and of its float phase alone, which configs of one family share."""
    images = fingerprint(data.images, data.labels)
    for checkpoint in (recipe.start, recipe.teacher):
        if checkpoint is not None:
            images = fingerprint(images, *(tensor.numpy() for tensor in read_weights(checkpoint).values()))
    geometry = {"stem", "groups", "pooling"}
    whole = [spec.model_dump(mode="json", include=geometry | _BIT_WIDTHS), recipe.model_dump(mode="json")]
    float_recipe = recipe.model_dump(mode="json", exclude=_QUANTISED_FIELDS)
    if recipe.teacher is not None:
        # It teaches the float phase as well.
        float_recipe["distillation"] = recipe.distillation
    return (
        fingerprint(*whole, images),
        fingerprint(spec.model_dump(mode="json", include=geometry), float_recipe, images),
    )


def split_held_out(data: Dataset, recipe: TrainSpec) -> tuple[Dataset, Dataset]:
    """The images to train on, and those to choose by: a seeded random part of `held_out` images.

    Raises:
        ModelError: less than one batch would be left to train on.
    """
    if recipe.held_out + recipe.batch_size > len(data):
        wanted = f"at most {len(data)} images less a batch of {recipe.batch_size}"
        raise ModelError("[train] held_out", wanted, str(recipe.held_out), "hold out fewer, or use smaller batches")
    order = np.random.default_rng([recipe.seed]).permutation(len(data))
    kept = len(data) - recipe.held_out
    return data.subset(np.sort(order[:kept])), data.subset(np.sort(order[kept:]))


def learning_rate_at(progress: float, recipe: TrainSpec, peak: float) -> float:
    """The learning rate at a share of a phase, 0 … 1.

    Cosine falls from the peak to 0; one-cycle first rises linearly over `warmup`, then falls likewise.
    """
    if recipe.schedule == "one-cycle":
        if progress < recipe.warmup:
            return peak * (0.04 + 0.96 * progress / recipe.warmup)
        progress = (progress - recipe.warmup) / (1 - recipe.warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def new_optimizer(network: QuantResNet, recipe: TrainSpec) -> torch.optim.SGD:
    """SGD that decays convolution and classifier weights alone; each group's `relative` scales its learning rate."""
    scales = network.scale_parameters()
    of_scales = {id(parameter) for parameter in scales}
    others = [parameter for parameter in network.parameters() if id(parameter) not in of_scales]
    groups: list[dict[str, Any]] = [
        {
            "params": [parameter for parameter in others if parameter.dim() > 1],
            "weight_decay": recipe.weight_decay,
            "relative": 1.0,
        },
        {"params": [parameter for parameter in others if parameter.dim() == 1], "weight_decay": 0.0, "relative": 1.0},
        {"params": scales, "weight_decay": 0.0, "relative": recipe.scale_learning_rate / recipe.learning_rate},
    ]
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
