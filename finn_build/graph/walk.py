"""Reading and rewiring ONNX graphs: the few questions that the passes ask of a node."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

Array = NDArray[Any]


SHARED_THRESHOLDS = "sharedThresholds"
"""A mark of this project's on thresholding nodes; FINN passes over it."""


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values, strings as str."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def constant(model: ModelWrapper, node: NodeProto, index: int) -> Array | None:
    """The initialiser at an input; None where there is no such input or it is computed."""
    if index >= len(node.input) or not node.input[index]:
        return None
    value = model.get_initializer(node.input[index])
    return None if value is None else np.asarray(value)


def producer(model: ModelWrapper, tensor: str) -> NodeProto | None:
    """The node that computes a tensor."""
    found: NodeProto | None = model.find_producer(tensor)
    return found


def consumers(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    """The nodes that read a tensor."""
    return list(model.find_consumers(tensor) or [])


def only_consumer(model: ModelWrapper, tensor: str) -> NodeProto | None:
    """The node that reads a tensor, if there is exactly one and the tensor does not leave the graph."""
    readers = consumers(model, tensor)
    leaves = any(output.name == tensor for output in model.graph.output)
    return readers[0] if len(readers) == 1 and not leaves else None


def computed_inputs(model: ModelWrapper, node: NodeProto) -> list[str]:
    """A node's inputs that are no constants."""
    return [name for name in node.input if name and model.get_initializer(name) is None]


def label(node: NodeProto) -> str:
    """How a node is called in a message: its name and type, or its output where it has no name."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def shape(model: ModelWrapper, tensor: str) -> list[int]:
    """A tensor's shape.

    Raises:
        ValueError: it is not known: shape inference has not run, or an operator is unknown to it.
    """
    found = model.get_tensor_shape(tensor)
    if found is None:
        raise ValueError(f"tensor {tensor} has no shape")
    return [int(size) for size in found]


def insert_after(model: ModelWrapper, node: NodeProto, new: NodeProto) -> None:
    """Puts a node right behind another in the list of nodes."""
    model.graph.node.insert(list(model.graph.node).index(node) + 1, new)


def redirect(model: ModelWrapper, old: str, new: str) -> None:
    """Lets every reader of a tensor read another; a graph output keeps its name."""
    for node in consumers(model, old):
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def remove_pass_through(model: ModelWrapper, node: NodeProto) -> None:
    """Removes a node whose first input takes the place of its output."""
    source, target = node.input[0], node.output[0]
    model.graph.node.remove(node)
    if any(output.name == target for output in model.graph.output):
        before = producer(model, source)
        if before is None:
            raise ValueError(f"{label(node)} is the whole graph")
        redirect(model, source, target)
        before.output[list(before.output).index(source)] = target
    else:
        redirect(model, target, source)


def upstream(model: ModelWrapper, tensor: str) -> Iterator[NodeProto]:
    """The chain of nodes above a tensor, nearest first, as long as each has one computed input."""
    node = producer(model, tensor)
    while node is not None:
        yield node
        inputs = computed_inputs(model, node)
        node = producer(model, inputs[0]) if len(inputs) == 1 else None


def scalar(value: Array | None) -> float | None:
    """The number in a constant of one element, as float64."""
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
