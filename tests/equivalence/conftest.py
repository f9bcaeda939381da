"""One small residual network in every form that it takes on its way to hardware."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from finn_build.adapter import quiet
from finn_build.graph.frontend import Preprocessing
from finn_build.graph.hardware import to_hardware
from finn_build.graph.lower import lower
from finn_build.graph.opset import read_network
from finn_build.graph.streamline import streamline
from finn_build.graph.tap import head_of_graph
from finn_build.graph.tidy import tidy
from finn_build.head import Head
from finn_build.nodes import register_nodes
from finn_build.nodes.cam import CamNode
from models.export import export_qonnx
from models.network import QuantResNet, build_network, initialise_untrained
from models.spec import Groups, ModelSpec

SIZE, CLASSES = 16, 5


@dataclass(frozen=True)
class Forms:
    """The network, its head, and its graphs after each pass group."""

    network: QuantResNet
    head: Head
    qonnx: ModelWrapper
    tidy: ModelWrapper
    integer: ModelWrapper
    lowered: ModelWrapper
    hardware: ModelWrapper
    accelerator: ModelWrapper
    exported: Path


@pytest.fixture(scope="session")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    torch.set_num_threads(1)
    register_nodes()
    spec = ModelSpec(
        groups=Groups(blocks=[1, 1], channels=[8, 12], strides=[1, 2]),
        weight_bit_width=4,
        act_bit_width=4,
        first_bit_width=5,
        last_bit_width=6,
        checkpoint=Path("unused"),
    )
    torch.manual_seed(0)
    network = build_network(spec, CLASSES)
    initialise_untrained(network, 0, SIZE)
    exported = export_qonnx(network, SIZE, [f"class {i}" for i in range(CLASSES)], tmp_path_factory.mktemp("net")).model
    with quiet():
        qonnx = ModelWrapper(str(exported)).transform(InferShapes())
    tidied, _ = tidy(read_network(exported), SIZE, Preprocessing())
    integer, _ = streamline(tidied)
    lowered = lower(integer)
    head = head_of_graph(tidied)
    return Forms(
        network=network,
        head=head,
        qonnx=qonnx,
        tidy=tidied,
        integer=integer,
        lowered=lowered,
        hardware=to_hardware(lowered, "logits"),
        accelerator=to_hardware(lowered, "cam", CamNode(head, (SIZE, SIZE), "half-pixel")),
        exported=exported,
    )


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Eight pictures: coarse patterns with noise, and the extremes."""
    rng = np.random.default_rng(11)
    coarse = rng.integers(0, 200, (6, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    noisy = (coarse + rng.integers(0, 56, coarse.shape)).astype(np.uint8)
    return np.concatenate([noisy, np.zeros_like(noisy[:1]), np.full_like(noisy[:1], 255)])
