import numpy as np
import pytest
from graph_helpers import CLASSES, chain, copy, node_of, run, tidied_of
from onnx import helper

from finn_build.errors import UserError
from finn_build.graph.tap import cut_at_logits, cut_at_tap, head_of_graph


def test_the_head_is_the_classifier() -> None:
    c = chain()
    tap = run(c.lowered)["tap"].astype(np.int64)
    maps = np.einsum("nhwc,kc->nkhw", tap, c.head.fc_weight.astype(np.int64))
    assert np.array_equal(maps.sum(axis=(2, 3)), run(c.lowered)["logits"])
    assert c.head.tap_shape == (1, 4, 4, 8)
    assert (c.head.tap_bits, c.head.fc_weight.dtype, c.head.bias.dtype) == (4, np.int8, np.int32)
    assert (c.head.tap_scale, c.head.weight_scale) == (pytest.approx(0.13), pytest.approx(0.06))
    assert c.head.logit_scale == pytest.approx(c.report.logit_scale, rel=1e-12)
    assert head_of_graph(c.tidy, ["a", "b", "c", "d"]).labels == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"pooling": "max"}, r"global average pooling.*got global max-pooling, GlobalMaxPool_0.*a maximum is no sum"),
        ({"pooling": "part"}, r"global average pooling.*got AveragePool_0 \(AveragePool\)"),
        ({"requantise": True}, r"got a pooled value that Quant_\d+ \(Quant\) requantises"),
        ({"fc_scales": CLASSES}, r"one weight scale for all classes, got one a class"),
    ],
)
def test_a_head_that_is_no_sum_of_class_maps_is_refused(options: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as e:
        head_of_graph(tidied_of(**options))
    assert str(e.value).startswith("CAM head")


def test_a_tap_that_is_not_quantised_is_refused() -> None:
    model = copy(chain().tidy)
    pooling = node_of(model, "GlobalAveragePool")
    pooling.input[0] = model.find_producer(pooling.input[0]).input[0]
    model.graph.node.insert(0, helper.make_node("Sigmoid", [pooling.input[0]], ["s"], "Sigmoid_0"))
    pooling.input[0] = "s"
    with pytest.raises(UserError, match=r"unsigned quantised feature map before the pooling, got Sigmoid_0"):
        head_of_graph(model)


def test_wide_or_real_weights_are_refused() -> None:
    model = copy(chain().tidy)
    product = node_of(model, "MatMul")
    weights = model.get_initializer(product.input[1]).copy()
    weights[0, 0] = 0.5
    model.set_initializer(product.input[1], weights)
    with pytest.raises(UserError, match="integer weights of at most 8 bits"):
        head_of_graph(model)


def test_a_graph_without_classifier_is_refused() -> None:
    model = copy(chain().tidy)
    product = node_of(model, "MatMul")
    product.op_type = "Softmax"
    with pytest.raises(UserError, match="fully connected layer at the end"):
        head_of_graph(model)


def test_cutting_leaves_one_output() -> None:
    lowered = chain().lowered
    for cut, name in ((cut_at_tap, "tap"), (cut_at_logits, "logits")):
        model = cut(lowered)
        assert [value.name for value in model.graph.output] == [name]
        assert np.array_equal(run(model)[name], run(lowered)[name])
    assert "ReduceSum" not in {node.op_type for node in cut_at_tap(lowered).graph.node}
