"""Running pictures through one form of a built network, and reading the answers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.head import Head, read_head
from finn_build.localise import Answer, Seen, answer, read_packets

CHUNK = 64


def answers_of(
    config: Config, folder: Path, pictures: Sequence[Seen], executor: str, progress: Callable[[float], None]
) -> list[Answer]:
    """What one form of the network says of each picture.

    Args:
        config: that was built.
        folder: of its build.
        pictures: at the network's size.
        executor: `integer` (numpy model of the CAM block), `csim` (its C++), or `float` (the network with its
            quantisers off and a CAM in float64).
        progress: told the fraction that is done.

    Raises:
        UserError: the network was built elsewhere and has no float form.
    """
    head = read_head(folder / "streamline" / "head.npz")
    answers: list[Answer] = []
    if executor == "float":
        if config.model.source != "checkpoint":
            raise UserError("--executor", "integer or csim", "float", "a network from elsewhere has no float form here")
        run = _float_form(config, folder, head)
    else:
        run = _packet_form(config, folder, head, executor)
    for start in range(0, len(pictures), CHUNK):
        answers.extend(run(pictures[start : start + CHUNK]))
        progress(min(1.0, (start + CHUNK) / len(pictures)))
    return answers


def _packet_form(config: Config, folder: Path, head: Head, executor: str) -> Callable[[Sequence[Seen]], list[Answer]]:
    from finn_build.executors.cam import PacketExecutor

    spec = head.cam_spec(config.cam_output, config.cam.sampling)
    packets = PacketExecutor(
        folder / "streamline" / "model.onnx", head, spec, "csim" if executor == "csim" else "integer", folder / "csim"
    )

    def run(pictures: Sequence[Seen]) -> list[Answer]:
        sent = packets.run(_batch(pictures))["packet"]
        return read_packets(sent, spec.layout, head, config.cam.threshold, pictures)

    return run


def _float_form(config: Config, folder: Path, head: Head) -> Callable[[Sequence[Seen]], list[Answer]]:
    from cam_postproc.reference import heatmap_float64
    from finn_build.executors.brevitas import BrevitasExecutor
    from models.checkpoint import load_checkpoint
    from models.network import Arithmetic

    network, _ = load_checkpoint(folder / "model" / "network.safetensors", config.model, config.data.classes)
    weights = network.fc.weight.detach().double().numpy()
    executor = BrevitasExecutor(network, Arithmetic.FLOAT)
    spec = head.cam_spec(config.cam_output, config.cam.sampling)

    def run(pictures: Sequence[Seen]) -> list[Answer]:
        outputs = executor.run(_batch(pictures))
        maps = np.einsum("nhwk,ck->nchw", outputs["tap"].astype(np.float64), weights)
        logits = maps.mean(axis=(2, 3))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
        shown = maps[np.arange(len(maps)), scores.argmax(axis=1)]
        heat = np.rint(heatmap_float64(spec, shown)).astype(np.uint8)
        return [
            answer(picture, scores[i], heat[i], head.labels, config.cam.threshold) for i, picture in enumerate(pictures)
        ]

    return run


def _batch(pictures: Sequence[Seen]) -> NDArray[np.uint8]:
    return np.stack([picture.pixels for picture in pictures])
