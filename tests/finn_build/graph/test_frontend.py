import numpy as np
import pytest
from graph_helpers import SIZE, copy, images, network, node_of, run
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import UserError
from finn_build.executors.base import InputFormat, Output
from finn_build.executors.batch import BatchExecutor
from finn_build.graph.cleanup import clean
from finn_build.graph.frontend import Preprocessing, raw_pixel_input
from finn_build.graph.opset import raise_opset, read_network
from finn_build.graph.pixels import integer_thresholds
from finn_build.graph.streamline import streamline
from finn_build.graph.tidy import tidy

MEAN, STD = (0.49, 0.48, 0.44), (0.2, 0.25, 0.3)


def test_the_pixel_quantiser_becomes_a_scale() -> None:
    model, report = raw_pixel_input(clean(network()), SIZE, Preprocessing())
    assert report.form == "scale"
    assert report.datatype == "UINT8"
    assert [node.op_type for node in model.graph.node if "image" in node.input] == ["Mul"]
    assert model.get_tensor_datatype("image").name == "UINT8"


@pytest.mark.parametrize(
    ("quantiser", "layout", "order"),
    [("signed", "NCHW", "RGB"), ("signed", "NCHW", "BGR"), ("signed", "NHWC", "BGR"), ("normalised", "NHWC", "RGB")],
)
def test_preprocessing_is_folded_into_thresholds(order: str, layout: str, quantiser: str) -> None:
    start = network(input_quant=quantiser, channels_last=layout == "NHWC")
    tidied, report = tidy(start, SIZE, Preprocessing(MEAN, STD, layout, order))  # type: ignore[arg-type]
    assert report.input.form == "thresholds"
    fed = InputFormat(255.0, MEAN, STD, order)  # type: ignore[arg-type]
    expected = run(start, "float64", fed)["y"]
    assert np.abs(run(tidied, "float64")["logits"] - expected).max() < 1e-5
    # Channels last all the way to the convolution: hardware has no Transpose.
    assert "Transpose" not in {node.op_type for node in tidied.graph.node}
    wrong = InputFormat(255.0, MEAN, STD, "BGR" if order == "RGB" else "RGB")
    assert np.abs(run(start, "float64", wrong)["y"] - expected).max() > 0.1


def test_thresholds_agree_with_the_quantiser_at_every_pixel() -> None:
    model, report = raw_pixel_input(clean(network(input_quant="signed")), SIZE, Preprocessing(MEAN, STD))
    thresholds = report.thresholds
    assert thresholds is not None
    assert thresholds.shape == (3, 31)
    for channel in range(3):
        pixels = np.arange(256, dtype=np.float32)
        value = (pixels / np.float32(255) - np.float32(MEAN[channel])) / np.float32(STD[channel])
        codes = np.clip(np.rint(value / np.float32(0.15)), -16, 15)
        assert np.array_equal((pixels[:, None] >= thresholds[channel]).sum(axis=1) - 16, codes)
    assert node_of(model, "MultiThreshold").input[0] == "image"


def test_codes_that_fall_are_refused() -> None:
    with pytest.raises(UserError, match=r"rise with the pixel.*a fall in channel 0"):
        integer_thresholds(np.array([[0, 1, 0]]), 3, "q")
    with pytest.raises(UserError, match="rise with the pixel"):
        raw_pixel_input(clean(network(input_quant="signed")), SIZE, Preprocessing(MEAN, (-0.2, 0.2, 0.2)))


def test_unreached_thresholds_lie_beyond_all_pixels() -> None:
    assert integer_thresholds(np.array([[0, 0, 1, 1]]), 3, "q").tolist() == [[2, 4, 4]]


def test_an_input_without_quantiser_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="network input x: expected a quantiser on the image, got Conv") as caught:
        tidy(network(input_quant="none"), SIZE, Preprocessing())
    assert "\n" not in str(caught.value)
    assert "QuantIdentity" in str(caught.value)


def test_another_size_or_layout_is_refused() -> None:
    with pytest.raises(UserError, match=r"expected NCHW \[1, 3, 16, 16\], got \[1, 3, 8, 8\]"):
        tidy(network(), 16, Preprocessing())
    with pytest.raises(UserError, match=r"expected NHWC"):
        tidy(network(), SIZE, Preprocessing(layout="NHWC"))


def test_an_open_batch_size_becomes_one() -> None:
    model = network()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    tidied, _ = tidy(model, SIZE, Preprocessing())
    assert tidied.get_tensor_shape("image") == [1, 3, SIZE, SIZE]
    assert np.array_equal(
        run(tidied, "float64")["logits"], run(tidy(network(), SIZE, Preprocessing())[0], "float64")["logits"]
    )
    assert streamline(tidied)[1].positions == 16


def test_a_second_reader_of_the_image_is_refused() -> None:
    model = network()
    model.graph.node.append(helper.make_node("Relu", ["x"], ["other"], "other"))
    with pytest.raises(UserError, match="other"):
        tidy(model, SIZE, Preprocessing())


