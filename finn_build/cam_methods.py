"""Class activation maps of a network of the family, by any method in software: one call for all of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cam_postproc.fusion import FUSED, fused_layer_cam
from cam_postproc.methods import METHODS, Method, compute_maps
from models.evaluate import to_input
from models.network import Arithmetic, QuantResNet, weights_of

ALL_METHODS: tuple[str, ...] = (*METHODS, FUSED)


def map_batch(
    network: QuantResNet,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    arithmetic: Arithmetic,
    methods: Sequence[str],
) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Maps of each image's own class.

    CAM is computed in float64, as what hardware is compared with; the gradient methods in float32. The network runs
    once for all of those that ask only for the tap and for the gradient there.

    Args:
        network: whose tap is mapped; for "layercam-fused" the stem's output and every block's.
        images: uint8 NHWC [N, S, S, 3].
        labels: int64 [N].
        arithmetic: of the network.
        methods: of `ALL_METHODS`.

    Returns:
        Maps [N, h, w] by method, and logits [N, classes].
    """
    classes = labels.tolist()
    found: dict[str, NDArray[Any]] = {}
    with network.computing(arithmetic):
        x = to_input(images)
        with torch.no_grad():
            logits, tap = network(x)
        head = TapHead(network, arithmetic)
        for method in methods:
            if method == FUSED:
                layers = [network.stem_act, *(block for _, block in network.blocks())]
                found[method] = fused_layer_cam(network, layers, x, classes=classes).maps
            elif method == "cam":
                weights = head.weight.double()[torch.from_numpy(labels)]
                found[method] = torch.einsum("nkhw,nk->nhw", tap.double(), weights).numpy()
            else:
                found[method] = _by_gradient(network, head, x, tap, _known(method), classes)
    return found, logits.numpy()


class TapHead(nn.Module):
    """The classifier behind the tap: what a network of the family computes of its last block's output.

    Args:
        network: whose pooling and classifier are taken.
        arithmetic: of its weights.
    """

    def __init__(self, network: QuantResNet, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.tap = nn.Identity()
        self.weight = weights_of(network.fc, network.fc_codes, arithmetic).detach()
        self.average = network.spec.pooling == "average"

    def forward(self, tap: Tensor) -> Tensor:
        """Logits float [N, classes] of taps float [N, C, h, w]."""
        x = self.tap(tap)
        pooled = x.mean(dim=(2, 3)) if self.average else x.amax(dim=(2, 3))
        return nn.functional.linear(pooled, self.weight)


def _by_gradient(
    network: QuantResNet, head: TapHead, x: Tensor, tap: Tensor, method: Method, classes: Sequence[int]
) -> NDArray[Any]:
    if method != "smoothgradcam++":
        return compute_maps(head, "tap", tap, method, classes=classes).maps
    if head.average:
        # Behind average pooling logits are linear in the tap: the gradient is that of every noisy copy.
        return compute_maps(head, "tap", tap, method, classes=classes, samples=1, noise=0.0).maps
    return compute_maps(network, network.last_block, x, method, classes=classes).maps


def _known(name: str) -> Method:
    return next(method for method in METHODS if method == name)
