import hashlib
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from model_helpers import LABELS, random_images, small_network
from onnx import TensorProto, helper, numpy_helper

from models.cam_head import NAMES, Check, check_adds, check_cam_head, require
from models.errors import ModelError
from models.evaluate import evaluate
from models.export import ExportResult, activations_of, export_qonnx, head_of, integers_of
from models.network import Arithmetic, QuantResNet


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[QuantResNet, ExportResult]:
    network = small_network()
    return network, export_qonnx(network, 16, LABELS, tmp_path_factory.mktemp("export"))


def load(exported: tuple[QuantResNet, ExportResult]) -> onnx.ModelProto:
    return onnx.load(exported[1].model)


def test_the_graph_computes_what_brevitas_computes(exported: tuple[QuantResNet, ExportResult]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        network, result = exported
        model = ModelWrapper(str(result.model)).transform(InferShapes())
        images = random_images(1)
        x = (images.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
        found = execute_onnx(model, {"image": x}, return_full_exec_context=True)
    wanted = activations_of(network, images)
    assert list(wanted)[-2:] == [result.tap, "logits"]
    for name, values in wanted.items():
        assert np.allclose(found[name], values, atol=1e-5), name


def test_the_model_has_one_input_one_output_and_no_trace_of_the_machine(
    exported: tuple[QuantResNet, ExportResult],
) -> None:
    model = load(exported)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["logits"]
    assert str(Path(__file__).parents[2]).encode() not in exported[1].model.read_bytes()
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    names = {name for node in model.graph.node for name in node.output}
    assert {"pixels", "stem_act", "groups.0.0.branch", "groups.1.0.out_act"} <= names


def test_the_same_network_gives_the_same_bytes_and_is_left_as_it_was(
    exported: tuple[QuantResNet, ExportResult], tmp_path: Path
) -> None:
    network, result = exported
    before = activations_of(network, random_images(2))
    again = export_qonnx(network, 16, LABELS, tmp_path)
    for old, new in ((result.model, again.model), (result.head, again.head)):
        assert hashlib.sha256(old.read_bytes()).digest() == hashlib.sha256(new.read_bytes()).digest()
    after = activations_of(network, random_images(2))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_head_npz_holds_the_contract(exported: tuple[QuantResNet, ExportResult]) -> None:
    with np.load(exported[1].head, allow_pickle=False) as head:
        assert head["fc_weight"].dtype == np.int8
        assert head["fc_weight"].shape == (3, 16)
        assert np.abs(head["fc_weight"]).max() == 7
        assert head["bias"].dtype == np.int32
        assert not head["bias"].any()
        assert head["weight_scale"].dtype == head["tap_scale"].dtype == np.float64
        assert head["tap_shape"].tolist() == [1, 8, 8, 16]
        assert int(head["tap_bits"]) == 4
        assert head["labels"].tolist() == LABELS


def test_integer_logits_are_the_float_ones(exported: tuple[QuantResNet, ExportResult]) -> None:
    network, _ = exported
    images = random_images(8)
    tap, logits = integers_of(network, images)
    head = head_of(network, 16, LABELS)
    floats = activations_of(network, images)
    assert np.allclose(logits * head.weight_scale * head.tap_scale / 64, floats["logits"], atol=1e-5)
    assert np.allclose(tap * head.tap_scale, floats["groups.1.0.out_act"].transpose(0, 2, 3, 1), atol=1e-5)
    maps = np.einsum("nhwk,ck->nchw", tap.astype(np.int64), head.fc_weight)
    assert np.array_equal(maps.sum(axis=(2, 3)), logits)
    assert tap.max() <= 15


def test_float_activations_have_the_same_names(exported: tuple[QuantResNet, ExportResult]) -> None:
    network, _ = exported
    images = random_images(2)
    quantised, floats = activations_of(network, images), activations_of(network, images, Arithmetic.FLOAT)
    assert list(quantised) == list(floats)
    assert not np.array_equal(quantised["stem_act"], floats["stem_act"])


def test_dead_and_negative_channels_export(tmp_path: Path) -> None:
    network = small_network()
    with torch.no_grad():
        network.stem.norm.weight[0] = 0.0
        network.stem.norm.weight[1] *= -1.0
        network.groups[0][0].second.norm.weight.zero_()  # type: ignore[index]
    result = export_qonnx(network, 16, LABELS, tmp_path)
    assert all(check.passed for check in result.checks)


def test_wrong_labels_are_refused(network: QuantResNet, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="3 labels, got 2"):
        export_qonnx(network, 16, LABELS[:2], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_condition_is_met_by_the_family(exported: tuple[QuantResNet, ExportResult]) -> None:
    model = load(exported)
    assert tuple(check.name for check in check_cam_head(model)) == NAMES
    assert len(check_adds(model)) == 2
    assert all(check.passed for check in check_cam_head(model) + check_adds(model))


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def pick(model: onnx.ModelProto, op_type: str, index: int = 0) -> onnx.NodeProto:
    return [node for node in model.graph.node if node.op_type == op_type][index]


def fail_pooling(model: onnx.ModelProto) -> None:
    pick(model, "ReduceMean").op_type = "ReduceMax"


def fail_whole_map(model: onnx.ModelProto) -> None:
    name = pick(model, "ReduceMean").input[1]
    initializer(model, name).CopyFrom(numpy_helper.from_array(np.array([2]), name))


def fail_requantised(model: onnx.ModelProto) -> None:
    tap, gemm = pick(model, "Quant", -2), pick(model, "Gemm")
    assert tap.output[0].endswith("out_act")
    extra = onnx.NodeProto()
    extra.CopyFrom(tap)
    extra.name, extra.input[0], extra.output[0] = "Quant_extra", gemm.input[0], "requantised"
    gemm.input[0] = "requantised"
    model.graph.node.append(extra)


def fail_per_tensor(model: onnx.ModelProto) -> None:
    weights = pick(model, "Quant", -1)
    model.graph.initializer.append(numpy_helper.from_array(np.full((3, 1), 0.1, np.float32), "scales"))
    weights.input[1] = "scales"


def fail_bias(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "fc_bias"))
    pick(model, "Gemm").input.append("fc_bias")


def fail_bias_as_add(model: onnx.ModelProto) -> None:
    gemm = pick(model, "Gemm")
    gemm.op_type, gemm.output[0] = "MatMul", "product"
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "fc_bias"))
    model.graph.node.append(helper.make_node("Add", ["product", "fc_bias"], ["logits"], name="bias"))


