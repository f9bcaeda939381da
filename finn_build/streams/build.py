"""FIFO depths for a build: found on the connected graph, told to the layers at their ends, written beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_build.graph.walk import computed_inputs
from finn_build.streams.depths import FifoDepths, find_depths
from finn_build.streams.graph import StreamGraph, stream_graph
from finn_build.streams.storage import storage

NodeDepths = dict[str, dict[str, list[int]]]
"""`inFIFODepths` and `outFIFODepths` of each layer, as FINN's folding JSON has them."""


def depths(graph: ModelWrapper, given: dict[str, int] | None = None) -> dict[str, int]:
    """The least depth of each FIFO with which a connected graph runs at full speed, by the FIFO's name."""
    return find_depths(stream_graph(graph), given).depths


def node_depths(connected: ModelWrapper, found: dict[str, int]) -> NodeDepths:
    """Depths of FIFOs as attributes of the layers at their ends: what InsertFIFO makes the same FIFOs of.

    Width converters have none: a FIFO beside one is told by the layer at its other end.
    """
    ends: NodeDepths = {}
    fifos = {node.name: node for node in connected.graph.node if node.name in found}
    before = {fifo.input[0]: found[name] for name, fifo in fifos.items()}
    after = {fifo.output[0]: found[name] for name, fifo in fifos.items()}
    for node in connected.graph.node:
        if node.name in fifos or str(node.op_type).startswith(("StreamingDataWidthConverter", "IODMA")):
            continue
        inputs = [after[tensor] for tensor in computed_inputs(connected, node)]
        ends[node.name] = {"inFIFODepths": inputs, "outFIFODepths": [before[tensor] for tensor in node.output]}
    return ends


def write_fifos(path: Path, graph: StreamGraph, found: FifoDepths, nodes: NodeDepths) -> dict[str, Any]:
    """Writes what the model says, and the depths as FINN's folding JSON has them; returns it."""
    rows = []
    for name, depth in found.depths.items():
        fifo = graph.fifos[name]
        kept = storage(depth, fifo.bits, fifo.ram_style)
        rows.append(
            {
                "name": name,
                "before": fifo.before,
                "after": fifo.after,
                "depth": depth,
                "words": kept.words,
                "most_held": found.run.high_water[name],
                "bits": fifo.bits,
                "storage": kept.kind,
            }
        )
    told = {
        "latency_cycles": found.run.latency_cycles,
        "interval_cycles": found.run.interval_cycles,
        "full_interval_cycles": found.full_interval_cycles,
        "estimated_nodes": list(graph.estimated),
        "fifos": rows,
        "folding": nodes,
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def build_depths(
    connected: ModelWrapper, fixed: Callable[[str], bool], on_progress: Callable[[float], None] | None = None
) -> tuple[StreamGraph, FifoDepths]:
    """Depths of a connected graph.

    Args:
        connected: with the depths of those FIFOs that stay.
        fixed: whether a FIFO, by its name, stays.
        on_progress: as `find_depths`.
    """
    graph = stream_graph(connected)
    given = {name: fifo.depth for name, fifo in graph.fifos.items() if fixed(name)}
    return graph, find_depths(graph, given, on_progress=on_progress)
