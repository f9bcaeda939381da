"""The node-by-node executor: QONNX's own, an image at a time, for graphs of every stage that FINN executes in Python.

It is slow and it is the judge: operators run in ONNX Runtime or in the code that QONNX and FINN ship with each node.
"""

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node, execute_onnx
from qonnx.util.basic import get_preferred_qonnx_opset

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

# QONNX only warns where it rounds values to a tensor's type or finds another shape; a comparison is worthless then.
_WORTHLESS = ("The values of tensor", "Output shapes disagree")


class NodeExecutor:
    """Runs a graph node by node.

    Args:
        model: the graph with all shapes inferred, exported for one image; it is not changed.
        outputs: names by which tensors are given out; by default the graph's outputs.
        input_format: what the graph is fed; raw pixels by default.
        stage: named where values do not fit their tensors' types.

    Raises:
        UserError: if the graph has not exactly one input that is a picture, or an output that is no tensor of it.
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
        initialisers = {i.name for i in model.graph.initializer}
        computed = [name for node in model.graph.node for name in node.output if name]
        self._variable = [self._input, *computed]
        for output in self.outputs.values():
            if output.tensor not in {*self._variable, *initialisers}:
                raise UserError("graph", f"a tensor {output.tensor}", "none of that name", "name a tensor of the graph")

    def run(self, images: Images) -> dict[str, Array]:
        """Computes the named outputs, float32 as QONNX carries integers.

        Args:
            images: uint8, NHWC [N, H, W, 3], RGB.

        Returns:
            one array a name, batch first, `Output`s marked NCHW turned to NHWC.

        Raises:
            CheckFailed: a tensor holds a value that its annotated type does not.
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
        check_images(images, self.size)
        by_tensor = {output.tensor: name for name, output in layers.items()}
        parts: dict[str, list[Array]] = {name: [] for name in layers}
        for index, image in enumerate(images):
            context: dict[str, Array] = self._model.make_empty_exec_context()
            context[self._input] = self._format.prepare(image[None], self.layout, np.float32)
            opsets = self._model.get_opset_imports()
            for node in self._model.graph.node:
                execute_node(node, context, self._model.graph, opsets.get(node.domain, get_preferred_qonnx_opset()))
                for tensor in node.output:
                    if tensor in by_tensor:
                        name = by_tensor[tensor]
                        parts[name].append(give_out(context[tensor], layers[name]))
                        if name in reference:
                            value = reference[name][index : index + 1].astype(np.float32)
                            context[tensor] = take_in(value, layers[name])
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _run(self, images: Images, wanted: Iterable[str]) -> dict[str, Array]:
        check_images(images, self.size)
        parts: dict[str, list[Array]] = {name: [] for name in wanted}
        for image in images:
            values = self._format.prepare(image[None], self.layout, np.float32)
            context = self._execute(values)
            for name, arrays in parts.items():
                arrays.append(np.asarray(context[name]))
        return {name: np.concatenate([np.atleast_1d(a) for a in arrays]) for name, arrays in parts.items()}

    def _execute(self, values: Array) -> dict[str, Array]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for start in _WORTHLESS:
                warnings.filterwarnings("error", message=f"\\s*{start}")
            try:
                context: dict[str, Array] = execute_onnx(self._model, {self._input: values}, True)
            except UserWarning as warning:
                what = " ".join(str(warning).split())
                raise CheckFailed(self._stage, what, "the graph's annotations do not fit its values") from warning
            except (OSError, MemoryError, *READABLE):
                raise
            except Exception as error:
                # ONNX Runtime, QONNX and FINN raise whatever comes; here it means that shapes or types do not fit.
                what = f"the graph cannot be executed: {' '.join(str(error).split())[:300]}"
                raise CheckFailed(self._stage, what, "the passes of this stage left a broken graph") from error
        return context


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