def fail_weights(model: onnx.ModelProto) -> None:
    weights = pick(model, "Quant", -1)
    next(attribute for attribute in weights.attribute if attribute.name == "narrow").i = 0
    tensor = initializer(model, weights.input[0])
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) - 100, tensor.name))


def fail_tap(model: onnx.ModelProto) -> None:
    next(attribute for attribute in pick(model, "Quant", -2).attribute if attribute.name == "signed").i = 1


@pytest.mark.parametrize(
    ("break_it", "condition"),
    [
        (fail_pooling, 0),
        (fail_whole_map, 0),
        (fail_requantised, 1),
        (fail_per_tensor, 2),
        (fail_bias, 3),
        (fail_bias_as_add, 3),
        (fail_weights, 4),
        (fail_tap, 5),
    ],
)
def test_each_condition_can_fail(exported, break_it, condition: int) -> None:  # type: ignore[no-untyped-def]
    model = load(exported)
    break_it(model)
    failed = [check.name for check in check_cam_head(model) if not check.passed]
    assert failed == [NAMES[condition]]
    with pytest.raises(ModelError, match=NAMES[condition]):
        require(check_cam_head(model), "model.onnx")


def test_a_graph_without_a_classifier_fails_every_condition_it_cannot_see() -> None:
    node = helper.make_node("Relu", ["image"], ["logits"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("image", "logits")]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]))
    passed = [check.name for check in check_cam_head(model) if check.passed]
    assert passed == [NAMES[1], NAMES[3]]


def test_branches_of_another_scale_or_sign_are_named(exported: tuple[QuantResNet, ExportResult]) -> None:
    def failing(change: str) -> list[Check]:
        model = load(exported)
        side = next(node for node in model.graph.node if node.output[0] == "groups.0.0.branch")
        if change == "scale":
            model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "other"))
            side.input[1] = "other"
        elif change == "sign":
            next(attribute for attribute in side.attribute if attribute.name == "signed").i = 0
        else:
            pick(model, "Add").input[0] = side.input[0]
        return [check for check in check_adds(model) if not check.passed]

    for change, measured in (("scale", "INT4 at 0.5 and"), ("sign", "UINT4"), ("none", "unquantised")):
        (check,) = failing(change)
        assert "Add_0" in check.name
        assert measured in check.measured


def test_confusion_counts_every_image(network: QuantResNet) -> None:
    from model_helpers import random_dataset

    data = random_dataset(50)
    result = evaluate(network, data, batch=16)
    assert result.images == result.confusion.sum() == 50
    assert result.confusion.sum(axis=1).tolist() == np.bincount(data.labels, minlength=3).tolist()
    predicted = integers_of(network, data.images)[1].argmax(axis=1)
    assert result.accuracy == pytest.approx(float((predicted == data.labels).mean()))
