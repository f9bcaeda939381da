"""A threshold that pictures never meet is still checked."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import CheckFailed
from finn_build.verify.sweeps import require_equal_thresholds, sweep_inputs

Graph = Callable[..., ModelWrapper]


def test_inputs_meet_every_threshold_from_both_sides() -> None:
    thresholds = np.array([[-3, 4, 90], [0, 0, 7]])
    inputs = sweep_inputs(thresholds, thresholds, -10, 20, 2)
    assert inputs.shape == (1, 6, 1, 2)
    # 90 is out of reach: what is left of it is the end of the range.
    assert inputs[0, :, 0, 0].tolist() == [-10, -4, -3, 3, 4, 20]
    assert inputs[0, :, 0, 1].tolist() == [-10, -1, 0, 6, 7, 20]


def test_thresholds_of_either_side_are_met() -> None:
    inputs = sweep_inputs(np.array([[2.0]]), np.array([[5.5]]), 0, 9, 1)
    assert inputs.ravel().tolist() == [0, 1, 2, 5, 6, 9]


def test_equal_layers(residual: Graph) -> None:
    rows = require_equal_thresholds("lower", residual(), residual())
    assert [row.output for row in rows][-1] == "sweep of layer 4 (MultiThreshold_9)"
    assert all(row.values > 60 and row.mismatches == 0 for row in rows)


@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("channel", [0, 5])
def test_a_threshold_shifted_by_one(shift: int, channel: int, residual: Graph) -> None:
    changed = residual()
    limits = changed.get_initializer("t2").copy()
    distinct = next(
        i for i in range(1, 6) if limits[channel, i - 1] + 1 < limits[channel, i] < limits[channel, i + 1] - 1
    )
    limits[channel, distinct] += shift
    changed.set_initializer("t2", limits)
    met = limits[channel, distinct] - (1 if shift > 0 else 0)
    what = rf"sweep of layer 3 \(MultiThreshold_5\), channel {channel}, input {met:g}: expected (-?\d), got"
    with pytest.raises(CheckFailed, match=what):
        require_equal_thresholds("hardware", residual(), changed)


def test_a_bias_left_out(residual: Graph) -> None:
    changed = residual()
    node = next(n for n in changed.graph.node if n.output[0] == "shortcut")
    bias = next(a for a in node.attribute if a.name == "out_bias")
    node.attribute.remove(bias)
    with pytest.raises(CheckFailed, match=r"sweep of layer 1 \(MultiThreshold_7\), channel 0, input .*: expected -"):
        require_equal_thresholds("hardware", residual(), changed)


def test_channels_swapped(residual: Graph) -> None:
    changed = residual()
    changed.set_initializer("t1", changed.get_initializer("t1")[::-1].copy())
    with pytest.raises(CheckFailed, match=r"sweep of layer 2 \(MultiThreshold_3\), channel 0"):
        require_equal_thresholds("lower", residual(), changed)


def test_thresholds_inside_another_node_are_refused(residual: Graph) -> None:
    changed = residual()
    node = next(n for n in changed.graph.node if n.output[0] == "tap")
    quant = helper.make_node("Quant", ["sum", "axes", "axes", "axes"], ["tap"], domain="qonnx.custom_op.general")
    quant.name = "Quant_9"
    node.CopyFrom(quant)
    with pytest.raises(CheckFailed, match="layer Quant_9: expected a node of thresholds alone, got Quant"):
        require_equal_thresholds("lower", residual(), changed)
