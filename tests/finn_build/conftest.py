"""Graphs small enough to build by hand: one node, or a residual network of integers; and a small build."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from filelock import FileLock
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finn_build.cli.app import run

sys.path.insert(0, str(Path(__file__).parent))

GENERAL = "qonnx.custom_op.general"


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A finished build of a small network with random weights; test processes share the work, not the folder."""
    from build_helpers import TINY

    own = tmp_path_factory.mktemp("tiny") / "place"
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "shared-tiny"
    with FileLock(f"{shared}.lock"):
        shared.mkdir(exist_ok=True)
        (shared / "tiny.toml").write_text(TINY)
        # Whoever comes second finds it built, and reuses all of it.
        assert (
            run(
                [
                    "build",
                    str(shared / "tiny.toml"),
                    "--untrained",
                    "--skip",
                    "simulate",
                    "--out",
                    str(shared / "build"),
                ]
            )
            == 0
        )
        shutil.copytree(shared, own)
    return own


@pytest.fixture(scope="session")
def tapped(place: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A finished build of the same network, with F-CAM decoders; its accelerator ends in the tap, two values a beat."""
    from build_helpers import make_tapped

    own = tmp_path_factory.mktemp("tapped") / "place"
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "shared-tapped"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            make_tapped(place, shared)
        arguments = ["build", str(shared / "tiny.toml"), "--skip", "simulate", "--skip", "vendor"]
        assert run([*arguments, "--out", str(shared / "build")]) == 0
        shutil.copytree(shared, own)
    return own


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """A copy of the finished build that a test may spoil."""
    shutil.copytree(place, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="session")
def graph_of() -> Callable[..., ModelWrapper]:
    """Builds a graph from nodes; shapes and types are inferred."""

    def build(
        nodes: list[onnx.NodeProto],
        constants: dict[str, Any],
        outputs: list[str],
        shape: tuple[int, ...] = (1, 3, 8, 8),
        opset: int = 13,
    ) -> ModelWrapper:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        initialisers = [
            numpy_helper.from_array(np.asarray(v, np.int64 if np.asarray(v).dtype.kind == "i" else np.float32), name)
            for name, v in constants.items()
        ]
        graph = helper.make_graph(nodes, "graph", [image], ends, initialisers)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(GENERAL, 1)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=8))
        model.set_tensor_datatype("image", DataType["UINT8"])
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        return model.transform(InferShapes()).transform(InferDataTypes())

    return build


@pytest.fixture(scope="session")
def residual(graph_of: Callable[..., ModelWrapper]) -> Callable[[], ModelWrapper]:
    """A residual network of integers: 8×8 pixels, tap UINT3 NCHW [1, 6, 4, 4], 5 classes."""

    def build() -> ModelWrapper:
        rng = np.random.default_rng(7)

        def weights(*shape: int) -> np.ndarray:
            return rng.integers(-3, 4, shape).astype(np.float32)

        def thresholds(channels: int, low: int, high: int, steps: int = 7) -> np.ndarray:
            return np.sort(rng.integers(low, high, (channels, steps)), axis=1).astype(np.float32)

        def threshold(source: str, limits: str, out: str, bias: float = 0.0) -> onnx.NodeProto:
            kind = {"out_dtype": "INT3" if bias else "UINT3", "out_bias": bias, "data_layout": "NCHW"}
            return helper.make_node("MultiThreshold", [source, limits], [out], domain=GENERAL, **kind)

        def conv(source: str, weight: str, out: str, kernel: int, stride: int) -> onnx.NodeProto:
            return helper.make_node(
                "Conv", [source, weight], [out], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4
            )

        nodes = [
            conv("image", "w0", "c0", 3, 1),
            threshold("c0", "t0", "stem"),
            conv("stem", "w1", "c1", 3, 2),
            threshold("c1", "t1", "first"),
            conv("first", "w2", "c2", 3, 1),
            threshold("c2", "t2", "branch", bias=-4.0),
            conv("stem", "w3", "c3", 1, 2),
            threshold("c3", "t3", "shortcut", bias=-4.0),
            helper.make_node("Add", ["branch", "shortcut"], ["sum"]),
            threshold("sum", "t4", "tap"),
            helper.make_node("ReduceSum", ["tap", "axes"], ["pooled"], keepdims=0),
            helper.make_node("MatMul", ["pooled", "fc"], ["logits"]),
        ]
        constants = {
            "w0": weights(4, 3, 3, 3), "t0": thresholds(4, -1500, 1500),
            "w1": weights(6, 4, 3, 3), "t1": thresholds(6, -60, 60),
            "w2": weights(6, 6, 3, 3), "t2": thresholds(6, -60, 60),
            "w3": weights(6, 4, 1, 1), "t3": thresholds(6, -15, 15),
            "t4": thresholds(6, -6, 6), "axes": np.array([2, 3]), "fc": weights(6, 5),
        }  # fmt: skip
        model = graph_of(nodes, constants, ["tap", "logits"])
        for name in ("w0", "w1", "w2", "w3", "fc"):
            model.set_tensor_datatype(name, DataType["INT3"])
        for name in ("t0", "t1", "t2", "t3", "t4"):
            model.set_tensor_datatype(name, DataType["INT16"])
        return model.transform(InferDataTypes())

    return build


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """Six pictures of 8×8 pixels: noise, and the extremes."""
    noise = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    return np.concatenate([noise, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255)])
