"""The node-by-node executor refuses what would make it a bad judge."""

from collections.abc import Callable

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import CheckFailed, UserError
from finn_build.executors.base import Output
from finn_build.executors.codes import CodeExecutor
from finn_build.executors.nodes import NodeExecutor

Graph = Callable[..., ModelWrapper]


def test_a_value_that_its_type_does_not_hold_is_an_error(residual: Graph, pictures: np.ndarray) -> None:
    model = residual()
    NodeExecutor(model).run(pictures)
    model.set_tensor_datatype("first", DataType["UINT2"])
    with pytest.raises(CheckFailed, match=r"stage lower: tensor first at \[0, \d, \d, \d\]: [4-7].0 is no UINT2"):
        NodeExecutor(model, stage="lower").run(pictures)


def test_a_shape_that_the_graph_does_not_state_is_an_error(residual: Graph, pictures: np.ndarray) -> None:
    model = residual()
    model.set_tensor_shape("c1", [1, 6, 5, 5])
    what = r"node Conv_2 \(Conv\): tensor c1 is stated as \[1, 6, 5, 5\], computed as \[1, 6, 4, 4\]"
    with pytest.raises(CheckFailed, match=what):
        NodeExecutor(model).run(pictures)


def test_a_constant_that_its_type_does_not_hold_is_an_error(residual: Graph) -> None:
    model = residual()
    model.set_tensor_datatype("w1", DataType["UINT3"])
    with pytest.raises(CheckFailed, match=r"tensor w1 at .*: -\d.0 is no UINT3"):
        NodeExecutor(model)


def test_forced_layers_keep_a_difference_where_it_arises(residual: Graph, pictures: np.ndarray) -> None:
    layers = {name: Output(name, "NCHW") for name in ("stem", "first", "branch", "shortcut", "tap")}
    model = residual()
    reference = NodeExecutor(model, dict(layers)).run(pictures)
    changed = residual()
    weights = changed.get_initializer("w1").copy()
    weights[2, 1] *= -1
    changed.set_initializer("w1", weights)
    free = NodeExecutor(changed, dict(layers)).run(pictures)
    forced = NodeExecutor(changed).run_forced(pictures, layers, reference)
    assert [name for name in layers if (free[name] != reference[name]).any()] == ["first", "branch", "tap"]
    assert [name for name in layers if (forced[name] != reference[name]).any()] == ["first"]
    np.testing.assert_array_equal(forced["first"], free["first"])


def test_an_unknown_tensor_is_refused(residual: Graph) -> None:
    with pytest.raises(UserError, match="expected a tensor nowhere"):
        NodeExecutor(residual(), {"tap": "nowhere"})


def test_codes_are_what_values_are_multiples_of(residual: Graph, pictures: np.ndarray) -> None:
    class Scaled:
        def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
            tap = NodeExecutor(residual()).run(images)["tap"]
            return {"tap": (tap * np.float32(0.176)).astype(np.float32), "other": tap}

    got = CodeExecutor(Scaled(), {"tap": 0.176}).run(pictures)
    assert got["tap"].dtype == np.int64
    np.testing.assert_array_equal(got["tap"], got["other"])


def test_a_code_that_is_no_number_stays_none() -> None:
    class Broken:
        def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
            return {"tap": np.array([[1.0, np.nan]])}

    assert np.isnan(CodeExecutor(Broken(), {"tap": 1.0}).run(np.zeros((1, 8, 8, 3), np.uint8))["tap"][0, 1])
