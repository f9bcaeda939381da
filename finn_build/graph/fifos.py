"""Width converters, FIFOs and DMAs: what stands between the layers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes

from finn_build.adapter import apply_pass, apply_passes, quiet
from finn_build.errors import CheckFailed, UserError
from finn_build.folding.rules import LEAST_DEPTH, generic_op
from finn_build.graph.cleanup import INPUT
from finn_build.graph.specialise import BETWEEN_LAYERS
from finn_build.graph.walk import attributes, computed_inputs, producer
from finn_build.resources.devices import device

DEFAULT_DEPTH = 32
"""Words of a FIFO between two layers of one path."""
BRAM18_BITS = 18 * 1024

Depths = Mapping[str, Mapping[str, Any]]
"""`inFIFODepths` and `outFIFODepths`, one a stream, by node: a folding, or what is like one."""


@dataclass(frozen=True)
class BypassFifo:
    """A FIFO that lets one branch of a residual block wait for the other.

    Attributes:
        add: the addition.
        branch: the branch's last node.
        depth_words: capacity.
        bits: of a word.
        whole_words: of one tensor, which is certain to suffice.
    """

    add: str
    branch: str
    depth_words: int
    bits: int
    whole_words: int

    @property
    def safe(self) -> bool:
        """Whether it cannot deadlock, whatever the other branch needs."""
        return self.depth_words >= self.whole_words


def set_safe_depths(
    model: ModelWrapper, given: Depths | None = None, place: str = "folding", part: str | None = None
) -> tuple[ModelWrapper, list[BypassFifo]]:
    """Sets FIFO depths: those that are given, and elsewhere such that no addition can deadlock.

    A fork hands a word to both branches at once, so the branch with less buffering in it must hold what the other still
    needs before its first result. One whole tensor always suffices: then the fork never waits for the bypass within a
    frame. It is more than needed; a depth that is given may be less, and simulation shows whether it is enough.

    A stream's FIFO is as deep as the greater of what its two ends say (FINN's rule), so an end that is not given gives
    way to one that is. Where a width converter stands between, each end has a FIFO of its own.

    Args:
        model: specialised and folded.
        given: `inFIFODepths` and `outFIFODepths` of some nodes, as `lint_folding` passes them; other keys are ignored.
        place: where they stand, for the message.
        part: the FPGA part, whose block RAM bounds what is given.

    Returns:
        The model, and the bypasses as they are now.

    Raises:
        UserError: a depth that the chip's block RAM cannot hold.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    given = given or {}
    wholes = _bypasses(model)
    for node in model.graph.node:
        inputs, outputs = range(len(computed_inputs(model, node))), range(len(node.output))
        instance = getCustomOp(node)
        safe = {
            "inFIFODepths": [wholes.get((node.name, index), DEFAULT_DEPTH) for index in inputs],
            "outFIFODepths": [DEFAULT_DEPTH for _ in outputs],
        }
        for key, depths in safe.items():
            told = _given(given, node, key)
            if part is not None:
                width = instance.get_instream_width if key == "inFIFODepths" else instance.get_outstream_width
                for index, depth in enumerate(told):
                    _check_room(f"{place}: {node.name}.{key}", depth, int(width(index)), part)
            instance.set_nodeattr(key, told or depths)
    for node in model.graph.node:
        for index, tensor in enumerate(computed_inputs(model, node)):
            _give_way(model, given, node, index, tensor)
    return model, [_bypass(model, name, index, whole) for (name, index), whole in wholes.items()]


def _given(given: Depths, node: NodeProto, key: str) -> list[int]:
    return [int(depth) for depth in given.get(node.name, {}).get(key, [])]


def _check_room(place: str, depth: int, bits: int, part: str) -> None:
    most = device(part)["BRAM18"] * BRAM18_BITS // bits
    if depth > most:
        expected = f"at most {most:,} words of {bits} bits, which fill the block RAM of {part}"
        raise UserError(place, expected, f"{depth:,}", "correct the depths")


def _give_way(model: ModelWrapper, given: Depths, node: NodeProto, index: int, tensor: str) -> None:
    """Lets the end of a stream that is not given ask for no more than the end that is."""
    before = producer(model, tensor)
    if before is None:
        return
    port = list(before.output).index(tensor)
    giver, taker = getCustomOp(before), getCustomOp(node)
    if giver.get_folded_output_shape(port)[-1] != taker.get_folded_input_shape(index)[-1]:
        return
    ends = ((giver, "outFIFODepths", port, before), (taker, "inFIFODepths", index, node))
    told = [bool(_given(given, owner, key)) for _, key, _, owner in ends]
    for (instance, key, number, _), own, other in zip(ends, told, told[::-1], strict=True):
        if other and not own:
            depths = list(instance.get_nodeattr(key))
            depths[number] = LEAST_DEPTH
            instance.set_nodeattr(key, depths)


