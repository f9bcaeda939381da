"""The scales of both branches of every residual add.

FINN's MoveLinearPastEltwiseAdd moves one scale behind the add only where both branches have the same one, and skips
silently where they differ: the network then stays in floating point. So the scales are compared before it runs.
"""

from dataclasses import dataclass

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import UserError
from finn_build.graph.walk import attributes, computed_inputs, constant, label, producer, scalar

KEEPS_SCALE = ("MaxPool", "Relu", "Transpose", "Flatten", "Reshape", "Identity", "GlobalAveragePool")


@dataclass(frozen=True)
class Branch:
    """One input of an add.

    Attributes:
        scale: the value of one integer step, float64; None where the branch is not integer times one number.
        source: the quantiser that the branch comes from, or what stands in its place.
        datatype: QONNX type of the integers.
    """

    scale: float | None
    source: str
    datatype: str


@dataclass(frozen=True)
class AddScales:
    """An add of two computed tensors, and its branches."""

    add: str
    branches: tuple[Branch, Branch]

    def __str__(self) -> str:
        parts = [f"{b.source} {b.datatype} scale {_number(b.scale)}" for b in self.branches]
        return f"{self.add}: {parts[0]} | {parts[1]}"


def branch_scales(model: ModelWrapper) -> list[AddScales]:
    """The scales of every residual add.

    Args:
        model: in FINN-ONNX form: quantisers are MultiThreshold and Mul.
    """
    found = []
    for node in model.graph.node:
        inputs = computed_inputs(model, node)
        if node.op_type == "Add" and len(inputs) == 2:
            left, right = (_branch(model, name) for name in inputs)
            found.append(AddScales(label(node), (left, right)))
    return found


def check_branch_scales(model: ModelWrapper) -> list[AddScales]:
    """Refuses a network whose adds do not add integers of one scale.

    Raises:
        UserError: names the add, both branches and their scales.
    """
    found = branch_scales(model)
    for add in found:
        left, right = add.branches
        if left.scale is None or right.scale is None or left.scale != right.scale:
            got = f"{_number(left.scale)} ({left.source}) and {_number(right.scale)} ({right.source})"
            remedy = "quantise both branches with ONE shared signed quantiser before the add"
            raise UserError(f"add {add.add}", "the same scale on both branches", got, remedy)
    return found


def _branch(model: ModelWrapper, tensor: str) -> Branch:
    scale = 1.0
    while True:
        node = producer(model, tensor)
        if node is None:
            return Branch(scale, f"input {tensor}", str(model.get_tensor_datatype(tensor).name))
        if node.op_type == "MultiThreshold":
            return Branch(scale * float(attributes(node).get("out_scale", 1.0)), label(node), _datatype(node))
        inputs = computed_inputs(model, node)
        if node.op_type == "Add" and len(inputs) == 2:
            left, right = (_branch(model, name) for name in inputs)
            agreed = left.scale if left.scale == right.scale else None
            return Branch(None if agreed is None else scale * agreed, label(node), "INT")
        if node.op_type in ("Mul", "Div") and len(inputs) == 1 and node.input[0] == inputs[0]:
            factor = scalar(constant(model, node, 1))
            if factor is None:
                return Branch(None, f"{label(node)}, a scale a channel", "")
            scale = scale * factor if node.op_type == "Mul" else scale / factor
        elif node.op_type == "Add" and len(inputs) == 1 and _is_code_offset(model, node):
            pass
        elif node.op_type not in KEEPS_SCALE or not inputs:
            return Branch(None, f"{label(node)}, which is not quantised", "")
        tensor = inputs[0]


def _is_code_offset(model: ModelWrapper, node: NodeProto) -> bool:
    """The lowest code of a signed quantiser, which old exports add to a MultiThreshold's steps."""
    before = producer(model, computed_inputs(model, node)[0])
    offset = scalar(constant(model, node, 1))
    return before is not None and before.op_type == "MultiThreshold" and offset is not None and offset == int(offset)


def _datatype(node: NodeProto) -> str:
    return str(attributes(node).get("out_dtype", ""))


def _number(scale: float | None) -> str:
    return "none" if scale is None else f"{scale:.9g}"
