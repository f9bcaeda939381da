"""One semantics, many executors: every form of a network gives the same integers, and a change to any is seen."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from cam_postproc.packet import decode_packets
from finn_build.errors import CheckFailed, UserError
from finn_build.executors.base import LOGITS, TAP, UNIT, Executor, Output
from finn_build.executors.batch import BatchExecutor
from finn_build.executors.brevitas import BrevitasExecutor, code_steps
from finn_build.executors.cam import PacketExecutor
from finn_build.executors.codes import CodeExecutor
from finn_build.executors.nodes import NodeExecutor
from finn_build.graph.activations import quantisers_to_thresholds
from finn_build.graph.streamline import streamline
from finn_build.stages.inputs import tap_of
from finn_build.verify.compare import require_equal
from finn_build.verify.layers import fidelity, layer_outputs, require_equal_layers
from finn_build.verify.rounding import require_close
from finn_build.verify.sweeps import require_equal_thresholds

ENDS = {TAP: Output("tap", "NCHW"), LOGITS: Output("logits")}
LAST = {TAP: Output("tap", "NHWC"), LOGITS: Output("logits")}


def codes(forms, executor: Executor) -> Executor:
    return CodeExecutor(executor, {TAP: forms.head.tap_scale, LOGITS: forms.head.logit_scale})


def scaled(forms, model: ModelWrapper, **options) -> Executor:
    outputs = {TAP: Output(tap_of(model), "NCHW"), LOGITS: Output(model.graph.output[0].name)}
    return codes(forms, BatchExecutor(model, outputs, **options))


INTEGER: dict[str, Callable[..., Executor]] = {
    "tidy in float64": lambda forms: scaled(forms, forms.tidy, precision="float64"),
    "integer in batches": lambda forms: BatchExecutor(forms.integer, dict(ENDS)),
    "lowered node by node": lambda forms: NodeExecutor(forms.lowered, dict(LAST)),
    "lowered in batches": lambda forms: BatchExecutor(forms.lowered, dict(LAST)),
}


@pytest.fixture(scope="session")
def reference(forms, images: np.ndarray) -> dict[str, np.ndarray]:
    """The golden reference: the streamlined integer graph, node by node."""
    return NodeExecutor(forms.integer, dict(ENDS)).run(images)


@pytest.mark.parametrize("name", INTEGER)
def test_integer_forms_agree_exactly(name: str, forms, images: np.ndarray, reference: dict[str, np.ndarray]) -> None:
    rows = require_equal("lower", reference, INTEGER[name](forms).run(images), limits={TAP: (0, 15)})
    assert [row.output for row in rows] == [TAP, LOGITS]


@pytest.mark.parametrize("kind", [NodeExecutor, BatchExecutor])
def test_hardware_agrees_exactly(kind, forms, images: np.ndarray, reference: dict[str, np.ndarray]) -> None:
    got = kind(forms.hardware, {LOGITS: Output(forms.hardware.graph.output[0].name)}).run(images)[LOGITS]
    require_equal("hardware", {LOGITS: reference[LOGITS]}, {LOGITS: got.reshape(reference[LOGITS].shape)})


@pytest.mark.parametrize("form", ["integer", "lowered", "hardware"])
def test_batches_agree_with_nodes_on_every_tensor(form: str, forms, images: np.ndarray) -> None:
    model = getattr(forms, form)
    expected, got = NodeExecutor(model).run_all(images), BatchExecutor(model).run_all(images)
    assert len(require_equal("lower", expected, got)) > len(model.graph.node)


def test_brevitas_and_qonnx_agree_but_for_near_ties(forms, images: np.ndarray) -> None:
    rows, checks, layers = fidelity(forms.network, forms.exported, images, lambda _: None)
    assert [row.stage for row in rows] == ["qonnx"] * 3
    assert all(row.passed for row in rows)
    assert all(check.passed for check in checks)
    assert [layer.name for layer in layers[:3]] == ["stem_act", "groups.0.0.shortcut", "groups.0.0.first_act"]
    assert layers[-1].name == LOGITS
    for layer in layers:
        assert layer.mse_brevitas > 0
        assert layer.mse_qonnx == pytest.approx(layer.mse_brevitas, rel=0.05)


def test_brevitas_is_the_integer_graph_but_for_near_ties(forms, images: np.ndarray, reference) -> None:
    got = codes(forms, BrevitasExecutor(forms.network)).run(images)
    # One flip moves single codes of single images; scales, weights or thresholds that differ move all.
    assert np.mean(got[TAP] != reference[TAP]) < 0.02
    assert np.mean((got[LOGITS] != reference[LOGITS]).any(axis=1)) < 0.5


@pytest.mark.parametrize("model", ["integer", "csim"])
def test_packets_carry_the_reference(model, forms, images: np.ndarray, reference, tmp_path: Path) -> None:
    spec = forms.head.cam_spec(16, "half-pixel")
    forms.integer.save(str(tmp_path / "integer.onnx"))
    got = PacketExecutor(tmp_path / "integer.onnx", forms.head, spec, model, tmp_path).run(images)
    packets = decode_packets(spec.layout, got["packet"])
    require_equal("cam", reference, {TAP: got[TAP], LOGITS: packets.logits})
    if model == "integer":
        node = NodeExecutor(forms.accelerator, {"packet": forms.accelerator.graph.output[0].name}).run(images)
        expected = got["packet"].copy()
        expected[:, 12:16] = 0  # a graph computes every image as its first frame
        require_equal("cam", {"packet": expected}, {"packet": node["packet"].reshape(expected.shape)})


def test_layers_and_thresholds_agree_in_every_form(forms, images: np.ndarray) -> None:
    values = BatchExecutor(forms.integer, dict(layer_outputs(forms.integer))).run(images)
    for stage, model in (("lower", forms.lowered), ("hardware", forms.hardware)):
        found = NodeExecutor(model, dict(layer_outputs(model))).run(images)
        assert len(require_equal_layers(stage, forms.integer, values, model, found)) == 9
        assert len(require_equal_thresholds(stage, forms.integer, model)) == 9


# From here on: something is broken, and the comparison names it.


def changed(model: ModelWrapper, op: str, index: int, change: Callable[[np.ndarray], None]) -> ModelWrapper:
    """A copy of a graph with the second input of its index-th node of a kind changed in place."""
    model = copy.deepcopy(model)
    node = [n for n in model.graph.node if n.op_type == op][index]
    values = np.array(model.get_initializer(node.input[1]))
    change(values)
    model.set_initializer(node.input[1], values)
    return model


def failure(stage: str, reference: dict[str, np.ndarray], executor: Executor, images: np.ndarray) -> str:
    with pytest.raises(CheckFailed) as error:
        require_equal(stage, reference, executor.run(images))
    assert error.value.stage == stage
    return error.value.what


def flip_sign(values: np.ndarray) -> None:
    at = np.unravel_index(np.abs(values).argmax(), values.shape)
    values[at] *= -1


def test_a_flipped_weight(forms, images: np.ndarray, reference) -> None:
    model = changed(forms.lowered, "MatMul", 2, flip_sign)
    assert failure("lower", reference, BatchExecutor(model, dict(LAST)), images).startswith("output tap at [")


def test_a_flipped_classifier_weight(forms, images: np.ndarray, reference) -> None:
    model = changed(forms.lowered, "MatMul", -1, flip_sign)
    assert failure("lower", reference, BatchExecutor(model, dict(LAST)), images).startswith("output logits at [")


def test_swapped_channels(forms, images: np.ndarray, reference) -> None:
    def swap(values: np.ndarray) -> None:
        values[:, [0, 1]] = values[:, [1, 0]]

    model = changed(forms.lowered, "MatMul", 4, swap)
    assert failure("lower", reference, NodeExecutor(model, dict(LAST)), images).startswith("output tap at [")


def test_a_shifted_threshold(forms) -> None:
    def shift(values: np.ndarray) -> None:
        values[1, 7] += 1

    model = changed(forms.hardware, "Thresholding", 3, shift)
    with pytest.raises(
        CheckFailed, match=r"stage hardware: sweep of layer \d .*, channel 1, input .*: expected .* got"
    ):
        require_equal_thresholds("hardware", forms.integer, model)


def test_a_wrong_stride(forms, images: np.ndarray, reference) -> None:
    model = copy.deepcopy(forms.lowered)
    # The map becomes larger than the graph states, and no longer fits the other branch.
    strides = [a for n in model.graph.node if n.op_type == "Im2Col" for a in n.attribute if a.name == "stride"]
    stride = next(a for a in strides if list(a.ints) == [2, 2])
    stride.ints[:] = [1, 1]
    with pytest.raises(CheckFailed, match=r"stage lower: node Im2Col_\d .* stated as \[1, 8, 8, .* as \[1, 16, 16"):
        NodeExecutor(model, dict(LAST), stage="lower").run(images)
    with pytest.raises(UserError, match=r"node Add_\d \(Add\): expected inputs and attributes that fit together, got"):
        BatchExecutor(model, dict(LAST))


def test_a_wrong_padding(forms, images: np.ndarray, reference) -> None:
    model = copy.deepcopy(forms.lowered)
    node = next(n for n in model.graph.node if n.op_type == "Im2Col")
    value = next((a for a in node.attribute if a.name == "pad_value"), None)
    if value is not None:
        node.attribute.remove(value)
    node.attribute.append(helper.make_attribute("pad_value", 1))
    assert failure("lower", reference, BatchExecutor(model, dict(LAST)), images).startswith("output tap at [")


def test_swapped_passes(forms, images: np.ndarray, reference) -> None:
    """Thresholds rounded before their scales are absorbed, instead of after."""
    early = quantisers_to_thresholds(forms.tidy)
    for node in early.graph.node:
        if node.op_type == "MultiThreshold":
            early.set_initializer(node.input[1], np.ceil(early.get_initializer(node.input[1])))
    integer, _ = streamline(early)
    assert failure("streamline", reference, BatchExecutor(integer, dict(ENDS)), images).startswith("output tap at [")


def test_an_export_with_another_weight(forms, images: np.ndarray) -> None:
    steps = code_steps(forms.network)
    tap = list(steps)[-1]
    exact = {k: v for k, v in BrevitasExecutor(forms.network).run_all(images).items() if k != TAP}
    outputs = {name: Output(name, "NCHW") for name in steps} | {LOGITS: Output(LOGITS)}
    model = copy.deepcopy(forms.qonnx)
    quantised = model.find_producer([n for n in model.graph.node if n.op_type == "Conv"][1].input[1])
    name = quantised.input[0]
    weights = np.array(model.get_initializer(name))
    weights[3] = -weights[3]
    model.set_initializer(name, weights)
    executor = NodeExecutor(model, dict(outputs), UNIT)
    forced = executor.run_forced(images, outputs, {layer: exact[layer] for layer in steps})
    with pytest.raises(CheckFailed, match=r"stage qonnx: output groups.0.0.first_act at \[\d+, \d+, \d+, 3\]"):
        require_close(exact, forced, {k: executor.run(images)[k] for k in (tap, LOGITS)}, steps, tap, LOGITS)
