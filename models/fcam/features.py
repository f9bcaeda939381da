"""What a frozen classifier gives a decoder: its maps from the tap to the finest, and the class's activation map."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.network import Activations, Arithmetic, QuantResNet, weights_of


@dataclass(frozen=True)
class Features:
    """Of N images.

    Args:
        maps: float NCHW, the tap first, each finer than the one before.
        cam: float [N, h, w], the activation map of each image's class at the tap's size, which seeds are drawn from;
            None where nobody asked.
    """

    maps: list[Tensor]
    cam: Tensor | None = None


Method = Literal["cam", "layercam"]

Frozen = Callable[[Tensor, Tensor], Features]
"""Images float NCHW [N, 3, S, S] in [0, 1] and classes int64 [N] to features, without gradients."""


def features_of(network: QuantResNet, method: Method = "layercam") -> Frozen:
    """The features of a quantised network, as its hardware computes them: codes times their scale.

    The maps are the last activation of each size, so that every block's output is there that a skip connection wants.

    Args:
        network: frozen.
        method: of the activation map. Behind an average pooling and one linear layer, LayerCAM is CAM with its positive
            weights alone: evidence against the class cuts no holes into the object.
    """

    @torch.no_grad()
    def run(images: Tensor, classes: Tensor) -> Features:
        record: Activations = {}
        with network.computing(Arithmetic.TRAINING):
            _, tap = network.eval()(images, record)
            weights = weights_of(network.fc, network.fc_codes, Arithmetic.TRAINING)[classes]
        if method == "layercam":
            weights = weights.clamp(min=0)
        ends = [value for name, value in record.items() if name.endswith(("stem_act", "out_act"))]
        by_size = {tuple(value.shape[2:]): value for value in ends}
        maps = [by_size[size] for size in sorted(by_size)]
        return Features(maps, torch.einsum("nkhw,nk->nhw", tap, weights))

    return run
