"""What each operator is as a state machine: its kind in the kernel, and the numbers that decide when it moves words."""

from collections.abc import Sequence
from enum import IntEnum
from math import gcd, prod
from typing import Any, NamedTuple

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from cam_postproc.block import CamBlock
from cam_postproc.cost import estimate_cost
from finn_build.folding.rules import generic_op
from finn_build.streams.storage import storage


class Kind(IntEnum):
    """As in streams.cpp."""

    FIFO = 0
    BLOCK_FIFO = 1
    FORK = 2
    ADD = 3
    CONVERTER = 4
    PADDING = 5
    SWG = 6
    PARALLEL_SWG = 7
    MVU = 8
    OWN_MVU = 9
    THRESHOLD = 10
    CAM = 11
    ESTIMATE = 12


class Machine(NamedTuple):
    """A kind, its parameters, and for the CAM block the script of its packet: (cycles without a byte, bytes) …"""

    kind: Kind
    parameters: tuple[int, ...] = ()
    script: tuple[tuple[int, int], ...] = ()


def machine(model: ModelWrapper, node: NodeProto) -> Machine | None:
    """The state machine of a node of the connected graph; None for a wire."""
    op, instance, is_rtl = generic_op(node), getCustomOp(node), str(node.domain).endswith(".rtl")
    if op == "StreamingFIFO":
        return fifo_machine(
            int(instance.get_nodeattr("depth")),
            int(instance.get_instream_width_padded()),
            str(instance.get_nodeattr("ram_style")),
        )
    if op == "StreamingDataWidthConverter":
        wide_in, wide_out = int(instance.get_instream_width()), int(instance.get_outstream_width())
        unit = gcd(wide_in, wide_out)
        return Machine(Kind.CONVERTER, (wide_in // unit, wide_out // unit)) if wide_in != wide_out else None
    if op == "ClassActivationMap":
        return _cam(instance.block, is_rtl)
    found = {
        "DuplicateStreams": lambda _: Machine(Kind.FORK),
        "ElementwiseAdd": lambda _: Machine(Kind.ADD),
        "FMPadding": _padding,
        "ConvolutionInputGenerator": _window,
        "MVAU": _mvu,
        "Thresholding": _thresholding,
    }.get(op)
    made = found(instance) if found is not None and is_rtl else None
    return made if made is not None else _estimate(node, instance)


def words_of(folded_shape: Sequence[int]) -> int:
    """Words of a frame on a stream of this folded shape, whose last axis is a word."""
    return int(prod(folded_shape[:-1]))


def fifo_machine(depth: int, bits: int, ram_style: str) -> Machine:
    """FINN's FIFO of so many words of so many bits."""
    kept = storage(depth, bits, ram_style)
    return Machine(Kind.BLOCK_FIFO if kept.kind == "block" else Kind.FIFO, (kept.memory_words,))


def _padding(instance: Any) -> Machine:
    height, width = instance.get_nodeattr("ImgDim")
    top, left, bottom, right = instance.get_nodeattr("Padding")
    fold = int(instance.get_nodeattr("NumChannels")) // int(instance.get_nodeattr("SIMD"))
    x, y = (left, left + width, left + width + right - 1), (top, top + height, top + height + bottom - 1)
    return Machine(Kind.PADDING, (fold, *x, *y))


def _window(instance: Any) -> Machine | None:
    if instance.get_nodeattr("depthwise") or instance.get_nodeattr("dynamic_mode"):
        return None
    parallel = instance.select_impl_style() == "parallel"
    (kh, kw), (sh, sw), (dh, dw) = (instance.get_nodeattr(name) for name in ("ConvKernelDim", "Stride", "Dilation"))
    (oh, ow), (height, width) = instance.get_nodeattr("OFMDim"), instance.get_nodeattr("IFMDim")
    fold = int(instance.get_nodeattr("IFMChannels")) // int(instance.get_nodeattr("SIMD"))
    tall, wide = (kh - 1) * dh + 1, (kw - 1) * dw + 1
    skip_rows, skip_columns = height % (tall + (oh - 1) * sh), width % (wide + (ow - 1) * sw)
    last_read = height * width * fold - 1
    last_write = ((height - skip_rows - 1) * width + width - skip_columns) * fold - 1
    if parallel:
        window = (fold, 1, 1, oh, ow, sh, sw, 1, 1, width)
        return Machine(Kind.PARALLEL_SWG, (*window, ((tall - 1) * width + wide - 1) * fold, last_read, last_write))
    least = ((tall - 1) * width + wide) * fold
    window = (fold, kh, kw, oh, ow, sh, sw, dh, dw, width)
    return Machine(Kind.SWG, (*window, int(instance.get_buffer_depth()), last_read, last_write, least - 1))


def _mvu(instance: Any) -> Machine:
    simd = int(instance.get_nodeattr("SIMD"))
    sums = int(instance.get_nodeattr("MH")) // int(instance.get_nodeattr("PE"))
    folds = int(instance.get_nodeattr("MW")) // simd, sums
    if instance.is_own:
        return Machine(Kind.OWN_MVU, (*folds, instance.timing.latency, instance.timing.queue))
    return Machine(Kind.MVU, (*folds, 4 + (simd - 1).bit_length() + (simd == 1)))


def _thresholding(instance: Any) -> Machine:
    steps = int(instance.get_nodeattr("numSteps")).bit_length()
    return Machine(Kind.THRESHOLD, (steps * (1 + int(instance.get_nodeattr("deep_pipeline"))),))


def _cam(block: CamBlock, is_rtl: bool) -> Machine:
    spec = block.spec
    taken = spec.pixels * block.channel_fold
    if not is_rtl:
        cost = estimate_cost(block)
        sent = spec.layout.length
        fold, rest = block.class_fold if block.storage == "maps" else 1, cost.latency - taken
        # Accumulating comes before the packet, sending is its last part.
        wait = max(0, rest - taken * (fold - 1) - sent)
        return Machine(Kind.CAM, (taken, fold, block.out_bytes, 4), ((wait, sent),))
    row = 2 * spec.map_width + 5
    scan = spec.classes + 3
    # How far a map's range must be shifted depends on the image; a third of its bits is ordinary.
    normalise = 2 * spec.pixels + spec.range_bits // 3 + 1 + spec.dividend_bits + 12
    resize = [(row + 6, spec.out_width)] + [(row, spec.out_width)] * (spec.out_height - 1)
    peak = 6 + spec.out_height * (row + spec.out_width)
    script: list[tuple[int, int]] = [(scan + normalise + peak, 16), *[(1, 4)] * spec.classes, *resize]
    for _ in range(spec.shown - 1):
        script += [(1 + scan + normalise, 0), *resize]
    script += [(1, spec.layout.length - spec.layout.used_bytes), (1, 0)]
    return Machine(Kind.CAM, (taken, block.class_fold, block.out_bytes, 4), tuple(script))


def _estimate(node: NodeProto, instance: Any) -> Machine:
    """An operator that the model does not know to the cycle: HLS, at FINN's estimate of its cycles."""
    taken, given = words_of(instance.get_folded_input_shape(0)), words_of(instance.get_folded_output_shape(0))
    unit = 1 if generic_op(node) == "GlobalAccPool" else gcd(taken, given)
    pace = max(1, -(-int(instance.get_exp_cycles()) // max(taken, given)))
    return Machine(Kind.ESTIMATE, (taken // unit, given // unit, pace, 8, 2 * given // unit + 16))
