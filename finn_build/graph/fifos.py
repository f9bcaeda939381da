"""Width converters, FIFOs and DMAs: what stands between the layers."""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes

from finn_build.adapter import apply_pass, apply_passes, quiet
from finn_build.errors import CheckFailed
from finn_build.folding.rules import generic_op
from finn_build.graph.cleanup import INPUT
from finn_build.graph.walk import attributes, producer

DEFAULT_DEPTH = 32
"""Words of a FIFO between two layers of one path."""


@dataclass(frozen=True)
class BypassFifo:
    """A FIFO that lets one branch of a residual block wait for the other.

    Attributes:
        add: the addition.
        branch: the branch's last node.
        depth_words: capacity.
        bits: of a word.
    """

    add: str
    branch: str
    depth_words: int
    bits: int


def set_safe_depths(model: ModelWrapper) -> tuple[ModelWrapper, list[BypassFifo]]:
    """Sets FIFO depths with which no addition can deadlock.

    A fork hands a word to both branches at once, so the branch with less buffering in it must hold what the other still
    needs before its first result. One whole tensor always suffices: then the fork never waits for the bypass within a
    frame. It is more than needed; simulation can shrink it.

    Args:
        model: specialised and folded.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    found = []
    for node in model.graph.node:
        instance = getCustomOp(node)
        instance.set_nodeattr("inFIFODepths", [DEFAULT_DEPTH] * len(node.input))
        instance.set_nodeattr("outFIFODepths", [DEFAULT_DEPTH] * len(node.output))
    for node in model.graph.node:
        if generic_op(node) != "ElementwiseAdd" or model.get_initializer(node.input[1]) is not None:
            continue
        instance = getCustomOp(node)
        windows = [_window_words(model, name) for name in node.input]
        depths = [DEFAULT_DEPTH, DEFAULT_DEPTH]
        for index, words in enumerate(windows):
            if words > windows[1 - index]:
                continue
            depths[index] = int(np.prod(instance.get_folded_input_shape(index)[:-1]))
            before = producer(model, node.input[index])
            name = before.name if before is not None else node.input[index]
            found.append(BypassFifo(node.name, name, depths[index], int(instance.get_instream_width(index))))
        instance.set_nodeattr("inFIFODepths", depths)
    return model, found


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
    model = apply_passes(
        model, [GiveUniqueNodeNames(), GiveReadableTensorNames(), InferDataTypes(), InferDataLayouts()]
    )
    model.rename_tensor(model.graph.input[0].name, INPUT)
    model.rename_tensor(model.graph.output[0].name, output)
    for node in model.graph.node:
        if not _is_specialised(node):
            raise CheckFailed("codegen", f"{node.name} has no variant", "report this as a bug")
    return model


def _is_specialised(node: NodeProto) -> bool:
    return str(node.domain).endswith((".hls", ".rtl"))
