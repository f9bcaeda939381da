"""The choice that a folding is: what each node may be, what that takes, and what stands between neighbours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.folding.costs.cost import Cost
from finn_build.folding.costs.fit import predict
from finn_build.folding.costs.nodes import bits, cost_of
from finn_build.folding.rules import MOST_STREAM_BITS, folding_rule, generic_op
from finn_build.graph.walk import attributes, consumers, producer
from finn_build.resources.chains import ChainSize, chain_fits
from finn_build.resources.devices import multiplier_bits
from finn_build.resources.lanes import LARGEST_WEIGHT_BITS

MOST_LUT_MEMORY_DEPTH = 1024
LEAST_BLOCK_DEPTH = 64
CHAIN_DEPTH = 2
"""Words of a FIFO between two layers of one path while foldings are compared; those computed are about that."""


@dataclass(frozen=True)
class Option:
    """One way of building a node.

    Attributes:
        attributes: what the folding file says of it.
        cycles: from frame to frame, by itself.
        lanes_in: elements in a word of its inputs.
        lanes_out: of its outputs.
        cost: what it takes.
    """

    attributes: Mapping[str, Any]
    cycles: int
    lanes_in: int
    lanes_out: int
    cost: Cost


@dataclass(frozen=True)
class Choice:
    """A node and its options, at least one."""

    name: str
    op: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Link:
    """A stream between two nodes, or from or to a DMA (None).

    Attributes:
        source: index of a node, or None.
        target: likewise.
        bits: of an element.
        bypassed: elements that the FIFO in it holds while the layers that it bypasses fill; 0 on a chain.
        backlog: elements that wait before a unit, so that it goes on while the window before it fills anew.
        equal: whether both sides have to have as many lanes: no converter may stand there.
    """

    source: int | None
    target: int | None
    bits: int
    bypassed: int
    backlog: int
    equal: bool

    def cost(self, left: int, right: int) -> Cost:
        """Of FIFOs and converter between words of `left` and `right` elements; what waits does so in narrow words."""
        if self.source is None or self.target is None or left == right:
            lanes = left if self.source is not None else right
            return self._fifo(lanes, max(self.bypassed, self.backlog))
        before, after = (self.backlog, 0) if left < right else (0, self.backlog)
        fifos = self._fifo(left, before) + self._fifo(right, max(after, self.bypassed))
        return fifos + self.converter(left, right)

    def converter(self, left: int, right: int) -> Cost:
        """Of the converter alone between words of `left` and `right` elements; nothing where none is needed."""
        if self.source is None or self.target is None or left == right:
            return Cost()
        return _predicted("StreamingDataWidthConverter", left * self.bits, right * self.bits)

    def _fifo(self, lanes: int, held: int) -> Cost:
        return _fifo(lanes * self.bits, max(CHAIN_DEPTH, held // lanes))


@dataclass(frozen=True)
class Problem:
    """Nodes in the graph's order, the streams between them, and what is there in any case."""

    choices: tuple[Choice, ...]
    links: tuple[Link, ...]
    fixed: Cost


@cache
def _predicted(kind: str, left: int, right: int) -> Cost:
    return predict(kind, {"in_bits": left, "out_bits": right})


@cache
def _fifo(width: int, depth: int) -> Cost:
    return predict("StreamingFIFO", {"width": width, "depth": depth, "style": "block" if depth > 2028 else "auto"})


def problem_of(model: ModelWrapper, part: str, fixed: Cost) -> Problem:
    """Reads a specialised graph, before converters and FIFOs are inserted.

    Args:
        model: specialised, its nodes the RTL ones where the project has some.
        part: FPGA part.
        fixed: what is there whatever the folding is, for instance the DMAs.

    Raises:
        UserError: a node of which nothing is known, or without any legal option.
    """
    with quiet():
        choices = tuple(_choice(node, part) for node in model.graph.node)
    return Problem(choices, tuple(_links(model)), fixed)


