"""The connected graph as state machines and the streams between them."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.folding.rules import generic_op
from finn_build.streams.kernel import PARAMETERS, KernelRun, run_kernel
from finn_build.streams.operators import Kind, Machine, fifo_machine, machine, words_of


class Edge(NamedTuple):
    """A stream: the nodes that give and take its words, by their place in the graph; -1 for the outside."""

    producer: int
    consumer: int


@dataclass(frozen=True)
class Fifo:
    """A FIFO of the graph.

    Attributes:
        name: of its node.
        depth: asked for.
        bits: of a word, padded to bytes.
        ram_style: FINN's attribute.
        words: of a frame that go through it.
        before: the nearest layer, converter or fork that fills it; `the input` where there is none.
        after: the nearest that empties it; `the output` where there is none.
    """

    name: str
    depth: int
    bits: int
    ram_style: str
    words: int
    before: str
    after: str


@dataclass(frozen=True)
class StreamGraph:
    """A dataflow graph without its data.

    Attributes:
        names: of its nodes, from the input to the output.
        ops: their generic operators.
        machines: their state machines.
        edges: all streams.
        fifos: node name → FIFO.
        words: of a frame, in and out.
        estimated: nodes that are known by FINN's estimate of their cycles alone.
    """

    names: tuple[str, ...]
    ops: tuple[str, ...]
    machines: tuple[Machine, ...]
    edges: tuple[Edge, ...]
    fifos: dict[str, Fifo] = field(repr=False)
    words: tuple[int, int]
    estimated: tuple[str, ...] = ()

    def with_depths(self, depths: dict[str, int]) -> "StreamGraph":
        """The graph with other FIFO depths; a FIFO that is not named keeps its own."""
        fifos = {name: replace(fifo, depth=depths.get(name, fifo.depth)) for name, fifo in self.fifos.items()}
        machines = tuple(
            fifo_machine(fifos[name].depth, fifos[name].bits, fifos[name].ram_style) if name in depths else old
            for name, old in zip(self.names, self.machines, strict=True)
        )
        return replace(self, machines=machines, fifos=fifos)

    def run(self, frames: int, limit: int, period: int = 0) -> KernelRun:
        """Runs so many frames, or so many cycles; the input offers a frame evenly over a period, or at once."""
        parameters = np.zeros((len(self.machines), PARAMETERS), np.int64)
        table: list[int] = []
        for row, made in zip(parameters, self.machines, strict=True):
            values = list(made.parameters)
            if made.kind is Kind.CAM:
                values += [len(table), len(made.script)]
                table += [value for step in made.script for value in step]
            row[: len(values)] = values
        return run_kernel(
            np.array([made.kind for made in self.machines], np.int32),
            parameters,
            np.array(table or [0], np.int64),
            np.array(self.edges, np.int32),
            self.words,
            frames,
            limit,
            period,
        )


def stream_graph(model: ModelWrapper, *, end_at: str | None = None) -> StreamGraph:
    """The streams of a connected graph; DMAs are left out: the outside offers and takes a word a cycle.

    Args:
        model: specialised, folded and connected, in topological order.
        end_at: leave out this operator and all behind it, as the simulation does with a CAM block in C++.

    Raises:
        UserError: the graph has not one input and one output stream, or a stream that two nodes take.
    """
    with quiet():
        nodes = [node for node in model.graph.node if not str(node.op_type).startswith("IODMA")]
        if end_at is not None:
            nodes = _before(nodes, end_at)
        made = [(node, machine(model, node)) for node in nodes]
        wires = {node.output[0]: node.input[0] for node, found in made if found is None}
        kept = [(node, found) for node, found in made if found is not None]
        producers = {tensor: place for place, (node, _) in enumerate(kept) for tensor in node.output}
        takers: dict[str, int] = {}
        edges = []
        for place, (node, _) in enumerate(kept):
            for tensor in node.input:
                if model.get_initializer(tensor) is not None:
                    continue
                while tensor in wires:
                    tensor = wires[tensor]
                if tensor in takers:
                    raise UserError(f"stream {tensor}", "one consumer", "two", "fork it with DuplicateStreams")
                takers[tensor] = place
                edges.append(Edge(producers.get(tensor, -1), place))
        edges += [Edge(place, -1) for tensor, place in producers.items() if tensor not in takers]
        names = tuple(str(node.name) for node, _ in kept)
        ops = tuple(generic_op(node) for node, _ in kept)
        for what, ends in (("input", [e.producer for e in edges]), ("output", [e.consumer for e in edges])):
            if ends.count(-1) != 1:
                raise UserError(f"accelerator {what}", "one stream", str(ends.count(-1)), "end the graph at one node")
        first = next(e.consumer for e in edges if e.producer < 0)
        last = next(e.producer for e in edges if e.consumer < 0)
        words = (
            words_of(getCustomOp(kept[first][0]).get_folded_input_shape(0)),
            words_of(getCustomOp(kept[last][0]).get_folded_output_shape(0)),
        )
        fifos = {}
        for place, (node, _) in enumerate(kept):
            if ops[place] == "StreamingFIFO":
                instance = getCustomOp(node)
                fifos[names[place]] = Fifo(
                    names[place],
                    int(instance.get_nodeattr("depth")),
                    int(instance.get_instream_width_padded()),
                    str(instance.get_nodeattr("ram_style")),
                    words_of(instance.get_folded_input_shape(0)),
                    *_neighbours(place, names, edges),
                )
    estimated = tuple(names[place] for place, (_, found) in enumerate(kept) if found.kind is Kind.ESTIMATE)
    return StreamGraph(names, ops, tuple(found for _, found in kept), tuple(edges), fifos, words, estimated)


def _before(nodes: list[NodeProto], op: str) -> list[NodeProto]:
    behind: set[str] = set()
    kept = []
    for node in nodes:
        if generic_op(node) == op or behind & set(node.input):
            behind |= set(node.output)
        else:
            kept.append(node)
    return kept


def _neighbours(place: int, names: tuple[str, ...], edges: list[Edge]) -> tuple[str, str]:
    before = next(edge.producer for edge in edges if edge.consumer == place)
    after = next(edge.consumer for edge in edges if edge.producer == place)
    return ("the input" if before < 0 else names[before]), ("the output" if after < 0 else names[after])
