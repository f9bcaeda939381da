"""The batch executor gives what the node-by-node executor gives, on every tensor, or says why it cannot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import UserError
from finn_build.executors.base import UNIT, InputFormat, Output
from finn_build.executors.batch import BatchExecutor
from finn_build.executors.nodes import NodeExecutor
from finn_build.executors.ops_threshold import TABLE_ENTRIES

Graph = Callable[..., ModelWrapper]
GENERAL = "qonnx.custom_op.general"
RNG = np.random.default_rng(3)


def assert_same_everywhere(
    model: ModelWrapper, images: np.ndarray, precision: str = "exact", tolerance: float = 0.0
) -> None:
    expected = NodeExecutor(model).run_all(images)
    executor = BatchExecutor(model, precision=precision)
    got = executor.run_all(images)
    for name, values in got.items():
        assert values.shape == expected[name].shape, name
        largest = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=tolerance * largest, err_msg=name)
    assert set(executor.outputs) <= set(got)


def test_every_tensor_of_an_integer_graph(residual: Graph, pictures: np.ndarray) -> None:
    assert_same_everywhere(residual(), pictures)


@pytest.mark.parametrize("threads", [1, 2])
def test_results_do_not_depend_on_the_batch(threads: int, residual: Graph) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    images = np.random.default_rng(5).integers(0, 256, (530, 8, 8, 3), dtype=np.uint8)
    executor = BatchExecutor(residual())
    together = executor.run(images)
    torch.set_num_threads(before)
    for name in ("tap", "logits"):
        alone = np.concatenate([executor.run(image[None])[name] for image in images[505:520]])
        np.testing.assert_array_equal(together[name][505:520], alone)


def test_named_outputs_come_channels_last_as_integers(residual: Graph, pictures: np.ndarray, tmp_path: Path) -> None:
    model = residual()
    model.save(str(tmp_path / "model.onnx"))
    executor = BatchExecutor(tmp_path / "model.onnx", {"tap": Output("tap", "NCHW"), "hidden": "first"})
    got = executor.run(pictures)
    assert got["tap"].shape == (6, 4, 4, 6)
    assert got["hidden"].shape == (6, 6, 4, 4)
    assert got["tap"].dtype == np.int32
    expected = NodeExecutor(model, {"tap": Output("tap", "NCHW")}).run(pictures)
    np.testing.assert_array_equal(got["tap"], expected["tap"])


CONSTANTS = {
    "w": RNG.integers(-3, 4, (4, 3, 3, 3)).astype(np.float32),
    "wg": RNG.normal(size=(6, 1, 2, 3)).astype(np.float32),
    "b": RNG.normal(size=4).astype(np.float32),
    "b6": RNG.normal(size=6).astype(np.float32),
    "channel": RNG.normal(size=(1, 3, 1, 1)).astype(np.float32),
    "scalar": np.float32(-2.5),
    "seven": np.float32(7),
    "three": RNG.uniform(0.5, 2, 3).astype(np.float32),
    "fc": RNG.normal(size=(5, 192)).astype(np.float32),
    "fcb": RNG.normal(size=5).astype(np.float32),
    "spatial": np.array([2, 3]),
    "pads": np.array([0, 0, 1, 0, 0, 0, 2, 1]),
    "shape": np.array([1, -1]),
    "zero": np.array(0),
    "minus": np.array([-1]),
    "one": np.array([1]),
    "picked": np.array([2, 0, 0]),
    "begin": np.array([1, 2]),
    "end": np.array([3, 100]),
    "step": np.array([1, 3]),
}
N = helper.make_node
PLAIN = {
    "Conv": [N("Conv", ["image", "w", "b"], ["y"], pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])],
    "Conv in groups": [
        N("Concat", ["image", "image"], ["x"], axis=1),
        N("Conv", ["x", "wg", "b6"], ["y"], group=6, kernel_shape=[2, 3]),
    ],
    "Add, Sub, Mul, Div": [
        N("Add", ["image", "channel"], ["a"]), N("Sub", ["scalar", "a"], ["s"]),
        N("Mul", ["s", "a"], ["m"]), N("Div", ["m", "scalar"], ["y"]),
    ],
    "Relu": [N("Sub", ["image", "scalar"], ["a"]), N("Mul", ["a", "channel"], ["b_"]), N("Relu", ["b_"], ["y"])],
    "BatchNormalization": [N("BatchNormalization", ["image", "three", "three", "three", "three"], ["y"], epsilon=1e-3)],
    "Gemm": [
        N("Flatten", ["image"], ["x"]),
        N("Gemm", ["x", "fc", "fcb"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ],
    "MaxPool": [N("MaxPool", ["image"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
    "MaxPool rounded up": [N("MaxPool", ["image"], ["y"], kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1)],
    "AveragePool": [
        N("AveragePool", ["image"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1)
    ],
    "GlobalAveragePool": [N("GlobalAveragePool", ["image"], ["y"])],
    "ReduceMean": [N("ReduceMean", ["image"], ["y"], axes=[2, 3], keepdims=0)],
    "ReduceSum": [N("ReduceSum", ["image", "spatial"], ["y"], keepdims=1)],
    "Pad": [N("Pad", ["image", "pads", "seven"], ["y"])],
    "Transpose, Reshape": [
        N("Transpose", ["image"], ["t"], perm=[0, 2, 3, 1]), N("Reshape", ["t", "shape"], ["y"])
    ],
    "a chain of shapes": [
        N("GlobalAveragePool", ["image"], ["p"]), N("Shape", ["p"], ["s"]), N("Gather", ["s", "zero"], ["n"], axis=0),
        N("Unsqueeze", ["n", "zero_"], ["u"]), N("Concat", ["u", "minus"], ["to"], axis=0),
        N("Reshape", ["p", "to"], ["y"]),
    ],
    "Gather, Slice, Squeeze, Unsqueeze, Cast": [
        N("Gather", ["image", "picked"], ["g"], axis=1), N("Slice", ["g", "begin", "end", "spatial", "step"], ["s"]),
        N("Unsqueeze", ["s", "one"], ["u"]), N("Squeeze", ["u", "one"], ["q"]), N("Cast", ["q"], ["y"], to=1),
    ],
    "Identity, Dropout": [N("Identity", ["image"], ["i"]), N("Dropout", ["i"], ["y"])],
    "Im2Col": [
        N("Im2Col", ["image"], ["y"], domain=GENERAL, stride=[2, 1], kernel_size=[3, 2], dilations=[1, 2],
          input_shape="(1,8,8,3)", pad_amount=[1, 0, 2, 1], pad_value=3),
    ],
    "MaxPoolNHWC": [
        N("MaxPoolNHWC", ["image"], ["y"], domain=GENERAL, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_operators(name: str, graph_of: Graph, pictures: np.ndarray) -> None:
    used = {source for node in PLAIN[name] for source in node.input}
    constants = {k: v for k, v in {**CONSTANTS, "zero_": np.array([0])}.items() if k in used}
    shape = (1, 8, 8, 3) if name in ("Im2Col", "MaxPoolNHWC") else (1, 3, 8, 8)
    model = graph_of(PLAIN[name], constants, ["y"], shape)
    if name == "a chain of shapes":
        # What shape inference cannot see through, the judge has to be told.
        model.set_tensor_shape("y", [1, 3])
    assert_same_everywhere(model, pictures, "float64", 2e-6)
    assert_same_everywhere(model, pictures, "float32", 2e-6)


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
@pytest.mark.parametrize(("signed", "narrow"), [(0, 0), (1, 0), (1, 1)])
def test_quantisers(mode: str, signed: int, narrow: int, graph_of: Graph, pictures: np.ndarray) -> None:
    nodes = [
        N("Sub", ["image", "middle"], ["x"]),
        N("Quant", ["x", "scale", "zero", "bits"], ["y"], domain=GENERAL, signed=signed, narrow=narrow,
          rounding_mode=mode),
    ]  # fmt: skip
    # Halves and ties of either sign: scale 2 leaves every other pixel between two codes.
    constants = {"middle": np.float32(100), "scale": np.float32(2), "zero": np.float32(0), "bits": np.float32(5)}
    assert_same_everywhere(graph_of(nodes, constants, ["y"]), pictures, "float32")


def test_weights_are_quantised_as_the_graph_says(graph_of: Graph, pictures: np.ndarray) -> None:
    nodes = [
        N("Quant", ["w", "scale", "zero", "bits"], ["q"], domain=GENERAL, signed=1, narrow=1, rounding_mode="ROUND"),
        N("Conv", ["image", "q"], ["y"], pads=[1, 1, 1, 1]),
    ]
    w = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
    constants = {"w": w, "scale": np.float32(1), "zero": np.float32(0), "bits": np.float32(3)}
    assert_same_everywhere(graph_of(nodes, constants, ["y"]), pictures, "exact")


def test_a_weight_at_the_edge_of_two_codes_is_rounded_as_it_is_stored(graph_of: Graph, pictures: np.ndarray) -> None:
    scale = np.float32(0.1018698439)
    halves = scale * (np.arange(1, 14, dtype=np.float32) + np.float32(0.5))
    weights = np.concatenate([np.nextafter(halves, np.float32(0)), halves, np.nextafter(halves, np.float32(9))])
    # Those whose quotient is another number in float32 than in float64.
    codes = np.round(weights / scale)
    weights = weights[codes != np.round(weights.astype(np.float64) / np.float64(scale))]
    assert len(weights) >= 3
    nodes = [
        N("Quant", ["w", "scale", "zero", "bits"], ["q"], domain=GENERAL, signed=1, narrow=1, rounding_mode="ROUND"),
        N("Conv", ["image", "q"], ["y"]),
    ]
    w = np.zeros((len(weights), 3, 1, 1), np.float32)
    w[:, 0, 0, 0] = weights
    constants = {"w": w, "scale": scale, "zero": np.float32(0), "bits": np.float32(5)}
    got = BatchExecutor(graph_of(nodes, constants, ["y"]), precision="float64").run(pictures)["y"]
    expected = pictures[:, None, :, :, 0] * (np.round(weights / scale).astype(np.float64) * scale)[:, None, None]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("case", ["integers", "one for all", "out of order", "fractions", "out of reach", "scaled"])
def test_thresholds(layout: str, case: str, graph_of: Graph, pictures: np.ndarray) -> None:
    limits = np.sort(np.random.default_rng(9).integers(1, 256, (3, 15)), axis=1).astype(np.float32)
    if case == "one for all":
        limits = limits[:1]
    elif case == "out of order":
        limits = limits[:, ::-1].copy()
    elif case == "fractions":
        limits -= np.float32(0.5)
    elif case == "out of reach":
        limits[:, 0], limits[:, -1] = -40.0, 1000.0
    scale, bias = (2.0, -3.0) if case == "scaled" else (1.0, 0.0)
    threshold = N("MultiThreshold", ["x", "t"], ["y"], domain=GENERAL, out_dtype="INT8", data_layout=layout,
                  out_scale=scale, out_bias=bias)  # fmt: skip
    order = [0, 2, 3, 1] if layout == "NHWC" else [0, 1, 2, 3]
    model = graph_of([N("Transpose", ["image"], ["x"], perm=order), threshold], {"t": limits}, ["y"])
    for precision in ("exact", "float64", "float32"):
        assert_same_everywhere(model, pictures, precision)


def test_thresholds_too_far_apart_for_a_table(graph_of: Graph, pictures: np.ndarray) -> None:
    factor = np.float32(TABLE_ENTRIES // 128)
    limits = np.sort(np.random.default_rng(2).integers(0, 255, (3, 15)), axis=1).astype(np.float32) * factor
    nodes = [
        N("Mul", ["image", "f"], ["x"]),
        N("MultiThreshold", ["x", "t"], ["y"], domain=GENERAL, out_dtype="UINT4", data_layout="NCHW"),
    ]
    assert_same_everywhere(graph_of(nodes, {"f": factor, "t": limits}, ["y"]), pictures)


def test_nothing_reaches_a_threshold_that_is_no_number(graph_of: Graph, pictures: np.ndarray) -> None:
    nodes = [
        N("Div", ["image", "zero"], ["x"]),
        N("MultiThreshold", ["x", "t"], ["y"], domain=GENERAL, out_dtype="UINT2", data_layout="NCHW"),
    ]
    model = graph_of(nodes, {"zero": np.float32(0), "t": np.array([[1, 2, 3]], np.float32)}, ["y"])
    with np.errstate(all="ignore"):
        # 0/0 at pixels of 0, infinity elsewhere.
        assert set(np.unique(BatchExecutor(model, precision="float64").run(pictures)["y"])) == {0.0, 3.0}


def test_sums_too_large_for_float32_stay_exact(graph_of: Graph, pictures: np.ndarray) -> None:
    weights = np.random.default_rng(4).integers(-(1 << 20), 1 << 20, (4, 3, 3, 3)).astype(np.float32)
    model = graph_of([N("Conv", ["image", "w"], ["y"])], {"w": weights}, ["y"])
    windows = np.lib.stride_tricks.sliding_window_view(pictures.astype(np.int64), (3, 3), axis=(1, 2))
    expected = np.einsum("nhwcij,ocij->nohw", windows, weights.astype(np.int64))
    np.testing.assert_array_equal(BatchExecutor(model).run(pictures)["y"], expected)
    # The same in float32 is wrong, so the choice of type is what the line above tests.
    assert (BatchExecutor(model, precision="float32").run(pictures)["y"] != expected).any()


def test_settings_of_pytorch_are_left_alone(residual: Graph, pictures: np.ndarray) -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        before, threads = torch.backends.mkldnn.matmul.fp32_precision, torch.get_num_threads()
        BatchExecutor(residual()).run(np.tile(pictures, (200, 1, 1, 1)))
        assert torch.get_num_threads() == threads
        assert torch.backends.mkldnn.matmul.fp32_precision == before
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_input_format(graph_of: Graph, pictures: np.ndarray) -> None:
    model = graph_of([N("Identity", ["image"], ["y"])], {}, ["y"])
    ordinary = BatchExecutor(model, precision="float64", input_format=UNIT).run(pictures)["y"]
    np.testing.assert_array_equal(ordinary, pictures.transpose(0, 3, 1, 2) / 255)
    foreign = InputFormat(255.0, (0.5, 0.25, 0.125), (0.2, 0.3, 0.4), "BGR")
    got = BatchExecutor(model, precision="float64", input_format=foreign).run(pictures)["y"]
    expected = (pictures[..., ::-1] / 255 - [0.5, 0.25, 0.125]) / [0.2, 0.3, 0.4]
    np.testing.assert_allclose(got, expected.transpose(0, 3, 1, 2), rtol=1e-15)


def refused(model: ModelWrapper, precision: str = "exact") -> str:
    with pytest.raises(UserError) as error:
        BatchExecutor(model, precision=precision)
    return str(error.value)


def test_what_is_not_exact_is_refused_by_name(graph_of: Graph) -> None:
    half = graph_of([N("Mul", ["image", "s"], ["y"], name="Mul_7")], {"s": np.float32(0.5)}, ["y"])
    assert "node Mul_7 (Mul): expected integers throughout" in refused(half)
    mean = graph_of([N("GlobalAveragePool", ["image"], ["y"], name="Mean_2")], {}, ["y"])
    assert "node Mean_2 (GlobalAveragePool): expected integers throughout" in refused(mean)
    huge = graph_of([N("Mul", ["image", "s"], ["y"], name="Huge_1")], {"s": np.float32(2.0**50)}, ["y"])
    assert "node Huge_1 (Mul): expected results below 2^53" in refused(huge)


def test_what_is_not_supported_is_refused_by_name(graph_of: Graph) -> None:
    sine = graph_of([N("Sin", ["image"], ["y"], name="Sin_4")], {}, ["y"])
    assert "node Sin_4 (Sin): expected an operator that runs in batches, got ai.onnx::Sin" in refused(sine)
    turned = graph_of([N("Transpose", ["image"], ["y"], perm=[1, 0, 2, 3], name="T_3")], {}, ["y"])
    assert "node T_3 (Transpose): expected an order that keeps the batch dimension first" in refused(turned)
    flat = graph_of([N("Reshape", ["image", "to"], ["y"], name="R_1")], {"to": np.array([3, 64])}, ["y"])
    assert "node R_1 (Reshape): expected a shape that keeps the batch dimension first" in refused(flat)
    summed = graph_of([N("ReduceSum", ["image", "all"], ["y"], name="S_1")], {"all": np.array([0, 1])}, ["y"])
    assert "node S_1 (ReduceSum): expected axes without the batch" in refused(summed)


def test_graphs_that_do_not_hang_together_are_refused(residual: Graph) -> None:
    model = residual()
    nodes = list(model.graph.node)
    swapped = onnx.ModelProto()
    swapped.CopyFrom(model.model)
    del swapped.graph.node[:]
    swapped.graph.node.extend([nodes[1], nodes[0], *nodes[2:]])
    with pytest.raises(UserError, match=r"\(MultiThreshold\): expected its input c0 computed before it"):
        BatchExecutor(swapped)
    with pytest.raises(UserError, match="expected a tensor nowhere"):
        BatchExecutor(model, {"tap": "nowhere"})


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 8, 8, 3), np.float32), np.zeros((1, 3, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8),
     np.zeros((1, 9, 8, 3), np.uint8)],
)  # fmt: skip
def test_what_is_no_batch_of_pictures_is_refused(images: np.ndarray, residual: Graph) -> None:
    with pytest.raises(UserError, match=r"images: expected uint8 \[N, 8, 8, 3\]"):
        BatchExecutor(residual()).run(images)