def test_a_quantiser_with_zero_point_or_flooring_is_refused() -> None:
    model = network()
    quantiser = [node for node in model.graph.node if node.op_type == "Quant"][2]
    shifted = copy(model)
    shifted.set_initializer(quantiser.input[2], np.float32(3))
    with pytest.raises(UserError, match="zero point 0, got 3"):
        streamline(tidy(shifted, SIZE, Preprocessing())[0])
    floored = copy(model)
    target = next(node for node in floored.graph.node if node.name == quantiser.name)
    next(a for a in target.attribute if a.name == "rounding_mode").s = b"FLOOR"
    with pytest.raises(UserError, match="rounding_mode ROUND, got FLOOR"):
        streamline(tidy(floored, SIZE, Preprocessing())[0])


def finn_onnx() -> ModelWrapper:
    """MultiThreshold, Add, Mul, Conv and the reshaping of old exporters: opset 9, FINN's old domain."""
    rng = np.random.default_rng(5)
    old = "finn.custom_op.general"
    nodes = [
        helper.make_node("MultiThreshold", ["x", "t"], ["a"], "m0", domain=old, out_dtype="INT4"),
        helper.make_node("Add", ["a", "low"], ["b"], "a0"),
        helper.make_node("Mul", ["b", "step"], ["c"], "s0"),
        helper.make_node("Conv", ["c", "w"], ["d"], "c0", kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1],
                         group=1, dilations=[1, 1]),
        helper.make_node("MultiThreshold", ["d", "t1"], ["e"], "m1", domain=old, out_dtype="UINT4"),
        helper.make_node("Mul", ["e", "step1"], ["f"], "s1"),
        helper.make_node("Pad", ["f"], ["g"], "p0", mode="constant", pads=[0] * 8, value=0.0),
        helper.make_node("AveragePool", ["g"], ["h"], "p1", kernel_shape=[8, 8], strides=[8, 8], pads=[0] * 4),
        helper.make_node("Shape", ["h"], ["s"], "h0"),
        helper.make_node("Gather", ["s", "zero"], ["n"], "h1", axis=0),
        helper.make_node("Unsqueeze", ["n"], ["n1"], "h2", axes=[0]),
        helper.make_node("Concat", ["n1", "minus"], ["r"], "h3", axis=0),
        helper.make_node("Reshape", ["h", "r"], ["k"], "h4"),
        helper.make_node("MatMul", ["k", "fc"], ["l"], "f0"),
        helper.make_node("Mul", ["l", "step2"], ["y"], "s2"),
    ]  # fmt: skip
    constants = {
        "t": np.sort(rng.normal(0, 1, (3, 15)), axis=1), "low": np.array(-8.0), "step": np.array(0.3),
        "w": rng.integers(-7, 8, (4, 3, 3, 3)), "t1": np.sort(rng.normal(0, 20, (4, 15)), axis=1),
        "step1": np.array(0.2), "fc": rng.integers(-7, 8, (4, 5)), "step2": np.array(0.05),
    }  # fmt: skip
    initialisers = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    initialisers += [numpy_helper.from_array(np.array(0), "zero"), numpy_helper.from_array(np.array([-1]), "minus")]
    graph = helper.make_graph(
        nodes, "old", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])], initialisers,
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9), helper.make_opsetid(old, 1)])
    proto.ir_version = 6
    for name in ("w", "fc"):
        annotation = proto.graph.quantization_annotation.add()
        annotation.tensor_name = name
        annotation.quant_parameter_tensor_names.add(key="finn_datatype", value="INT4")
    return proto


def test_an_old_finn_onnx_file_takes_todays_form(tmp_path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(finn_onnx().SerializeToString())
    tidied, report = tidy(read_network(path), SIZE, Preprocessing(MEAN, STD))
    assert {entry.domain: entry.version for entry in tidied.model.opset_import}[""] >= 13
    assert all(not node.domain.startswith("finn") for node in tidied.graph.node)
    assert [node.op_type for node in tidied.graph.node][-4:] == ["GlobalAveragePool", "Flatten", "MatMul", "Mul"]
    assert report.input.thresholds is not None
    start = clean(read_network(path))
    fed = InputFormat(255.0, MEAN, STD)
    expected = BatchExecutor(start, {"y": Output("y")}, "float64", fed).run(images())["y"]
    assert np.abs(run(tidied, "float64")["logits"] - expected).max() < 1e-5


def test_an_old_operator_that_changed_is_refused() -> None:
    proto = finn_onnx()
    proto.graph.node[6].attribute[1].ints[:] = [0, 0, 1, 1, 0, 0, 1, 1]
    for node in proto.graph.node:
        node.domain = node.domain.replace("finn.", "qonnx.")
    with pytest.raises(UserError, match="opset 13 or later, got Pad of opset 9"):
        raise_opset(ModelWrapper(proto))


def test_what_is_no_onnx_file_is_refused_in_one_line(tmp_path) -> None:
    for name, data in (("empty.onnx", b""), ("noise.onnx", b"\x08\x01not a graph" * 20)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=name):
            read_network(tmp_path / name)
    whole = finn_onnx().SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="an ONNX file"):
        read_network(tmp_path / "cut.onnx")
    with pytest.raises(UserError, match="readable ONNX file"):
        read_network(tmp_path / "missing.onnx")
