"""The dataflow partition: everything between the image and the accelerator's output, as one graph of its own."""

from dataclasses import dataclass
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames

from finn_build.adapter import apply_pass, quiet
from finn_build.errors import UserError
from finn_build.graph.cleanup import INPUT
from finn_build.graph.hardware import nodes_outside_hardware
from finn_build.graph.walk import label


@dataclass(frozen=True)
class Partition:
    """Parent and child.

    Attributes:
        parent: the whole graph with one StreamingDataflowPartition node, whose `model` names the child's file without
            its folder.
        child: the dataflow graph; its input is `image`, its output has the parent's name.
    """

    parent: ModelWrapper
    child: ModelWrapper


def partition(model: ModelWrapper, folder: Path) -> Partition:
    """Splits the hardware graph.

    Args:
        model: of generic dataflow nodes.
        folder: where the child is written, as partition_0.onnx.

    Raises:
        UserError: there is no dataflow node, there would be more than one partition, or nodes stay outside; the message
            names the first of them and what caused it.
    """
    from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition

    outside = nodes_outside_hardware(model)
    if outside:
        remedy = "every node of the accelerator needs integer tensors and a dataflow layer"
        raise UserError(f"node {outside[0][0]}", "a dataflow layer", f"none, because of {outside[0][1]}", remedy)
    folder.mkdir(parents=True, exist_ok=True)
    parent = apply_pass(model, CreateDataflowPartition(str(folder)))
    nodes = [node for node in parent.graph.node if node.op_type == "StreamingDataflowPartition"]
    if len(nodes) != 1 or len(parent.graph.node) != 1:
        names = ", ".join(label(node) for node in parent.graph.node)
        raise UserError("dataflow partition", "exactly one", names, "let no node stand between two dataflow parts")
    instance = getCustomOp(nodes[0])
    file = Path(instance.get_nodeattr("model"))
    with quiet():
        child = ModelWrapper(str(file))
    child.rename_tensor(child.graph.input[0].name, INPUT)
    child.rename_tensor(child.graph.output[0].name, parent.graph.output[0].name)
    child = apply_pass(child, GiveUniqueNodeNames())
    child.save(str(file))
    instance.set_nodeattr("model", file.name)
    return Partition(parent, child)
