"""Layers are found and paired by their place in the network, whatever the passes made of names and order."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import CheckFailed
from finn_build.executors.batch import BatchExecutor
from finn_build.verify.layers import layer_outputs, require_equal_layers
from finn_build.verify.structure import layers_of, matching_layers

Graph = Callable[..., ModelWrapper]


def other_branch_first(model: ModelWrapper) -> ModelWrapper:
    """The same network with the shortcut before the main branch, and every node under another name."""
    reorder(model, [0, 1, 3, 5, 2, 4, 6, 7, *range(8, len(model.graph.node))])
    for index, node in enumerate(model.graph.node):
        node.name = f"renamed_{index}"
    return model


def reorder(model: ModelWrapper, order: list[int]) -> None:
    nodes = copy.deepcopy(list(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend([nodes[i] for i in order])


def test_layers_by_depth_and_fan_in(residual: Graph) -> None:
    found = [(layer.tensor, layer.depth, layer.fan_in) for layer in layers_of(residual())]
    assert found == [("stem", 1, 27), ("shortcut", 2, 4), ("first", 2, 36), ("branch", 3, 54), ("tap", 4, 0)]


def test_order_and_names_do_not_matter(residual: Graph, pictures: np.ndarray) -> None:
    model, moved = residual(), other_branch_first(residual())
    pairs = matching_layers("lower", layers_of(model), layers_of(moved))
    assert [ours.tensor for ours, _ in pairs] == [theirs.tensor for _, theirs in pairs]
    values = [BatchExecutor(m, layer_outputs(m)).run(pictures) for m in (model, moved)]
    rows = require_equal_layers("lower", model, values[0], moved, values[1])
    assert [row.output for row in rows][:2] == ["layer 0 (MultiThreshold_1)", "layer 1 (MultiThreshold_7)"]
    assert all(row.mismatches == 0 and row.stage == "lower" for row in rows)


def test_the_layer_that_differs_is_named(residual: Graph, pictures: np.ndarray) -> None:
    model, moved = residual(), other_branch_first(residual())
    weights = moved.get_initializer("w3").copy()
    weights[0] *= -1
    moved.set_initializer("w3", weights)
    values = [BatchExecutor(m, layer_outputs(m)).run(pictures) for m in (model, moved)]
    with pytest.raises(
        CheckFailed, match=r"stage lower: output layer 1 \(MultiThreshold_7\) at \[\d+, .*expected"
    ) as error:
        require_equal_layers("lower", model, values[0], moved, values[1])
    # The first layer that differs is the shortcut's, not one that follows from it.
    assert ", 0]: expected" in str(error.value)


def test_another_number_of_layers(residual: Graph) -> None:
    model = residual()
    with pytest.raises(CheckFailed, match="expected 5 quantised activations, got 4"):
        matching_layers("hardware", layers_of(model), layers_of(model)[:-1])


def test_a_layer_in_another_place(residual: Graph) -> None:
    skipped = residual()
    next(node for node in skipped.graph.node if node.output[0] == "first").input[0] = "stem"
    what = (
        "layer MultiThreshold_7: expected it at depth 2 with 4 products a value, got MultiThreshold_3 at depth 2 with 0"
    )
    with pytest.raises(CheckFailed, match=what):
        matching_layers("hardware", layers_of(residual()), layers_of(skipped))
