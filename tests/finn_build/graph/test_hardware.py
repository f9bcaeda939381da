import re

import numpy as np
import pytest
from graph_helpers import PART, SIZE, chain, copy, images, node_of, run
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from cam_postproc.packet import decode_packets
from finn_build.adapter import apply_passes, quiet
from finn_build.errors import CheckFailed, UserError
from finn_build.graph.hardware import nodes_outside_hardware, to_hardware
from finn_build.graph.partition import partition
from finn_build.graph.specialise import compare_twins, specialise
from finn_build.graph.tap import cut_at_tap
from finn_build.graph.walk import SHARED_THRESHOLDS, attributes
from finn_build.graph.widths import minimise_widths, narrow_range_type, threshold_type
from finn_build.nodes.cam import CamNode


def execute(model, picture: np.ndarray) -> np.ndarray:
    """Node by node in FINN's own Python."""
    with quiet():
        result = execute_onnx(model, {"image": picture[None].astype(np.float32)})
    return np.asarray(next(iter(result.values())))


def packet_of(c, model, picture: np.ndarray):
    layout = CamNode(c.head, (SIZE, SIZE)).spec.layout
    return decode_packets(layout, execute(model, picture).astype(np.uint8))


@pytest.mark.parametrize("options", [{}, {"max_pool": True}])
def test_every_head_computes_what_the_lowered_graph_does(options: dict[str, object], tmp_path) -> None:
    c = chain(**options)
    expected, picture = run(c.lowered), images()[0]
    tap = to_hardware(c.lowered, "tap")
    assert np.array_equal(execute(tap, picture), expected["tap"][:1])
    logits = to_hardware(c.lowered, "logits")
    assert np.array_equal(execute(logits, picture).reshape(1, -1), expected["logits"][:1])
    parts = partition(c.hardware, tmp_path)
    for model in (c.hardware, parts.child, c.generic):
        assert np.array_equal(packet_of(c, model, picture).logits, expected["logits"][:1])
    assert nodes_outside_hardware(c.hardware) == []
    assert [node.op_type for node in parts.parent.graph.node] == ["StreamingDataflowPartition"]
    assert (parts.child.graph.input[0].name, parts.child.graph.output[0].name) == ("image", "packet")
    assert str(tmp_path) not in str(parts.parent.model)


def test_a_float_node_between_is_named_with_its_tensor(tmp_path) -> None:
    model = copy(chain().lowered)
    node = node_of(model, "MultiThreshold", 1)
    inserted = helper.make_node("Sqrt", [node.output[0]], ["root"], "Sqrt_0")
    for reader in model.find_consumers(node.output[0]):
        reader.input[list(reader.input).index(node.output[0])] = "root"
    model.graph.node.insert(list(model.graph.node).index(node) + 1, inserted)
    model.set_tensor_shape("root", model.get_tensor_shape(node.output[0]))
    model.set_tensor_datatype("root", DataType["FLOAT32"])
    with pytest.raises(
        UserError, match=r"node Sqrt_0.* expected a dataflow layer, got none, because of float tensor root"
    ):
        to_hardware(model, "tap")
    assert ("Sqrt_0 (Sqrt)", "float tensor root") in nodes_outside_hardware(model)
    with pytest.raises(UserError, match="expected a dataflow layer"):
        partition(model, tmp_path)


def test_an_operator_without_layer_is_named() -> None:
    model = copy(chain().lowered)
    node = node_of(model, "MultiThreshold", 1)
    model.graph.node.insert(0, helper.make_node("Abs", ["image"], ["ab"], "Abs_0"))
    model.set_tensor_shape("ab", model.get_tensor_shape("image"))
    model.set_tensor_datatype("ab", DataType["UINT8"])
    assert ("Abs_0 (Abs)", "operator Abs, which has no layer") in nodes_outside_hardware(model)
    assert node.op_type == "MultiThreshold"


def test_a_signed_quantiser_without_offset_is_refused() -> None:
    model = copy(chain().lowered)
    signed = next(
        n for n in model.graph.node if n.op_type == "MultiThreshold" and getCustomOp(n).get_nodeattr("out_bias")
    )
    getCustomOp(signed).set_nodeattr("out_bias", 0.0)
    with pytest.raises(UserError, match="a negative lowest code with a signed type, got 0"):
        to_hardware(model, "tap")


def test_thresholds_absorbed_by_a_swapped_pass_are_caught() -> None:
    """Matrix products inferred before thresholds take them in, which their RTL cannot."""
    from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
    from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
    from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
        InferElementwiseBinaryOperation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer

    swapped = apply_passes(
        cut_at_tap(chain().lowered),
        [
            InferQuantizedMatrixVectorActivation(),
            InferThresholdingLayer(),
            InferConvInpGen(),
            InferElementwiseBinaryOperation(),
            InferDuplicateStreamsLayer(),
        ],
    )
    assert np.array_equal(execute(swapped, images()[0]), run(chain().lowered)["tap"][:1])
    with pytest.raises(CheckFailed, match="MVAU_hls_0 became HLS, though MVAU has RTL"):
        specialise(swapped, PART)


