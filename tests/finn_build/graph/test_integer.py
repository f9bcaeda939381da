import numpy as np
import pytest
from graph_helpers import SIZE, chain, copy, network, node_of, pooled_tensor, run, tap_output, tidied_of
from onnx import helper
from qonnx.core.datatype import DataType

from finn_build.adapter import until_unchanged
from finn_build.errors import UserError
from finn_build.executors.base import Output
from finn_build.graph import quantiser
from finn_build.graph.activations import quantisers_to_thresholds
from finn_build.graph.cleanup import clean
from finn_build.graph.frontend import Preprocessing
from finn_build.graph.integer import annotate_ranges, assert_integer, smallest_type
from finn_build.graph.lower import lower
from finn_build.graph.scales import branch_scales
from finn_build.graph.streamline import streamline
from finn_build.graph.tidy import tidy


def both_taps(c):
    """The tap in integer steps: of the tidy graph in float64, and of the integer graph."""
    tidied = run(c.tidy, "float64", tap=Output(pooled_tensor(c.tidy), "NCHW"), logits="logits")
    integer = run(c.integer, tap=tap_output("NCHW"), logits="logits")
    return tidied["tap"] / c.head.tap_scale, tidied["logits"] / c.report.logit_scale, integer


@pytest.mark.parametrize("options", [{}, {"power_of_two": True}, {"max_pool": True}, {"bits": 3, "seed": 3}])
def test_the_integer_graph_equals_the_tidy_one_in_float64(options: dict[str, object]) -> None:
    c = chain(**options)
    tap, logits, integer = both_taps(c)
    assert np.array_equal(np.rint(tap), integer["tap"])
    assert np.abs(tap - np.rint(tap)).max() < 1e-9
    assert np.abs(logits - integer["logits"]).max() < 1e-6
    assert integer["tap"].max() > 3
    assert c.report.rounds <= 4
    assert_integer(c.integer)


def test_halves_go_to_the_even_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """With power-of-two scales accumulators meet a half often: a plain 'x ≥ boundary' gives other codes."""

    def plain(parameters):
        codes = np.arange(parameters.lowest + 1, parameters.highest + 1, dtype=np.float64)
        return (codes - 0.5) * parameters.scale.reshape(-1, 1)

    c = chain(power_of_two=True)
    monkeypatch.setattr("finn_build.graph.activations.code_boundaries", plain)
    wrong, _ = streamline(c.tidy)
    assert not np.array_equal(run(wrong)["tap"], run(c.integer)["tap"])


def test_every_code_boundary_is_the_first_value_of_its_code() -> None:
    model = network()
    nodes = [node for node in model.graph.node if node.op_type == "Quant"]
    signed = next(node for node in nodes if model.get_initializer(node.input[1]) == np.float32(0.17))
    parameters = quantiser.quant_parameters(model, signed)
    edges = quantiser.code_boundaries(parameters)[0]
    assert (parameters.lowest, parameters.highest, parameters.datatype) == (-8, 7, "INT4")
    for code, edge in zip(range(-7, 8), edges, strict=True):
        below = np.nextafter(edge, -np.inf)
        assert np.rint(edge / parameters.scale) == code
        assert np.rint(below / parameters.scale) == code - 1


def test_different_scales_before_an_add_are_refused() -> None:
    tidied = copy(tidied_of(other_scale=True))
    expected = r"add Add_0 .*the same scale on both branches, got 0\.17\d* \(Quant_3 .* and 0\.25\d* \(Quant_1 "
    with pytest.raises(UserError, match=expected) as e:
        streamline(tidied)
    assert "ONE shared signed quantiser" in str(e.value)


def test_the_check_reports_both_branches() -> None:
    adds = chain().report.adds
    assert len(adds) == 2
    for add in adds:
        assert add.branches[0].scale == add.branches[1].scale == pytest.approx(0.17)
        assert {branch.datatype for branch in add.branches} == {"INT4"}
        assert "scale 0.17" in str(add)


