"""A real trained network from elsewhere, where its file is at hand."""

from pathlib import Path

import numpy as np
import pytest
from graph_helpers import PART, pooled_tensor, tap_output
from qonnx.core.onnx_exec import execute_onnx

from cam_postproc.packet import decode_packets
from finn_build.adapter import quiet
from finn_build.environment import ROOT, models_folder
from finn_build.executors.base import Output
from finn_build.executors.batch import BatchExecutor
from finn_build.graph.frontend import Preprocessing
from finn_build.graph.hardware import to_hardware
from finn_build.graph.lower import lower
from finn_build.graph.opset import read_network
from finn_build.graph.partition import partition
from finn_build.graph.specialise import specialise
from finn_build.graph.streamline import streamline
from finn_build.graph.tap import head_of_graph
from finn_build.graph.tidy import tidy
from finn_build.graph.widths import minimise_widths
from finn_build.nodes.cam import CamNode
from finn_build.samples import golden_images

NAME = "ntu_resnet8_5w5a.onnx"
NTU = Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


@pytest.fixture(scope="module")
def path() -> Path:
    for folder in (models_folder(), ROOT.parent / "shared" / "peers"):
        if folder is not None and (folder / NAME).is_file():
            return folder / NAME
    pytest.skip(f"{NAME} is not at hand: name its folder in FINN_CAM_MODELS")


def test_the_real_network_reaches_one_integer_partition_exactly(path: Path, tmp_path: Path) -> None:
    tidied, report = tidy(read_network(path), 32, NTU)
    assert report.input.form == "thresholds"
    head = head_of_graph(tidied)
    integer, found = streamline(tidied)
    lowered = lower(integer)
    pictures = golden_images(32)[:6]
    real = BatchExecutor(tidied, {"tap": Output(pooled_tensor(tidied), "NCHW"), "logits": "logits"}, "float64").run(
        pictures
    )
    whole = BatchExecutor(integer, {"tap": tap_output("NCHW"), "logits": "logits"}).run(pictures)
    assert np.array_equal(np.rint(real["tap"] / head.tap_scale), whole["tap"])
    assert np.abs(real["logits"] / found.logit_scale - whole["logits"]).max() < 1e-6
    assert np.array_equal(BatchExecutor(lowered).run(pictures)["tap"], whole["tap"])
    assert head.logit_scale == pytest.approx(found.logit_scale, rel=1e-12)

    block = CamNode(head, (32, 32))
    parts = partition(to_hardware(lowered, "cam", block), tmp_path)
    generic, _ = minimise_widths(parts.child)
    with quiet():
        out = execute_onnx(generic, {"image": pictures[:1].astype(np.float32)})["packet"]
    packet = decode_packets(block.spec.layout, out.astype(np.uint8))
    assert np.array_equal(packet.logits, whole["logits"][:1])
    counts = dict.fromkeys(("MVAU", "Thresholding", "ConvolutionInputGenerator", "FMPadding"), 0)
    for variant in specialise(generic, PART)[1]:
        counts |= {variant.op: counts[variant.op] + 1} if variant.op in counts else {}
    assert counts == {"MVAU": 9, "Thresholding": 14, "ConvolutionInputGenerator": 9, "FMPadding": 7}