def test_every_layer_that_has_rtl_becomes_rtl() -> None:
    specialised, variants = specialise(chain().generic, PART)
    backends = {variant.op: variant.backend for variant in variants}
    assert {op for op, backend in backends.items() if backend == "rtl"} == {
        "MVAU", "Thresholding", "ConvolutionInputGenerator", "FMPadding"
    }  # fmt: skip
    assert all(variant.reason for variant in variants if variant.backend == "hls")
    assert len(specialised.graph.node) == len(chain().generic.graph.node)


def test_thresholds_that_all_channels_share_are_marked() -> None:
    specialised, _ = specialise(chain().generic, PART)
    marks = {}
    for node in specialised.graph.node:
        if node.op_type == "Thresholding_rtl":
            rows = np.unique(specialised.get_initializer(node.input[1]), axis=0)
            marks[node.name] = attributes(node).get(SHARED_THRESHOLDS, 0), int(len(rows) == 1)
    assert all(marked == same for marked, same in marks.values())
    assert {marked for marked, _ in marks.values()} == {0, 1}


def spoilt_attribute(model) -> None:
    getCustomOp(node_of(model, "MVAU_rtl")).set_nodeattr("MW", 28)


def spoilt_constant(model) -> None:
    node = node_of(model, "Thresholding_rtl", 1)
    values = model.get_initializer(node.input[1]).copy()
    values[0, 2] += 1
    model.set_initializer(node.input[1], values)


def spoilt_type(model) -> None:
    model.set_tensor_datatype(node_of(model, "MVAU_rtl").output[0], DataType["INT31"])


def spoilt_wiring(model) -> None:
    node_of(model, "MVAU_rtl", 1).input[0] = "image"


def spoilt_operator(model) -> None:
    node_of(model, "MVAU_rtl", 1).op_type = "VVAU_rtl"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (spoilt_attribute, "MVAU_rtl_0 .* attribute MW is 28 instead of 27"),
        (spoilt_constant, r"Thresholding_rtl_1 .* constant .* differs at \[0, 2\]"),
        (spoilt_type, "MVAU_rtl_0 .* type of .* is INT31 instead of"),
        (spoilt_wiring, "MVAU_rtl_1 .* connected otherwise"),
        (spoilt_operator, "operator VVAU_rtl instead of a variant of MVAU"),
    ],
)
def test_a_specialised_node_unlike_its_twin_is_found(spoil, expected: str) -> None:
    generic = chain().generic
    specialised, _ = specialise(generic, PART)
    assert compare_twins(generic, specialised) == []
    spoil(specialised)
    found = compare_twins(generic, specialised)
    assert len(found) >= 1
    assert any(re.search(expected, line) for line in found), found


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (-15, 15, "INT5"),
        (-8, 7, "INT5"),
        (-7, 7, "INT4"),
        (-1, 1, "INT2"),
        (0, 0, "INT2"),
        (-2, 1, "INT3"),
        (0, 8, "INT5"),
    ],
)
def test_weights_get_a_narrow_range_type(low: int, high: int, name: str) -> None:
    assert narrow_range_type(low, high).name == name


def test_finns_own_minimisation_would_lose_the_rtl() -> None:
    """The trap: weights of [-8, 7] become INT4, and the layer silently HLS."""
    from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth

    model = copy(chain(bits=5).hardware)
    node = node_of(model, "MVAU", 1)
    weights = np.clip(model.get_initializer(node.input[1]), -8, 7)
    weights[0, 0] = -8
    model.set_initializer(node.input[1], weights)
    kept, widths = minimise_widths(model)
    assert widths[1].weights == "INT5"
    assert {variant.backend for variant in specialise(kept, PART)[1] if variant.op == "MVAU"} == {"rtl"}
    with pytest.raises(CheckFailed, match=r"MVAU_hls_\d became HLS"):
        specialise(apply_passes(model, [MinimizeWeightBitWidth()]), PART)


@pytest.mark.parametrize(
    ("low", "high", "source", "name"),
    [
        (-100, 90, "INT12", "INT8"),
        (-128, 90, "INT12", "INT9"),  # one less than the lowest must stay below it
        (-128, 90, "INT8", "INT8"),
        (0, 256, "UINT8", "UINT9"),
        (3, 100, "INT12", "INT8"),
        (-2048, 2048, "INT12", "INT13"),
    ],
)
def test_threshold_types_survive_saturation(low: int, high: int, source: str, name: str) -> None:
    kind = threshold_type(low, high, DataType[source])
    assert kind.name == name
    if kind.bitwidth() < DataType[source].bitwidth():
        assert kind.min() < low
    assert kind.max() >= high