def test_finns_pass_skips_silently_where_scales_differ() -> None:
    """Why the check stands before it: the graph just stays in floating point."""
    from finn.transformation.streamline.reorder import MoveLinearPastEltwiseAdd

    tidied = copy(tidied_of(other_scale=True))
    converted = quantisers_to_thresholds(tidied)
    before = [node.op_type for node in converted.graph.node]
    moved = converted.transform(MoveLinearPastEltwiseAdd())
    first = branch_scales(moved)[0].branches
    assert first[0].scale != first[1].scale
    assert [node.op_type for node in moved.graph.node].count("Mul") == before.count("Mul") - 1


def test_an_unquantised_branch_is_refused() -> None:
    tidied = copy(tidied_of())
    add = node_of(tidied, "Add")
    quantised = tidied.find_producer(add.input[0])
    add.input[0] = quantised.input[0]
    with pytest.raises(UserError, match=r"none .*BatchNormalization.*not quantised"):
        streamline(tidied)


def test_a_float_node_between_is_named() -> None:
    tidied = copy(tidied_of(float_node="Sigmoid"))
    expected = r"expected integers, got constants of Mul_\d \(Mul\) .*which Sigmoid_0 \(Sigmoid\) does not let pass"
    with pytest.raises(UserError, match=expected):
        streamline(tidied)


def test_a_float_constant_is_named_with_its_node() -> None:
    model = copy(chain().integer)
    conv = node_of(model, "Conv", 1)
    weights = model.get_initializer(conv.input[1]).copy()
    weights.flat[0] += 0.5
    model.set_initializer(conv.input[1], weights)
    with pytest.raises(UserError, match=rf"tensor {conv.input[1]}: expected integers, got constants of Conv_1"):
        assert_integer(model)


def test_a_float_tensor_is_named_with_its_node() -> None:
    model = copy(chain().integer)
    conv = node_of(model, "Conv", 1)
    model.set_tensor_datatype(conv.output[0], DataType["FLOAT32"])
    with pytest.raises(UserError, match=rf"tensor {conv.output[0]}: expected an integer type, got FLOAT32 from Conv_1"):
        assert_integer(model)


def test_a_bias_is_added_in_integer_logits() -> None:
    c = chain(fc_bias=True)
    plain, biased = run(chain().integer)["logits"], run(c.integer)["logits"]
    assert np.array_equal(biased - plain, np.broadcast_to(c.report.bias, biased.shape))
    assert np.array_equal(c.report.bias, c.head.bias)
    assert c.report.bias_error <= 0.5
    _, logits, integer = both_taps(c)
    assert np.abs(logits - integer["logits"]).max() <= 0.5 + 1e-6


def test_a_quantised_bias_is_an_integer_already() -> None:
    """At the scale s_w · s_f each step is N = 16 integer logits, at s_w · s_f / N one."""
    step = float(np.float32(0.06)) * float(np.float32(0.13))
    for scale, unit in ((step, 16), (step / 16, 1)):
        c = chain(fc_bias=True, fc_bias_scale=scale)
        assert c.report.bias_error < 1e-3
        assert np.abs(c.report.bias).max() > unit
        assert not np.any(c.report.bias % unit)
        assert np.array_equal(c.head.bias, c.report.bias)


def test_ranges_hold_and_are_tight_enough() -> None:
    model = chain().integer
    names = [node.output[0] for node in model.graph.node]
    values = run(model, **{name: name for name in names})
    for name in names:
        kind = model.get_tensor_datatype(name)
        assert kind.min() <= values[name].min()
        assert values[name].max() <= kind.max()
        assert kind.bitwidth() <= 16


def test_a_shifted_threshold_changes_the_output() -> None:
    spoilt = copy(chain().integer)
    node = node_of(spoilt, "MultiThreshold", 1)
    spoilt.set_initializer(node.input[1], spoilt.get_initializer(node.input[1]) + 1)
    assert not np.array_equal(run(spoilt)["tap"], run(chain().integer)["tap"])


def test_clipped_thresholds_change_nothing() -> None:
    model = copy(chain().integer)
    node = node_of(model, "MultiThreshold")
    thresholds = model.get_initializer(node.input[1]).copy()
    thresholds[0, -1], thresholds[1, 0] = 1e6, -1e6
    model.set_initializer(node.input[1], thresholds)
    clipped = annotate_ranges(model)
    assert np.abs(clipped.get_initializer(node.input[1])).max() < 1e5
    assert np.array_equal(run(clipped)["tap"], run(model)["tap"])


