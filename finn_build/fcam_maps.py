"""What a network's F-CAM decoders answer, on the features of the quantised network or on the integer graph's tap."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cam_postproc.reference import normalise_float64
from models.evaluate import to_input
from models.fcam.checkpoint import load_decoders
from models.fcam.decoder import KINDS, Decoder, Kind
from models.fcam.features import Features, features_of
from models.network import QuantResNet

FCAM: dict[Kind, str] = {"skips": "fcam-skips", "tap": "fcam-tap"}
"""The decoders' names among the methods."""

BATCH = 64


class FcamMaps:
    """A network's decoders.

    A decoder tells where the image's class is, whichever it is: there is one map an image, and no class to ask for.

    Args:
        path: of the decoders.
        network: that they were trained on.

    Raises:
        ModelError: the file is missing or broken, or was trained on another network.
    """

    def __init__(self, path: Path, network: QuantResNet) -> None:
        self._network = network
        self._decoders, _ = load_decoders(path, network)

    def of_images(self, images: NDArray[np.uint8], kinds: Collection[Kind] = KINDS) -> dict[str, NDArray[np.float32]]:
        """Maps of the decoders on the quantised network's own features: float [N, S, S] within 0 to 255, by method.

        Args:
            images: uint8 NHWC [N, S, S, 3].
            kinds: which decoders, of those that there are.
        """
        frozen = features_of(self._network)
        chosen = {kind: decoder for kind, decoder in self._decoders.items() if kind in kinds}
        found: dict[str, list[NDArray[np.float32]]] = {FCAM[kind]: [] for kind in chosen}
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                x = to_input(images[start : start + BATCH])
                features = frozen(x)
                for kind, decoder in chosen.items():
                    found[FCAM[kind]].append(_levels(decoder, x, features))
        return {method: np.concatenate(parts) for method, parts in found.items()}

    def of_taps(
        self, images: NDArray[np.uint8], tap: NDArray[np.uint8], scale: float
    ) -> dict[str, NDArray[np.float32]]:
        """The tap-fed decoder's maps of what an accelerator with `head = tap` sends, as `of_images` gives them.

        Args:
            images: uint8 NHWC [N, S, S, 3].
            tap: codes, uint8 [N, h, w, C].
            scale: of a code.
        """
        decoder = self._decoders.get("tap")
        if decoder is None:
            return {}
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                part = slice(start, start + BATCH)
                values = torch.from_numpy(tap[part].astype(np.float32) * np.float32(scale)).permute(0, 3, 1, 2)
                found.append(_levels(decoder, to_input(images[part]), Features([values])))
        return {FCAM["tap"]: np.concatenate(found)}


def _levels(decoder: Decoder, images: Tensor, features: Features) -> NDArray[np.float32]:
    """The logit, min-maxed over each image: the sigmoid saturates, and a threshold could not tell its pixels apart."""
    return np.float32(255) * normalise_float64(decoder(images, features).numpy()).astype(np.float32)
