"""The trained network itself as an executor: in float, or quantised by Brevitas."""

import numpy as np
import torch

from finn_build.executors.base import LOGITS, TAP, Array, Images, check_images
from models.evaluate import to_input
from models.network import Activations, Arithmetic, QuantResNet

BATCH = 64


class BrevitasExecutor:
    """Runs a `QuantResNet` in float32.

    Args:
        network: the network; it is left in evaluation mode.
        arithmetic: `BREVITAS` as exported, or `FLOAT` with all quantisers off.
    """

    def __init__(self, network: QuantResNet, arithmetic: Arithmetic = Arithmetic.BREVITAS) -> None:
        self._network, self._arithmetic = network.eval(), arithmetic

    def run(self, images: Images) -> dict[str, Array]:
        """Computes `tap` (float32, NHWC, scale · code) and `logits` (float32 [N, classes]).

        Args:
            images: uint8, NHWC [N, S, S, 3], RGB.
        """
        outputs = self.run_all(images)
        return {TAP: outputs[TAP], LOGITS: outputs[LOGITS]}

    def run_all(self, images: Images) -> dict[str, Array]:
        """Computes every quantised activation (float32, NHWC) by layer name, in order, then `tap` and `logits`."""
        check_images(images)
        parts: dict[str, list[Array]] = {}
        with torch.inference_mode(), self._network.computing(self._arithmetic):
            for start in range(0, len(images), BATCH):
                record: Activations = {}
                logits, tap = self._network(to_input(images[start : start + BATCH]), record)
                for name, tensor in {**record, TAP: tap}.items():
                    parts.setdefault(name, []).append(tensor.permute(0, 2, 3, 1).numpy())
                parts.setdefault(LOGITS, []).append(logits.numpy())
        return {name: np.ascontiguousarray(np.concatenate(arrays)) for name, arrays in parts.items()}


def code_steps(network: QuantResNet) -> dict[str, float]:
    """The step of one code of every activation that `run_all` gives, in the order of execution; the tap is the last."""
    steps = {}
    for name, activation in network.activations():
        block = name.removesuffix(".shared")
        for layer in [name] if block == name else [f"{block}.branch", f"{block}.shortcut"]:
            steps[layer] = activation.scale
    return steps
