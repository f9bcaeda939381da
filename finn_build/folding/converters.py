"""The width converters that a folding forces: FINN inserts one wherever two neighbours' words differ."""

from collections.abc import Callable, Sequence
from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.folding.costs.nodes import cost_of
from finn_build.graph.walk import attributes, consumers, producer

CONVERTER, FIFO = "StreamingDataWidthConverter", "StreamingFIFO"


def forced_converters(connected: ModelWrapper, part: str) -> list[dict[str, Any]]:
    """Converters of a connected graph, in stream order, as the report's `hardware.converters`.

    Args:
        connected: with FIFOs and converters.
        part: FPGA part.
    """
    found = []
    with quiet():
        for node in connected.graph.node:
            if not node.op_type.startswith(CONVERTER):
                continue
            get, cost = attributes(node), cost_of(node, None, part)
            took = {"LUT": 0, "FF": 0} if cost is None else cost.to_json()
            row = {
                "source": _end(node, lambda at: producer(connected, at.input[0])),
                "target": _end(node, lambda at: next(iter(consumers(connected, at.output[0])), None)),
                "in_bits": int(get["inWidth"]),
                "out_bits": int(get["outWidth"]),
                "LUT": took["LUT"],
                "FF": took["FF"],
            }
            found.append(row)
    return found


def told_converters(found: Sequence[dict[str, Any]], place: str) -> list[str]:
    """One line on what a folding file forces; none where all words fit.

    Args:
        found: as `forced_converters` gives them.
        place: the folding file.
    """
    if not found:
        return []
    dearest = max(found, key=lambda row: row["LUT"])
    lut = sum(row["LUT"] for row in found)
    what = "a width converter" if len(found) == 1 else f"{len(found)} width converters"
    most = "" if len(found) == 1 else ", the dearest"
    return [
        f"{place} forces {what}, about {lut:,} LUTs{most} between {dearest['source']} and {dearest['target']}: "
        f"{dearest['in_bits']} to {dearest['out_bits']} bits, {dearest['LUT']:,} LUTs."
    ]


def _end(node: NodeProto, step: Callable[[NodeProto], NodeProto | None]) -> str:
    """The layer beyond the FIFOs on one side; empty where the graph ends there."""
    at = step(node)
    while at is not None and at.op_type.startswith((FIFO, CONVERTER)):
        at = step(at)
    return "" if at is None else str(at.name)
