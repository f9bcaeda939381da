"""Class activation maps of a network of the family, by any method in software: one call for all of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam_postproc.fusion import FUSED, fused_layer_cam
from cam_postproc.methods import METHODS, compute_maps
from models.evaluate import to_input
from models.network import Arithmetic, QuantResNet, weights_of

ALL_METHODS: tuple[str, ...] = (*METHODS, FUSED)


def map_batch(
    network: QuantResNet, images: NDArray[np.uint8], labels: NDArray[np.int64], arithmetic: Arithmetic, method: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Maps of each image's own class.

    CAM is computed in float64, as what hardware is compared with; the gradient methods in float32.

    Args:
        network: whose tap is mapped; for "layercam-fused" the stem's output and every block's.
        images: uint8 NHWC [N, S, S, 3].
        labels: int64 [N].
        arithmetic: of the network.
        method: one of `ALL_METHODS`.

    Returns:
        Maps [N, h, w] and logits [N, classes].
    """
    import torch

    with network.computing(arithmetic):
        if method == "cam":
            with torch.inference_mode():
                logits, tap = network(to_input(images))
                weights = weights_of(network.fc, network.fc_codes, arithmetic).double()
                maps = torch.einsum("nkhw,nk->nhw", tap.double(), weights[torch.from_numpy(labels)])
                return maps.numpy(), logits.numpy()
        if method == FUSED:
            layers = [network.stem_act, *(block for _, block in network.blocks())]
            found = fused_layer_cam(network, layers, to_input(images), classes=labels.tolist())
        else:
            known = next(name for name in METHODS if name == method)
            found = compute_maps(network, network.last_block, to_input(images), known, classes=labels.tolist())
        return found.maps, found.logits
