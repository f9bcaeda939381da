"""From generic dataflow nodes to their RTL and HLS variants for the chip."""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes

from finn_build.adapter import apply_pass, apply_passes, quiet
from finn_build.errors import CheckFailed, UserError
from finn_build.graph.walk import SHARED_THRESHOLDS, attributes, constant, producer
from finn_build.nodes.registry import register_nodes
from finn_build.nodes.variants import register_rtl_nodes

WANTED_AS_RTL = ("MVAU", "Thresholding", "ConvolutionInputGenerator", "FMPadding")
"""What has RTL for this chip, so that it can be simulated and synthesised without vendor tools."""

BETWEEN_LAYERS = ("StreamingFIFO", "StreamingDataWidthConverter", "IODMA")
FIFO_DEPTHS = ("inFIFODepths", "outFIFODepths")

WHY_HLS = {
    "DuplicateStreams": "FINN has no RTL for it",
    "ElementwiseAdd": "its RTL needs the DSP58 of Versal",
    "GlobalAccPool": "FINN has no RTL for it",
    "Pool": "FINN has no RTL for it",
    "ClassActivationMap": "the project's CAM block in C++",
}


@dataclass(frozen=True)
class Variant:
    """Which variant a node became.

    Attributes:
        node: name in the specialised graph.
        op: the generic operator.
        backend: `rtl` or `hls`.
        reason: why it is HLS; empty for RTL.
    """

    node: str
    op: str
    backend: str
    reason: str


def specialise(model: ModelWrapper, part: str) -> tuple[ModelWrapper, list[Variant]]:
    """Chooses a variant for every node and checks the choice.

    Args:
        model: generic dataflow graph.
        part: FPGA part, for instance xc7z020clg400-1.

    Raises:
        UserError: a node has no variant.
        CheckFailed: a node that has RTL for this chip became HLS, or a specialised node differs from its generic twin.
    """
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    register_nodes()
    register_rtl_nodes()
    with quiet():
        generic = ModelWrapper(model.model, make_deepcopy=True)
    for node in generic.graph.node:
        if node.op_type in WANTED_AS_RTL:
            # Below 4 bits FINN prefers HLS unless it is told otherwise.
            getCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    specialised = apply_pass(generic, SpecializeLayers(part))
    variants = [_variant(node) for node in specialised.graph.node]
    for variant in variants:
        if variant.backend == "hls" and variant.op in WANTED_AS_RTL:
            what = f"{variant.node} became HLS, though {variant.op} has RTL for {part}"
            raise CheckFailed("specialise", what, "check its weights' range and the widths of its inputs")
    differences = compare_twins(generic, specialised)
    if differences:
        raise CheckFailed("specialise", differences[0], "the specialised graph is not the verified one")
    _mark_shared_thresholds(specialised)
    return apply_passes(specialised, [InferDataTypes(), InferDataLayouts()]), variants


def _mark_shared_thresholds(model: ModelWrapper) -> None:
    """Notes where all channels have the same thresholds: a memory of equal words is none, so the node costs less."""
    for node in model.graph.node:
        values = constant(model, node, 1) if node.op_type.startswith("Thresholding") else None
        if values is not None and (values == values[:1]).all():
            node.attribute.append(helper.make_attribute(SHARED_THRESHOLDS, 1))


def _variant(node: NodeProto) -> Variant:
    op, _, backend = node.op_type.rpartition("_")
    if backend not in ("rtl", "hls") or not node.domain.endswith(f".{backend}"):
        remedy = "use only operators that FINN has a layer for"
        raise UserError(f"node {node.name}", "an RTL or HLS variant", node.op_type, remedy)
    reason = WHY_HLS.get(op, "FINN has no RTL for it") if backend == "hls" else ""
    return Variant(node.name, op, backend, reason)


