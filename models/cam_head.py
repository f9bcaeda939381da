"""The conditions under which a CAM block computes a network's logits exactly, read off its QONNX graph."""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.errors import ModelError


@dataclass(frozen=True)
class Check:
    """One condition and what was found.

    Args:
        name: the condition.
        measured: what the graph has.
        limit: what it must have.
        passed: whether it does.
    """

    name: str
    measured: str
    limit: str
    passed: bool


@dataclass(frozen=True)
class Quantiser:
    """A QONNX Quant node with its constants."""

    node: onnx.NodeProto
    scale: NDArray[np.float64]
    zero_point: NDArray[np.float64]
    bits: int
    signed: bool
    narrow: bool


class Graph:
    """A QONNX graph with its producers, consumers and constants looked up by tensor name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.output = model.graph.output[0].name
        self.producers = {name: node for node in self.nodes for name in node.output}
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def quantiser(self, tensor: str) -> Quantiser | None:
        """The Quant node that gives `tensor`, or None."""
        node = self.producers.get(tensor)
        if node is None or node.op_type != "Quant":
            return None
        scale, zero_point, bits = (self.constants[name].astype(np.float64) for name in node.input[1:4])
        flags = {attribute.name: attribute.i for attribute in node.attribute}
        return Quantiser(node, scale, zero_point, int(bits), bool(flags["signed"]), bool(flags["narrow"]))

    def past_reshapes(self, tensor: str) -> str:
        """Back over nodes that move no value, to the tensor where the values come from."""
        while (node := self.producers.get(tensor)) is not None and node.op_type in RESHAPES:
            tensor = node.input[0]
        return tensor


RESHAPES = ("Flatten", "Reshape", "Squeeze")
NAMES = (
    "pooling is a plain average over the whole map",
    "nothing is requantised after pooling",
    "the classifier's scale is per tensor",
    "the classifier has no bias",
    "the classifier's weights are integers of their width",
    "the tap is unsigned",
)


def check_cam_head(model: onnx.ModelProto) -> list[Check]:
    """Check every condition of the CAM head on a QONNX graph with the single output `logits`.

    Args:
        model: with Quant nodes, as Brevitas exports it.

    Returns:
        One check for each of `NAMES`, in that order; what cannot be found fails.
    """
    graph = Graph(model)
    classifier, bias = _classifier(graph)
    pooled = graph.past_reshapes(classifier.input[0]) if classifier is not None else ""
    requantiser = graph.quantiser(pooled)
    if requantiser is not None:
        pooled = graph.past_reshapes(requantiser.node.input[0])
    pooling = graph.producers.get(pooled)
    tap = graph.quantiser(pooling.input[0]) if pooling is not None else None
    weights = graph.quantiser(classifier.input[1]) if classifier is not None else None
    codes = None if weights is None else _codes(graph, weights)
    largest = 0 if weights is None else 2 ** (weights.bits - 1) - 1

    def check(number: int, measured: str, limit: str, passed: bool) -> Check:
        return Check(NAMES[number], measured, limit, passed)

    return [
        check(0, pooling.op_type if pooling else "none", "an average over height and width", _averages(graph, pooling)),
        check(1, "nothing" if requantiser is None else requantiser.node.name, "nothing", requantiser is None),
        check(
            2,
            "no quantiser" if weights is None else f"{weights.scale.size} scales",
            "1 scale",
            weights is not None and weights.scale.size == 1,
        ),
        check(3, bias or "none", "none", not bias),
        check(
            4,
            "no constant" if codes is None else f"{codes.min():g} … {codes.max():g}",
            f"integers within ±{largest}",
            codes is not None and bool((codes == np.round(codes)).all()) and bool((np.abs(codes) <= largest).all()),
        ),
        check(
            5,
            "no quantiser" if tap is None else f"{'signed' if tap.signed else 'unsigned'}, {tap.scale.size} scales",
            "unsigned, 1 scales",
            tap is not None and not tap.signed and tap.scale.size == 1 and not tap.zero_point.any(),
        ),
    ]


def check_adds(model: onnx.ModelProto) -> list[Check]:
    """Check that both branches of every residual add have one scale and one sign.

    An add whose branches differ in scale is no sum of integers, and streamlining would skip it without a word.
    """
    graph = Graph(model)
    checks = []
    for node in graph.nodes:
        if node.op_type != "Add" or any(name in graph.constants for name in node.input):
            continue
        sides = [graph.quantiser(name) for name in node.input]
        found = [
            "unquantised" if side is None else f"{'INT' if side.signed else 'UINT'}{side.bits} at {side.scale.tolist()}"
            for side in sides
        ]
        first, second = sides
        same = first is not None and second is not None and found[0] == found[1] and first.scale.size == 1
        checks.append(Check(f"both branches of {node.name} have one scale", " and ".join(found), "equal", same))
    return checks


def require(checks: list[Check], place: str) -> None:
    """Stop at the first condition that is not met.

    Raises:
        ModelError: names it.
    """
    for check in checks:
        if not check.passed:
            raise ModelError(
                place, f"{check.name}: {check.limit}", check.measured, "change the network: it has no exact CAM head"
            )


def _classifier(graph: Graph) -> tuple[onnx.NodeProto | None, str]:
    """The matrix product that gives the logits, and what its bias is ("" for none)."""
    node = graph.producers.get(graph.past_reshapes(graph.output))
    bias = ""
    if node is not None and node.op_type == "Add":
        bias = node.name
        products = [graph.producers.get(name) for name in node.input]
        node = next((product for product in products if product is not None and product.op_type == "MatMul"), None)
    if node is None or node.op_type not in ("Gemm", "MatMul"):
        return None, bias
    if len(node.input) > 2 and node.input[2]:
        bias = node.input[2]
    return node, bias


def _codes(graph: Graph, weights: Quantiser) -> NDArray[np.float64] | None:
    """The codes that a weight quantiser gives, float64 as they come out of the division, rounded."""
    values = graph.constants.get(weights.node.input[0])
    if values is None:
        return None
    # In float32, as Brevitas and every executor of the graph divide.
    codes = np.round(values.astype(np.float32) / weights.scale.astype(np.float32)) + weights.zero_point
    low = -(2.0 ** (weights.bits - 1)) + float(weights.narrow) if weights.signed else 0.0
    high = 2.0 ** (weights.bits - 1) - 1 if weights.signed else 2.0**weights.bits - 1
    clipped: NDArray[np.float64] = np.clip(codes, low, high).astype(np.float64)
    return clipped


def _averages(graph: Graph, pooling: onnx.NodeProto | None) -> bool:
    if pooling is None:
        return False
    if pooling.op_type == "GlobalAveragePool":
        return True
    if pooling.op_type != "ReduceMean":
        return False
    if len(pooling.input) > 1:
        axes = graph.constants[pooling.input[1]].tolist()
    else:
        axes = next((list(attribute.ints) for attribute in pooling.attribute if attribute.name == "axes"), [])
    return sorted(axis % 4 for axis in axes) == [2, 3]
