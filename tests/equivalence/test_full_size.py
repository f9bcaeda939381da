"""At full size the batch executor equals the node-by-node one on every tensor, and is fast enough to evaluate with."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from finn_build.bars import Measured, clean_commit, digests, write_bar
from finn_build.config import load_config
from finn_build.environment import ROOT, default_build_folder
from finn_build.executors.batch import BatchExecutor
from finn_build.executors.nodes import NodeExecutor
from finn_build.graph.frontend import Preprocessing
from finn_build.graph.opset import read_network
from finn_build.graph.streamline import streamline
from finn_build.graph.tidy import tidy
from finn_build.samples import golden_images
from finn_build.verify.compare import require_equal
from models.export import export_qonnx
from models.network import build_network, initialise_untrained

COMMAND = "make verify ARGS=tests/equivalence/test_full_size.py"
IMAGES, AT_ONCE, SPEED_FLOOR = 256, 32, 300.0


@pytest.mark.verify
@pytest.mark.timeout(1800)
def test_batch_executor(tmp_path: Path) -> None:
    config = load_config("resnet8_5w5a")
    torch.manual_seed(0)
    network = build_network(config.model, config.data.classes)
    initialise_untrained(network, 0, config.input.size)
    labels = [str(index) for index in range(config.data.classes)]
    exported = export_qonnx(network, config.input.size, labels, tmp_path).model
    graph, _ = streamline(tidy(read_network(exported), config.input.size, Preprocessing())[0])
    noise = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    images = np.concatenate([golden_images(32), noise])
    batch, nodes = BatchExecutor(graph), NodeExecutor(graph)
    values = 0
    for start in range(0, len(images), AT_ONCE):
        part = images[start : start + AT_ONCE]
        values += sum(row.values for row in require_equal("streamline", nodes.run_all(part), batch.run_all(part)))
    assert values > 100 * IMAGES * 32 * 32

    threads = len(os.sched_getaffinity(0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    speed = max(_images_a_second(batch, np.tile(images, (4, 1, 1, 1))) for _ in range(3))
    torch.set_num_threads(before)
    bar = Measured(
        name="batch executor, images a second",
        measured=round(speed, 1),
        relation=">=",
        limit=SPEED_FLOOR,
        command=COMMAND,
        commit=clean_commit(),
        inputs=digests([ROOT / "finn_build" / "executors", ROOT / "configs" / "resnet8_5w5a.toml"]),
    )
    write_bar(default_build_folder() / "verify.json", bar)
    beside = _images_a_second(nodes, images[:16])
    assert bar.passed, f"{speed:.0f} images/s with {threads} threads, {beside:.1f} node by node"


def _images_a_second(executor: BatchExecutor | NodeExecutor, images: np.ndarray) -> float:
    start = time.perf_counter()
    executor.run(images)
    return len(images) / (time.perf_counter() - start)