def compare_twins(
    generic: ModelWrapper,
    specialised: ModelWrapper,
    ignore: tuple[str, ...] = ("preferred_impl_style", SHARED_THRESHOLDS),
) -> list[str]:
    """Compares each specialised node with the generic node that it came from: the structural check.

    The matrix-vector unit's RTL does not execute in Python, so equality of everything that determines it stands in.

    Args:
        generic: the verified graph.
        specialised: its specialised form; nodes in the same order.
        ignore: attributes that may differ.

    Returns:
        One line a difference of operator, wiring, attribute, constant, shape or type.
    """
    left, right = list(generic.graph.node), list(specialised.graph.node)
    if len(left) != len(right):
        return [f"{len(right)} nodes instead of {len(left)}"]
    found = []
    for before, after in zip(left, right, strict=True):
        place = f"{after.name} (from {before.name})"
        if after.op_type.rpartition("_")[0] != before.op_type:
            found.append(f"{place}: operator {after.op_type} instead of a variant of {before.op_type}")
        if list(before.input) != list(after.input) or list(before.output) != list(after.output):
            found.append(f"{place}: connected otherwise")
            continue
        found += [f"{place}: {text}" for text in _attribute_differences(before, after, ignore)]
        found += [f"{place}: {text}" for text in _tensor_differences(generic, specialised, before)]
    return found


def require_same_layers(specialised: ModelWrapper, connected: ModelWrapper) -> None:
    """Checks that the connected graph is the specialised one with FIFOs, converters and DMAs between its layers.

    The generated files are compared with the connected graph, so that has to hold what was verified. The order of two
    branches may be another there: both graphs are walked from the output to the image.

    Raises:
        CheckFailed: a layer, its name, its attributes or its constants differ; it names the layer, and of constants
            index and both values.
    """
    remedy = "the connected graph is not the verified one"
    waiting = [(specialised.graph.output[0].name, connected.graph.output[0].name)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        left, right = waiting.pop()
        before, after = producer(specialised, left), _layer_behind(connected, right)
        if before is None or after is None or before.op_type != after.op_type:
            if before is None and after is None:
                continue
            expected, got = (node.op_type if node is not None else "the image" for node in (before, after))
            raise CheckFailed("specialise", f"{left}: expected {expected} behind the FIFOs, got {got}", remedy)
        if (before.name, after.name) in seen:
            continue
        seen.add((before.name, after.name))
        if before.name != after.name:
            # A folding JSON, and whoever applies it, finds a layer by its name.
            raise CheckFailed("specialise", f"{before.name} is called {after.name} behind the FIFOs", remedy)
        for text in _attribute_differences(before, after, FIFO_DEPTHS):
            raise CheckFailed("specialise", f"{after.name}: {text}", remedy)
        for index in range(max(len(before.input), len(after.input))):
            old, new = constant(specialised, before, index), constant(connected, after, index)
            if old is None and new is None:
                waiting.append((before.input[index], after.input[index]))
            elif old is None or new is None or not np.array_equal(old, new):
                what = f"constant {index} of {after.name} differs{_first_difference(old, new)}"
                raise CheckFailed("specialise", what, remedy)


def _layer_behind(model: ModelWrapper, tensor: str) -> NodeProto | None:
    """The layer that gives a stream, FIFOs, converters and DMAs left out; None for the image."""
    node = producer(model, tensor)
    while node is not None and node.op_type.startswith(BETWEEN_LAYERS):
        node = producer(model, node.input[0])
    return node


def _attribute_differences(before: NodeProto, after: NodeProto, ignore: tuple[str, ...]) -> list[str]:
    old, new = attributes(before), attributes(after)
    names = sorted((set(old) | set(new)) - set(ignore))
    return [
        f"attribute {name} is {new.get(name, 'missing')} instead of {old.get(name, 'missing')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _tensor_differences(generic: ModelWrapper, specialised: ModelWrapper, node: NodeProto) -> list[str]:
    found = []
    for name in (*node.input, *node.output):
        old, new = generic.get_initializer(name), specialised.get_initializer(name)
        if (old is None) != (new is None) or (old is not None and not np.array_equal(old, new)):
            found.append(f"constant {name} differs{_first_difference(old, new)}")
        kinds = generic.get_tensor_datatype(name), specialised.get_tensor_datatype(name)
        if kinds[0] != kinds[1]:
            found.append(f"type of {name} is {kinds[1].name} instead of {kinds[0].name}")
        if generic.get_tensor_shape(name) != specialised.get_tensor_shape(name):
            found.append(f"shape of {name} differs")
    return found


def _first_difference(old: object, new: object) -> str:
    left, right = np.asarray(old), np.asarray(new)
    if left.shape != right.shape or left.dtype == object or right.dtype == object:
        return ""
    index = tuple(int(i) for i in np.argwhere(left != right)[0])
    return f" at {list(index)}: {right[index]} instead of {left[index]}"
