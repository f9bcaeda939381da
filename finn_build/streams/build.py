"""FIFO depths for a build: found on the connected graph, told to the layers at their ends, written beside it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import CheckFailed
from finn_build.graph import fifos as between
from finn_build.graph.fifos import BypassFifo, Depths
from finn_build.graph.walk import computed_inputs
from finn_build.streams.bypass import bypass_fifos
from finn_build.streams.depths import SLACK, FifoDepths, find_depths
from finn_build.streams.graph import Fifo, StreamGraph, stream_graph
from finn_build.streams.simulate import simulate_streams
from finn_build.streams.storage import storage
from finn_build.streams.stuck import find_deadlock

CAM = "ClassActivationMap"

NodeDepths = dict[str, dict[str, list[int]]]
"""`inFIFODepths` and `outFIFODepths` of each layer, as FINN's folding JSON has them."""


@dataclass(frozen=True)
class ConnectedDepths:
    """A graph with the depths of its FIFOs.

    Attributes:
        specialised: with the depths at its layers.
        connected: the same with FIFOs, converters and DMAs.
        found: the depths, and how they run.
        streams: of the connected graph.
        nodes: the depths by layer.
        bypasses: the FIFOs that wait for another branch, as they are now.
    """

    specialised: ModelWrapper
    connected: ModelWrapper
    found: FifoDepths
    streams: StreamGraph
    nodes: NodeDepths
    bypasses: list[BypassFifo]

    def predicted(self) -> dict[str, int | None]:
        """Latency and interval in cycles, of the whole and up to the CAM block, where a simulation with C++ ends."""
        whole, tap = self.found.run, simulate_streams(stream_graph(self.connected, end_at=CAM))
        return {
            "latency_cycles": whole.latency_cycles,
            "interval_cycles": whole.interval_cycles,
            "tap_latency_cycles": tap.latency_cycles,
            "tap_interval_cycles": tap.interval_cycles,
        }

    def notes(self, given: Depths) -> list[str]:
        """What a reader of the report should know: speed that given depths cost, operators that are only estimated."""
        told = []
        slow, full = self.found.run.interval_cycles or 0, self.found.full_interval_cycles
        if slow > full:
            whose = "the FIFO depths that are given" if given else "FIFOs of the least depths for 99 % of full speed"
            told.append(f"With {whose} an image takes {slow:,} cycles instead of {full:,}.")
        if self.streams.estimated:
            names = ", ".join(self.streams.estimated)
            told.append(f"FIFO depths rest on FINN's estimate of the cycles of {names}; bypasses hold a whole tensor.")
        return told


def depths(graph: ModelWrapper, given: dict[str, int] | None = None) -> dict[str, int]:
    """The least depth of each FIFO with which a connected graph runs at 99 % of full speed, by the FIFO's name."""
    return find_depths(stream_graph(graph), given).depths


def connect_with_least_depths(
    specialised: ModelWrapper,
    given: Depths,
    place: str,
    part: str,
    on_progress: Callable[[float], None] | None = None,
    slack: float = SLACK,
) -> ConnectedDepths:
    """Connects a specialised graph with FIFOs that are as deep as 99 % of full speed needs, or as is given.

    Args:
        specialised: folded, its variants chosen.
        given: `inFIFODepths` and `outFIFODepths` of some nodes; those FIFOs stay so.
        place: where they stand, for messages.
        part: FPGA part.
        on_progress: as `find_depths`.
        slack: as `find_depths`.

    Raises:
        UserError: a depth that the chip's block RAM cannot hold.
        CheckFailed: the depths that are given deadlock: the branch, the FIFO and the depth that it needs.
    """
    safe, _ = between.set_safe_depths(specialised, given, place, part)
    preview = between.connect(safe, part)
    streams = stream_graph(preview)
    kept = {name: fifo.depth for name, fifo in streams.fifos.items() if _is_given(fifo, given)}
    if kept:
        deep = {name: 2 * fifo.words for name, fifo in streams.fifos.items() if name not in kept}
        stuck = find_deadlock(streams.with_depths(deep))
        if stuck is not None:
            raise CheckFailed("specialise", stuck.told(), f"deepen it in {place}")
    found = find_depths(streams, kept, slack=slack, on_progress=on_progress)
    if streams.estimated:
        whole = {name: streams.fifos[name].depth for name in bypass_fifos(streams)}
        found = FifoDepths(found.depths | whole, found.run, found.full_interval_cycles, found.runs)
    nodes = node_depths(preview, found.depths)
    final, bypasses = between.set_safe_depths(specialised, nodes, place, part)
    return ConnectedDepths(final, between.connect(final, part), found, streams, nodes, bypasses)


def _is_given(fifo: Fifo, given: Depths) -> bool:
    return "outFIFODepths" in given.get(fifo.before, {}) or "inFIFODepths" in given.get(fifo.after, {})


def node_depths(connected: ModelWrapper, found: Mapping[str, int]) -> NodeDepths:
    """Depths of FIFOs as attributes of the layers at their ends: what InsertFIFO makes the same FIFOs of.

    Width converters have none: a FIFO beside one is told by the layer at its other end.
    """
    fifos = {node.name: node for node in connected.graph.node if node.name in found}
    before = {fifo.input[0]: found[name] for name, fifo in fifos.items()}
    after = {fifo.output[0]: found[name] for name, fifo in fifos.items()}
    ends: NodeDepths = {}
    for node in connected.graph.node:
        if node.name in fifos or str(node.op_type).startswith(("StreamingDataWidthConverter", "IODMA")):
            continue
        inputs = [after[tensor] for tensor in computed_inputs(connected, node)]
        ends[node.name] = {"inFIFODepths": inputs, "outFIFODepths": [before[tensor] for tensor in node.output]}
    return ends


def write_fifos(path: Path, made: ConnectedDepths) -> None:
    """Writes what the model predicts, a row a FIFO, and the depths as FINN's folding JSON has them."""
    rows = [_row(made, name, depth) for name, depth in made.found.depths.items()]
    told = {
        **made.predicted(),
        "full_interval_cycles": made.found.full_interval_cycles,
        "estimated_nodes": list(made.streams.estimated),
        "fifos": rows,
        "folding": made.nodes,
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _row(made: ConnectedDepths, name: str, depth: int) -> dict[str, Any]:
    fifo = made.streams.fifos[name]
    kept = storage(depth, fifo.bits, fifo.ram_style)
    return {
        "name": name,
        "before": fifo.before,
        "after": fifo.after,
        "depth": depth,
        "words": kept.words,
        "most_held": made.found.run.high_water[name],
        "bits": fifo.bits,
        "storage": kept.kind,
    }
