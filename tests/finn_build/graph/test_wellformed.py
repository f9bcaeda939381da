"""A foreign file whose graph does not hang together is refused in one line, before any pass sees it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_helpers import SIZE, network
from onnx import numpy_helper

from finn_build.errors import UserError
from finn_build.graph.frontend import Preprocessing
from finn_build.graph.opset import read_network
from finn_build.graph.tidy import tidy
from finn_build.graph.wellformed import require_layers

Spoil = Callable[[onnx.ModelProto], None]


def weights_of(proto: onnx.ModelProto) -> onnx.TensorProto:
    return next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 4)


def not_a_number(proto: onnx.ModelProto) -> None:
    tensor = weights_of(proto)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def cut_short(proto: onnx.ModelProto) -> None:
    weights_of(proto).raw_data = weights_of(proto).raw_data[:-4]


def unknown(proto: onnx.ModelProto) -> None:
    proto.graph.node[4].op_type = "Foo"


def foreign(proto: onnx.ModelProto) -> None:
    proto.graph.node[4].domain = "com.example"


def dangling(proto: onnx.ModelProto) -> None:
    proto.graph.node[2].input[0] = "nowhere"


def circle(proto: onnx.ModelProto) -> None:
    proto.graph.node[2].input[0] = proto.graph.node[-1].output[0]


def no_image(proto: onnx.ModelProto) -> None:
    proto.graph.ClearField("input")


def no_shape(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.ClearField("shape")


def no_output(proto: onnx.ModelProto) -> None:
    proto.graph.ClearField("output")


def other_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].name = "nowhere"


def from_the_future(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 99


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_a_number, "expected numbers, got nan"),
        (cut_short, "values of its shape"),
        (unknown, "an operator of ONNX or QONNX, got ai.onnx::Foo"),
        (foreign, "an operator of ONNX or QONNX, got com.example::"),
        (dangling, "expected a tensor nowhere, got nothing that computes it"),
        (circle, "a graph without circles"),
        (no_image, "an input, the image"),
        (no_shape, "a shape of four sizes"),
        (no_output, "got no output"),
        (other_output, "output nowhere: expected a node that computes it"),
        (from_the_future, "got opset 99"),
    ],
)
def test_a_broken_graph_is_one_line(tmp_path: Path, spoil: Spoil, words: str) -> None:
    proto = network().model
    spoil(proto)
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(UserError) as caught:
        read_network(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_shapes_that_do_not_fit_are_told_at_their_node() -> None:
    model = network()
    second = [node for node in model.graph.node if node.op_type == "Conv"][1]
    next(a for a in second.attribute if a.name == "dilations").ints[:] = [2, 2]
    with pytest.raises(UserError, match=r"Add_16 .*shapes fit each other, got \[1, 4, 6, 6\] and \[1, 4, 8, 8\]"):
        tidy(model, SIZE, Preprocessing())


def test_an_operator_without_hardware_is_told() -> None:
    tidied, _ = tidy(network(float_node="Sigmoid"), SIZE, Preprocessing())
    with pytest.raises(UserError, match=r"Sigmoid_0 .*an operator that hardware knows, got Sigmoid"):
        require_layers(tidied)
    require_layers(tidy(network(), SIZE, Preprocessing())[0])
