"""The node-by-node executor: an image at a time, for graphs of every stage that FINN executes in Python.

It is slow and it is the judge: each operator runs in ONNX Runtime, or in the code that QONNX and FINN ship with the
node. QONNX's own `execute_onnx` does the same, but rounds values to their tensors' types and takes half of its time to
do so; here a value that its type does not hold is an error.
"""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node
from qonnx.util.basic import get_preferred_qonnx_opset
from threadpoolctl import threadpool_limits

from finn_build.errors import READABLE, CheckFailed, UserError
from finn_build.executors.base import (
    RAW,
    Array,
    Images,
    InputFormat,
    Output,
    as_outputs,
    check_images,
    give_out,
    input_layout,
    take_in,
)

_BROKEN = "the passes of this stage left a broken graph"
_ANNOTATED = "the graph's annotations do not fit its values"


class NodeExecutor:
    """Runs a graph node by node.

    Args:
        model: the graph with all shapes inferred, exported for one image, sorted topologically; it is not changed.
        outputs: names by which tensors are given out; by default the graph's outputs.
        input_format: what the graph is fed; raw pixels by default.
        stage: named in errors.

    Raises:
        UserError: the graph has not exactly one input that is a picture, or an output that is no tensor of it.
        CheckFailed: a constant holds a value that its annotated type does not.
    """

    def __init__(
        self,
        model: ModelWrapper,
        outputs: dict[str, Output | str] | None = None,
        input_format: InputFormat = RAW,
        stage: str = "nodes",
    ) -> None:
        self._model, self._format, self._stage = model, input_format, stage
        self.outputs = as_outputs(outputs, [o.name for o in model.graph.output])
        self._input, shape = graph_input(model)
        self.layout = input_layout(shape)
        self.size = (shape[1], shape[2]) if self.layout == "NHWC" else (shape[2], shape[3])
        self._opsets: dict[str, int] = model.get_opset_imports()
        self._constants: dict[str, Array] = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self._variable = [self._input, *(name for node in model.graph.node for name in node.output if name)]
        self._shapes = {name: self._shape_of(name) for name in self._variable}
        self._types = {name: model.get_tensor_datatype(name) for name in [*self._variable, *self._constants]}
        for output in self.outputs.values():
            if output.tensor not in self._types:
                raise UserError("graph", f"a tensor {output.tensor}", "none of that name", "name a tensor of the graph")
        for name, values in self._constants.items():
            self._check_type(name, values)

    def run(self, images: Images) -> dict[str, Array]:
        """Computes the named outputs, float32 as QONNX carries integers.

        Args:
            images: uint8, NHWC [N, H, W, 3], RGB.

        Returns:
            one array a name, batch first, `Output`s marked NCHW turned to NHWC.

        Raises:
            CheckFailed: a tensor holds a value that its annotated type does not, or has another shape than stated.
        """
        tensors = self._run(images, {o.tensor for o in self.outputs.values()})
        return {name: give_out(tensors[o.tensor], o) for name, o in self.outputs.items()}

    def run_all(self, images: Images) -> dict[str, Array]:
        """Computes every tensor that a node computes, and the input, each as it lies in the graph."""
        return self._run(images, self._variable)

    def run_forced(
        self, images: Images, layers: Mapping[str, Output], reference: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Computes every layer from the reference's values of the layers before it, so that no difference spreads.

        Args:
            images: uint8, NHWC [N, H, W, 3], RGB.
            layers: the layers' tensors by name.
            reference: their values, batch first, in the layout that `run` gives out; those of the last layers may be
                missing.

        Returns:
            what was computed for each layer before the reference's value took its place.
        """
        forced = {layers[name].tensor: take_in(values, layers[name]) for name, values in reference.items()}
        tensors = self._run(images, {output.tensor for output in layers.values()}, forced)
        return {name: give_out(tensors[output.tensor], output) for name, output in layers.items()}

    def _run(
        self, images: Images, wanted: Iterable[str], forced: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        check_images(images, self.size)
        parts: dict[str, list[Array]] = {name: [] for name in wanted}
        # The products of one image are too small to share: on a busy machine two threads of OpenBLAS that wait for each
        # other take a thousand times as long as one (measured: 1.3 s instead of 0.2 ms).
        with threadpool_limits(1, user_api="blas"):
            for index, image in enumerate(images):
                replaced = {name: v[index : index + 1].astype(np.float32) for name, v in (forced or {}).items()}
                for name, value in self._image(image, set(parts), replaced).items():
                    parts[name].append(np.atleast_1d(value))
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _image(self, image: Array, wanted: set[str], replaced: Mapping[str, Array]) -> dict[str, Array]:
        """Computes the wanted tensors of one image; a replaced tensor is computed, given out, and then replaced."""
        found = {name: self._constants[name] for name in wanted & set(self._constants)}
        # Nodes look up the shape of what they are to compute: zeros of that shape that take no memory.
        context: dict[str, Any] = {
            name: np.broadcast_to(np.float32(0), shape) for name, shape in self._shapes.items() if shape is not None
        }
        context |= {**self._constants, "": None}
        context[self._input] = self._format.prepare(image[None], self.layout, np.float32)
        if self._input in wanted:
            found[self._input] = context[self._input]
        for node in self._model.graph.node:
            self._execute(node, context)
            for name in node.output:
                value = np.asarray(context[name])
                self._check_type(name, value)
                if name in wanted:
                    found[name] = value
                context[name] = replaced.get(name, value)
        return found

    def _execute(self, node: NodeProto, context: dict[str, Any]) -> None:
        opset = self._opsets.get(node.domain, get_preferred_qonnx_opset())
        label = f"node {node.name or node.output[0]} ({node.op_type})"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                execute_node(node, context, self._model.graph, opset)
        except (OSError, MemoryError, *READABLE):
            raise
        except Exception as error:
            # ONNX Runtime, QONNX and FINN raise whatever comes; here it means that shapes or types do not fit.
            what = f"{label} cannot be executed: {' '.join(str(error).split())[:300]}"
            raise CheckFailed(self._stage, what, _BROKEN) from error
        for name in node.output:
            stated = self._shapes[name]
            if stated is not None and np.shape(context[name]) != stated:
                what = (
                    f"{label}: tensor {name} is stated as {list(stated)}, computed as {list(np.shape(context[name]))}"
                )
                raise CheckFailed(self._stage, what, _BROKEN)

    def _check_type(self, name: str, values: Array) -> None:
        kind = self._types[name]
        if not kind.is_integer():
            return
        good = np.asarray(kind.allowed(values))
        if not good.all():
            at = np.unravel_index(int((~good).argmax()), good.shape)
            what = f"tensor {name} at {[int(i) for i in at]}: {values[at]} is no {kind.name}"
            raise CheckFailed(self._stage, what, _ANNOTATED)

    def _shape_of(self, name: str) -> tuple[int, ...] | None:
        shape = self._model.get_tensor_shape(name)
        return None if shape is None else tuple(int(size) for size in shape)


def graph_input(model: ModelWrapper) -> tuple[str, list[int]]:
    """Name and shape of a graph's only input.

    Raises:
        UserError: if it has none or several.
    """
    initialisers = {i.name for i in model.graph.initializer}
    inputs = [i.name for i in model.graph.input if i.name not in initialisers]
    if len(inputs) != 1:
        raise UserError("graph", "one input", f"{len(inputs)}", "give a graph whose only input is the picture")
    return inputs[0], [int(size) for size in model.get_tensor_shape(inputs[0])]
