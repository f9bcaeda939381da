"""The head's normal form: global average pooling, Flatten, MatMul; however the exporter wrote it."""

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.graph.walk import Array, attributes, constant, only_consumer, shape

RESHAPES = ("Flatten", "Reshape", "Squeeze", "Identity")


def normalise_pooling(model: ModelWrapper) -> ModelWrapper:
    """Replaces every average over a whole NCHW map by GlobalAveragePool, and the reshaping behind it by one Flatten.

    Known forms: ReduceMean over both spatial axes; AveragePool whose kernel is the map; GlobalAveragePool; each with or
    without reshaping to [1, C] behind it.

    Args:
        model: with shapes and folded constants.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in list(model.graph.node):
        if is_global_average(model, node):
            _replace(model, node)
    return model


def is_global_average(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a node averages each channel of an NCHW map over all its positions."""
    if node.op_type not in ("GlobalAveragePool", "AveragePool", "ReduceMean"):
        return False
    size = shape(model, node.input[0])
    if len(size) != 4:
        return False
    values = attributes(node)
    if node.op_type == "GlobalAveragePool":
        return True
    if node.op_type == "AveragePool":
        return list(values["kernel_shape"]) == size[2:] and not any(values.get("pads", [0]))
    axes: Array | list[int] | None = values.get("axes", constant(model, node, 1))
    return axes is not None and sorted(int(axis) % 4 for axis in np.asarray(axes)) == [2, 3]


def _replace(model: ModelWrapper, node: NodeProto) -> None:
    source = node.input[0]
    channels = shape(model, source)[1]
    last, removed = node, [node]
    while (following := only_consumer(model, last.output[0])) is not None and following.op_type in RESHAPES:
        last = following
        removed.append(last)
    target = last.output[0]
    if shape(model, target) != [1, channels]:
        # Something other than a classifier follows; only the pooling itself takes the known form.
        if node.op_type == "GlobalAveragePool" or shape(model, node.output[0]) != [1, channels, 1, 1]:
            return
        removed, target = [node], node.output[0]
    pooled = f"{target}_pooled" if len(shape(model, target)) == 2 else target
    position = list(model.graph.node).index(node)
    for old in removed:
        model.graph.node.remove(old)
    model.graph.node.insert(
        position, helper.make_node("GlobalAveragePool", [source], [pooled], name="global_average_pool")
    )
    model.set_tensor_shape(pooled, [1, channels, 1, 1])
    if pooled != target:
        model.graph.node.insert(position + 1, helper.make_node("Flatten", [pooled], [target], name="flatten", axis=1))