def _bypasses(model: ModelWrapper) -> dict[tuple[str, int], int]:
    """Words of one whole tensor at each input of an addition that ends a bypass: a branch with no more windows."""
    found: dict[tuple[str, int], int] = {}
    for node in model.graph.node:
        if generic_op(node) != "ElementwiseAdd" or model.get_initializer(node.input[1]) is not None:
            continue
        windows = [_window_words(model, name) for name in node.input]
        for index, words in enumerate(windows):
            if words <= windows[1 - index]:
                shape = getCustomOp(node).get_folded_input_shape(index)
                found[node.name, index] = int(np.prod(shape[:-1]))
    return found


def _bypass(model: ModelWrapper, add: str, index: int, whole: int) -> BypassFifo:
    node = next(node for node in model.graph.node if node.name == add)
    instance, before = getCustomOp(node), producer(model, node.input[index])
    depth = int(instance.get_nodeattr("inFIFODepths")[index])
    if before is None:
        return BypassFifo(add, node.input[index], depth, int(instance.get_instream_width(index)), whole)
    giver, port = getCustomOp(before), list(before.output).index(node.input[index])
    if giver.get_folded_output_shape(port)[-1] == instance.get_folded_input_shape(index)[-1]:
        depth = max(depth, int(giver.get_nodeattr("outFIFODepths")[port]))
    return BypassFifo(add, before.name, depth, int(instance.get_instream_width(index)), whole)


def _window_words(model: ModelWrapper, tensor: str) -> int:
    """Values that a branch's sliding windows hold before their first output, up to the fork."""
    total = 0
    node = producer(model, tensor)
    while node is not None and generic_op(node) != "DuplicateStreams":
        if generic_op(node) == "ConvolutionInputGenerator":
            values = attributes(node)
            height, width = values["ConvKernelDim"]
            total += ((height - 1) * values["IFMDim"][1] + width - 1) * values["IFMChannels"]
        node = producer(model, node.input[0])
    return total


def connect(model: ModelWrapper, part: str, with_dma: bool = True) -> ModelWrapper:
    """Inserts width converters where streams differ, FIFOs of the depths that are set, and DMAs at both ends.

    The DMAs come last: their streams are bytes, which FINN's FIFOs do not fit to wider values, and behind a FIFO
    InsertIODMA never meets the forks at which it does not end.

    Args:
        model: specialised, folded, with FIFO depths.
        part: FPGA part.
        with_dma: whether input and output go through DMAs.

    Raises:
        CheckFailed: a converter or FIFO has no RTL variant.
    """
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    output = model.graph.output[0].name
    model = apply_passes(model, [InsertDWC(), InsertFIFO(create_shallow_fifos=True)])
    with quiet():
        for node in model.graph.node:
            if node.op_type == "StreamingFIFO" and getCustomOp(node).get_ram_style() == "ultra":
                # FINN puts deep FIFOs into UltraRAM, which this chip does not have; its estimate counts them as none.
                getCustomOp(node).set_nodeattr("ram_style", "block")
    model = apply_pass(model, SpecializeLayers(part))
    if with_dma:
        model = apply_pass(model, InsertIODMA(max_intfwidth=64, insert_extmemw=False))
    _name_between_layers(model)
    model = apply_passes(model, [GiveReadableTensorNames(), InferDataTypes(), InferDataLayouts()])
    for node in model.graph.node:
        if node.op_type == "IODMA_hls":
            # A DMA moves the bytes that InsertIODMA counted. Of a tap's stream, values of fewer bits each in its own
            # beat, FINN would infer the tap's type for it, and it would move 5 bytes of 8 and count images wrongly.
            getCustomOp(node).set_nodeattr("dataType", "UINT8")
    model.rename_tensor(model.graph.input[0].name, INPUT)
    model.rename_tensor(model.graph.output[0].name, output)
    for node in model.graph.node:
        if not _is_specialised(node):
            raise CheckFailed("codegen", f"{node.name} has no variant", "report this as a bug")
    return model


def _name_between_layers(model: ModelWrapper) -> None:
    """Numbers FIFOs, converters and DMAs; the layers keep the names that they have in the folding JSON."""
    counts: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type.startswith(BETWEEN_LAYERS):
            node.name = f"{node.op_type}_{counts[node.op_type]}"
            counts[node.op_type] += 1


def _is_specialised(node: NodeProto) -> bool:
    return str(node.domain).endswith((".hls", ".rtl"))
