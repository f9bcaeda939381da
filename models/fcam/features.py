"""What a frozen classifier gives a decoder: its maps from the tap to the finest."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.network import Activations, Arithmetic, QuantResNet


@dataclass(frozen=True)
class Features:
    """Of N images.

    Args:
        maps: float NCHW, the tap first, each finer than the one before.
    """

    maps: list[Tensor]


Frozen = Callable[[Tensor], Features]
"""Images float NCHW [N, 3, S, S] in [0, 1] to features, without gradients."""


def features_of(network: QuantResNet) -> Frozen:
    """The features of a quantised network, as its hardware computes them: codes times their scale.

    The maps are the last activation of each size, so that every block's output is there that a skip connection wants.
    """

    @torch.no_grad()
    def run(images: Tensor) -> Features:
        record: Activations = {}
        with network.computing(Arithmetic.TRAINING):
            network.eval()(images, record)
        ends = [value for name, value in record.items() if name.endswith(("stem_act", "out_act"))]
        by_size = {tuple(value.shape[2:]): value for value in ends}
        return Features([by_size[size] for size in sorted(by_size)])

    return run