@pytest.mark.parametrize(
    ("low", "high", "name"), [(0, 15, "UINT4"), (0, 16, "UINT5"), (-8, 7, "INT4"), (-9, 7, "INT5"), (-1, 8, "INT5")]
)
def test_the_smallest_type(low: int, high: int, name: str) -> None:
    assert smallest_type(low, high).name == name


def test_a_channel_that_normalisation_switches_off_stays_exact() -> None:
    """A scale of exactly 0 makes thresholds infinite: always met or never."""
    start = network()
    for node in start.graph.node:
        if node.op_type == "BatchNormalization":
            gamma = start.get_initializer(node.input[1]).copy()
            gamma[1] = 0
            start.set_initializer(node.input[1], gamma)
    tidied, _ = tidy(start, SIZE, Preprocessing())
    integer, report = streamline(tidied)
    expected = run(tidied, "float64")["logits"] / report.logit_scale
    assert np.abs(run(integer)["logits"] - expected).max() < 1e-6


def test_passes_that_undo_each_other_are_stopped() -> None:
    def flip(model):
        changed = copy(model)
        node = changed.graph.node[0]
        node.name = "b" if node.name == "a" else "a"
        return changed

    with pytest.raises(RuntimeError, match="still changes the graph after 5 rounds"):
        until_unchanged(chain().integer, flip, 5, "flipping")


def test_a_scale_close_to_one_is_kept() -> None:
    """qonnx's RemoveIdentityOps takes 1.00001 for 1 and 1e-6 for 0."""
    from qonnx.transformation.remove import RemoveIdentityOps

    model = copy(chain().tidy)
    mul = [node for node in model.graph.node if node.op_type == "Mul"][1]
    model.set_initializer(mul.input[1], np.float32(1.000009))
    count = len(model.graph.node)
    assert len(clean(model).graph.node) == count
    assert len(model.transform(RemoveIdentityOps()).graph.node) < count
    model.set_initializer(mul.input[1], np.float32(1))
    assert len(clean(model).graph.node) == count - 1


@pytest.mark.parametrize("options", [{}, {"max_pool": True}, {"fc_bias": True}])
def test_the_lowered_graph_equals_the_integer_one(options: dict[str, object]) -> None:
    c = chain(**options)
    expected, got = run(c.integer, tap=tap_output("NCHW"), logits="logits"), run(c.lowered)
    assert np.array_equal(got["tap"], expected["tap"])
    assert np.array_equal(got["logits"], expected["logits"])
    assert c.lowered.get_tensor_shape("image") == [1, SIZE, SIZE, 3]
    assert not [node for node in c.lowered.graph.node if node.op_type == "Transpose"]


def test_a_wrong_stride_is_seen() -> None:
    spoilt = copy(chain().lowered)
    strides = [a for n in spoilt.graph.node if n.op_type == "Im2Col" for a in n.attribute if a.name == "stride"]
    strided = [stride for stride in strides if list(stride.ints) == [2, 2]]
    assert len(strided) == 2
    for stride in strided:
        stride.ints[:] = [1, 1]
    assert run(spoilt)["tap"].shape != run(chain().lowered)["tap"].shape


def test_a_grouped_convolution_has_no_lowered_form() -> None:
    tidied = copy(tidied_of(groups=4))
    integer, _ = streamline(tidied)
    with pytest.raises(UserError, match=r"Conv_\d \(Conv\): expected a dense convolution.*got 4 groups"):
        lower(integer)


def test_an_operator_without_lowered_form_is_named() -> None:
    model = copy(chain().integer)
    conv = node_of(model, "Conv", 1)
    model.graph.node.insert(0, helper.make_node("Abs", [conv.output[0]], ["unused"], "Abs_9"))
    with pytest.raises(UserError, match=r"Abs_9 \(Abs\): expected an operator that hardware knows"):
        lower(model)
