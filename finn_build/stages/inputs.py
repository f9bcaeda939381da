"""What stages need to know of a network from outside: its input's format, and where its tap is."""

from pathlib import Path
from typing import TYPE_CHECKING

from finn_build.errors import UserError
from finn_build.executors.base import InputFormat
from models.spec import InputSpec

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

POOLING = ("GlobalAveragePool", "AveragePool", "ReduceMean", "GlobalMaxPool", "MaxPool", "ReduceMax")


def input_format(spec: InputSpec) -> InputFormat:
    """`(pixel / 255 - mean) / std` in the network's channel order."""
    return InputFormat(255.0, tuple(spec.mean), tuple(spec.std), spec.channel_order)


def load_graph(path: Path) -> "ModelWrapper":
    """Reads the graph that an earlier stage wrote, with the project's own nodes known to QONNX and FINN."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.adapter import quiet
    from finn_build.nodes.registry import register_nodes
    from finn_build.nodes.variants import register_rtl_nodes

    register_nodes()
    register_rtl_nodes()
    with quiet():
        return ModelWrapper(str(path))


def save_graph(model: "ModelWrapper", path: Path) -> None:
    """Writes a graph; the same graph always gives the same bytes.

    QONNX and FINN gather tensors in sets, so their annotations come in another order in each run.
    """
    graph = model.model.graph
    for entries, name in (
        (graph.value_info, "name"),
        (graph.initializer, "name"),
        (graph.quantization_annotation, "tensor_name"),
    ):
        ordered = sorted(entries, key=lambda entry: str(getattr(entry, name)))
        del entries[:]
        entries.extend(ordered)
    for node in graph.node:
        attributes = sorted(node.attribute, key=lambda attribute: str(attribute.name))
        del node.attribute[:]
        node.attribute.extend(attributes)
    path.write_bytes(model.model.SerializeToString(deterministic=True))


def tap_of(model: "ModelWrapper") -> str:
    """The tensor that a network's pooling reads, in any form of the network before lowering.

    Raises:
        UserError: no pooling lies before the classifier.
    """
    tensor = model.graph.output[0].name
    node = model.find_producer(tensor)
    while node is not None and node.op_type not in POOLING:
        computed = [name for name in node.input if model.get_initializer(name) is None]
        # A reshape's target shape may be computed too; what is reshaped comes first.
        tensor = computed[0] if computed else ""
        node = model.find_producer(tensor)
    if node is None:
        raise UserError("network head", "a pooling before the classifier", "none", "add global average pooling")
    source = str(node.input[0])
    before = model.find_producer(source)
    return str(before.input[0]) if before is not None and before.op_type == "Pad" else source
