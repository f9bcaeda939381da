"""Speed of inference: every executor of the network on the same images."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.bench.clock import Speed, race
from finn_build.executors.base import Array, Images
from finn_build.executors.batch import BatchExecutor
from finn_build.executors.nodes import NodeExecutor
from models.evaluate import to_input
from models.network import Arithmetic, QuantResNet, channels_last

PLAIN = "float PyTorch"
BATCH, SLOW = 250, 2
"""Images of a call, and of a call of what takes them one at a time."""


@dataclass(frozen=True)
class Inference:
    """One executor: speed on batches, and the time that a single image takes, in milliseconds (median)."""

    speed: Speed
    latency_ms: float


def inference_speeds(
    network: QuantResNet, integer: Path, images: Images, rounds: int, tell: Callable[[str], None]
) -> dict[str, Inference]:
    """Images a second and latency of each executor, by name; ratios are to float PyTorch.

    Args:
        network: in evaluation mode.
        integer: the streamlined integer graph.
        images: uint8 NHWC, at least `BATCH`.
        rounds: how often each takes its turn.
        tell: told what is prepared.
    """
    graph = ModelWrapper(str(integer))
    channels_last(network)
    calls: dict[str, Callable[[Images], Any]] = {
        PLAIN: _of_network(network, Arithmetic.FLOAT),
        "Brevitas": _of_network(network, Arithmetic.BREVITAS),
        "batch integer executor": BatchExecutor(integer, outputs={"logits": "logits"}).run,
        "node by node": NodeExecutor(graph, outputs={"logits": "logits"}).run,
        "QONNX and FINN as they come": _of_qonnx(graph),
    }
    contestants: dict[str, tuple[Callable[[], object], int]] = {}
    for name, call in calls.items():
        tell(name)
        count = BATCH if name in (PLAIN, "Brevitas", "batch integer executor") else SLOW
        contestants[name] = (lambda call=call, count=count: call(images[:count])), count  # type: ignore[misc]
    speeds = race(contestants, PLAIN, rounds)
    return {name: Inference(speeds[name], _latency(call, images, rounds)) for name, call in calls.items()}


def _of_network(network: QuantResNet, arithmetic: Arithmetic) -> Callable[[Images], Array]:
    def run(images: Images) -> Array:
        with torch.inference_mode(), network.computing(arithmetic):
            logits: Array = network(to_input(images))[0].numpy()
            return logits

    return run


def _of_qonnx(graph: ModelWrapper) -> Callable[[Images], list[Array]]:
    from qonnx.core.onnx_exec import execute_onnx

    name = graph.graph.input[0].name
    nchw = graph.get_tensor_shape(name)[1] == 3

    def run(images: Images) -> list[Array]:
        found = []
        for image in images:
            pixels = image.transpose(2, 0, 1) if nchw else image
            found.append(execute_onnx(graph, {name: pixels[None].astype("float32")})["logits"])
        return found

    return run


def _latency(call: Callable[[Images], Any], images: Images, rounds: int) -> float:
    spent = []
    for number in range(2 * rounds):
        start = time.perf_counter()
        call(images[number : number + 1])
        spent.append(time.perf_counter() - start)
    return 1000 * statistics.median(spent)
