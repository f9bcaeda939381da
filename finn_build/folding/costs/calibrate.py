"""Synthesises the calibration points and writes what they take: `python -m finn_build.folding.costs.calibrate`.

About 15 minutes of one core with Yosys. Points that were synthesised before are taken from the folder given by --work.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from finn_build.folding.costs.modules import operator
from finn_build.folding.costs.points import Point, points
from finn_build.rtl.module import Module, module_graph
from finn_build.rtl.netlist import Block, Port, read_blocks
from finn_build.rtl.synth import UNIT, Synthesised, block_memories, synthesise, synthesise_block, yosys_version
from finn_build.rtl.top import in_order, source_texts

FILE = Path(__file__).with_name("calibration.json")
PART = "xc7z020clg400-1"
CLOCK_NS = 10.0
COMMAND = "python -m finn_build.folding.costs.calibrate --work build/calibration"
MEMORY_SOURCES = ("weight_rom",)


def measure(point: Point, work: Path) -> Synthesised:
    """Synthesises one point.

    Args:
        point: what.
        work: takes Yosys' results; those for the same content are reused.
    """
    from finn_build.graph.codegen import generate_code

    name = "-".join([point.kind, *(str(value) for value in point.size.values())])
    op, attributes = operator(point)
    with TemporaryDirectory() as scratch:
        code = Path(scratch).resolve()
        model, _ = generate_code(module_graph(Module(op, attributes, "calibrated")), PART, CLOCK_NS, code)
        (block,) = read_blocks(model, code, model.graph.node)
        if point.kind == "core":
            block = _without_memory(block)
        if point.kind != "weights":
            return synthesise_block(block, code, work)
        texts = source_texts([block], code)
        kept = [key for key in in_order(texts) if key.startswith(MEMORY_SOURCES) or key.startswith(str(block.memory))]
        for key in kept:
            (code / key).write_text(texts[key], encoding="utf-8")
        memories = block_memories(code, [block])
        unit = _memory_unit(block)
        return synthesise(name, "weights", [code / key for key in kept], memories, UNIT, work, extra=unit)


def _without_memory(block: Block) -> Block:
    """The unit with its weights as a port."""
    weights = Port("in1_V", block.memory_bits, "weights")
    return replace(block, memory=None, memory_ports={}, memory_bits=0, inputs=(*block.inputs, weights))


def _memory_unit(block: Block) -> str:
    """A module around a unit's memory alone, whose run-time writes are tied off as in the accelerator."""
    driven = {
        "ap_clk": "ap_clk", "ap_clk2x": "ap_clk", "ap_rst_n": "ap_rst_n", "m_axis_0_tdata": "data",
        "m_axis_0_tvalid": "valid", "m_axis_0_tready": "ready",
    }  # fmt: skip
    pins = [f".{p}({driven.get(p, '' if way == 'output' else chr(39) + '0')})" for p, way in block.memory_ports.items()]
    head = f"input ap_clk, input ap_rst_n, output [{block.memory_bits - 1}:0] data, output valid, input ready"
    return f"module {UNIT} ({head});\n\t{block.memory} memory ({', '.join(pins)});\nendmodule\n"


def write(found: Iterable[tuple[Point, Synthesised]], kept: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes points and what they took, a point a line; `kept` are rows of the file as it was."""
    rows = [*kept]
    for point, result in found:
        took = result.resources.to_json()
        told = {"took": took, "seconds": round(result.seconds, 1)}
        rows.append({"kind": point.kind, **point.size, **told, **({"held_out": True} if point.held_out else {})})
    head = json.dumps({"tool": yosys_version(), "command": COMMAND, "part": PART})
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f'{head[:-1]}, "points": [\n{lines}\n]}}\n', encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Command line: `--work DIR`, `--only KIND`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="Yosys' results are kept there")
    parser.add_argument("--only", action="append", help="a kind of module; the file keeps the others as they are")
    options = parser.parse_args(arguments)
    wanted = set(options.only or {point.kind for point in points()})
    found: list[tuple[Point, Synthesised]] = []
    begin = monotonic()
    for point in points():
        if point.kind in wanted:
            result = measure(point, options.work)
            found.append((point, result))
            told = f"{monotonic() - begin:6.0f} s  {point.kind} {dict(point.size)}: {result.resources.to_json()}"
            sys.stderr.write(told + "\n")
    old = json.loads(FILE.read_text(encoding="utf-8"))["points"] if FILE.is_file() else []
    write(found, [row for row in old if row["kind"] not in wanted], FILE)


if __name__ == "__main__":
    main()