def _choice(node: NodeProto, part: str) -> Choice:
    copy = NodeProto()
    copy.CopyFrom(node)
    options = tuple(_undominated(list(_options(copy, part))))
    if not options:
        raise UserError(f"node {node.name}", "a legal folding", "none", "its streams would be too wide in any")
    return Choice(node.name, generic_op(node), options)


def _options(node: NodeProto, part: str) -> Iterator[Option]:
    op, rule, get = generic_op(node), folding_rule(node), attributes(node)
    numbers = rule.numbers
    if op == "MVAU":
        for pe in numbers["PE"]:
            for simd in numbers["SIMD"]:
                yield from _matrix_options(node, part, pe, simd)
    elif op == "ConvolutionInputGenerator":
        for simd in numbers["SIMD"]:
            for style in ("distributed", "block"):
                changes = {"SIMD": simd, "parallel_window": 0, "ram_style": style}
                yield _option(node, part, changes, simd, simd)
    elif op == "ClassActivationMap":
        out = int(get["OutBytes"])
        for pe in numbers["PE"]:
            for class_pe in numbers["ClassPE"]:
                if pe * class_pe <= MOST_CAM_MULTIPLIERS:
                    yield _option(node, part, {"PE": pe, "ClassPE": class_pe, "OutBytes": out}, pe, out)
    elif op == "Thresholding":
        for lanes in numbers["PE"]:
            deepest = (int(get["NumChannels"]) // lanes) << (int(get["numSteps"]).bit_length() - 1)
            for trigger in (0, *(depth for depth in THRESHOLD_BLOCK_DEPTHS if depth <= deepest)):
                yield _option(node, part, {"PE": lanes, "depth_trigger_bram": trigger}, lanes, lanes)
    else:
        name = "SIMD" if "SIMD" in numbers else "PE"
        if name not in numbers:
            raise UserError(f"node {node.name}", "an operator whose folding is known", op, "fold it by hand")
        for lanes in numbers[name]:
            yield _option(node, part, {name: lanes}, lanes, lanes)


MOST_CAM_MULTIPLIERS = 64


THRESHOLD_BLOCK_DEPTHS = (64, 128, 256, 512, 1024)
"""Words from which a stage's memory of thresholds may be put into block RAM."""


def _matrix_options(node: NodeProto, part: str, pe: int, simd: int) -> Iterator[Option]:
    get = attributes(node)
    depth = get["MW"] * get["MH"] // (pe * simd)
    if pe * simd * bits(get["weightDataType"]) > MOST_STREAM_BITS:
        return
    cycles = depth * prod(get["numInputVectors"])
    size = ChainSize(simd, bits(get["weightDataType"]), bits(get["inputDataType"]))
    chains = multiplier_bits(part) == LARGEST_WEIGHT_BITS
    for core, words in CORES.items():
        if core == "dsp" and simd == get["MW"]:
            # With a result a cycle the output queue of FINN's core overflows where the next node makes it wait: its
            # length counts the results in the pipeline, not those that still enter it before it has stopped.
            continue
        if core == "chain" and not (chains and chain_fits(size)):
            continue
        for style in ("distributed", "block"):
            if style == "distributed" and depth > MOST_LUT_MEMORY_DEPTH:
                continue
            if style == "block" and depth < LEAST_BLOCK_DEPTH:
                continue
            changes = {"PE": pe, "SIMD": simd, **words, "ram_style": style}
            yield Option(changes, cycles, simd, pe, _cost(node, part, changes))


CORES: Mapping[str, Mapping[str, str]] = {
    "dsp": {"resType": "dsp", "dspStyle": "lanes"},
    "chain": {"resType": "dsp", "dspStyle": "chain"},
    "lut": {"resType": "lut"},
}
"""Attributes of each core of a matrix-vector unit."""


def _option(node: NodeProto, part: str, changes: dict[str, Any], lanes_in: int, lanes_out: int) -> Option:
    instance = getCustomOp(node)
    for name, value in changes.items():
        instance.set_nodeattr(name, value)
    return Option(changes, int(instance.get_exp_cycles()), lanes_in, lanes_out, _cost(node, part, changes))


def _cost(node: NodeProto, part: str, changes: Mapping[str, Any]) -> Cost:
    found = cost_of(node, changes, part)
    if found is not None:
        return found
    # What is HLS alone: FINN's figures, which leave logic out.
    figures = getCustomOp(node).node_res_estimation(part)
    return Cost(figures["LUT"], 0.0, figures["BRAM_18K"], figures["DSP"])


def as_folded(node: NodeProto, part: str) -> Option:
    """A node as it is, as an option."""
    instance, entry = getCustomOp(node), folding_rule(node)
    return Option(
        {name: instance.get_nodeattr(name) for name in (*entry.numbers, *entry.words)},
        int(instance.get_exp_cycles()),
        int(instance.get_folded_input_shape()[-1]),
        int(instance.get_folded_output_shape()[-1]),
        _cost(node, part, {}),
    )


def _undominated(options: list[Option]) -> Iterator[Option]:
    """Without those that another of the same words beats in every respect."""
    groups: dict[tuple[int, int], list[Option]] = {}
    for option in options:
        groups.setdefault((option.lanes_in, option.lanes_out), []).append(option)
    for group in groups.values():
        kept: list[Option] = []
        for option in sorted(group, key=lambda o: (o.cycles, o.cost.lut)):
            if not any(other.cycles <= option.cycles and _no_dearer(other.cost, option.cost) for other in kept):
                kept.append(option)
        yield from kept


def _no_dearer(one: Cost, other: Cost) -> bool:
    return one.lut <= other.lut and one.ff <= other.ff and one.bram18 <= other.bram18 and one.dsp <= other.dsp


BACKLOG_ROWS = 0.6
"""Rows of windows that wait before a matrix-vector unit while foldings are compared, likewise: the last row, padded,
comes in a burst, and then none until two rows of the next frame are there."""
PADDING_ROWS = 0.25
"""Rows of a map that wait before its padding, likewise, while that writes rows of zeros."""

BYPASS_ROWS = 6
"""Rows of a map that wait beside two 3×3 convolutions, while foldings are compared; a build computes it to the word."""


def _bypassed(model: ModelWrapper, tensor: str) -> int:
    shape = model.get_tensor_shape(tensor)
    return int(prod(shape) * min(1.0, BYPASS_ROWS / shape[1])) if len(shape) == 4 else int(prod(shape))


def _backlog(before: NodeProto | None, node: NodeProto) -> int:
    if before is None:
        return 0
    if generic_op(node) == "FMPadding":
        get = attributes(node)
        return int(PADDING_ROWS * get["ImgDim"][1] * get["NumChannels"])
    if generic_op(node) != "MVAU" or generic_op(before) != "ConvolutionInputGenerator":
        return 0
    get = attributes(before)
    window = prod(get["ConvKernelDim"]) * get["IFMChannels"]
    return int(BACKLOG_ROWS * get["OFMDim"][1] * window) if get["ConvKernelDim"][0] > 1 else 0


def _links(model: ModelWrapper) -> Iterator[Link]:
    from finn_build.graph.fifos import set_safe_depths

    index = {node.name: i for i, node in enumerate(model.graph.node)}
    bypasses = {(found.add, found.branch) for found in set_safe_depths(model)[1]}
    first = model.graph.input[0].name
    for node in model.graph.node:
        for tensor in node.input:
            before = producer(model, tensor)
            if before is None and tensor != first:
                continue
            pooled = generic_op(node) == "Pool"
            yield Link(
                index[before.name] if before is not None else None,
                index[node.name],
                int(model.get_tensor_datatype(tensor).bitwidth()),
                _bypassed(model, tensor) if before is not None and (node.name, before.name) in bypasses else 0,
                _backlog(before, node),
                pooled,
            )
        for tensor in node.output:
            if not consumers(model, tensor):
                yield Link(index[node.name], None, int(model.get_tensor_datatype(tensor).bitwidth()), 0, 0, False)
