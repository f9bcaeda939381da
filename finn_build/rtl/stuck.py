"""Why nothing moves any more: which streams wait for which."""

from finn_build.rtl.design import Run
from finn_build.rtl.netlist import Block, Edge, Netlist


def describe_stuck(netlist: Netlist, run: Run) -> str:
    """One line on a run that stood still: joins that lack one operand while the other cannot get in, and full FIFOs.

    A stream is blocked where a word is offered and not taken, and starved where it is asked for and not there. A
    deadlock of a residual block is a join starved on one side and blocked on the other, whose FIFO is full.
    """
    blocks = {block.name: block for block in netlist.blocks}
    blocked = [edge for edge in netlist.edges if run.sides[edge.tensor].valid and not run.sides[edge.tensor].ready]
    starved = [edge for edge in netlist.edges if run.sides[edge.tensor].ready and not run.sides[edge.tensor].valid]
    words = run.sides["out0_V"].words
    parts = [f"nothing moved any more after {words} words of the output, at cycle {run.cycles}"]
    sent, whole = run.sides.get("in0_V"), netlist.input.words
    if sent is not None and sent.words % whole and not sent.valid:
        parts.append(f"the input ended after {sent.words % whole} of an image's {whole} words")
    for block in netlist.blocks:
        hungry = [edge for edge in starved if _taker(edge) == block.name]
        held = [edge for edge in blocked if _taker(edge) == block.name]
        if len(block.inputs) > 1 and hungry and held:
            fifos, fork = _branch(netlist, blocks, held[0])
            full = [f"{name} (depth {blocks[name].depth})" for name in fifos if _was_full(run, blocks[name])]
            branch = f"the branch from {fork}" + (f" through {', '.join(full)}" if full else "")
            parts.append(f"{block.name} waits for a word of {_giver(hungry[0])} while {branch} is full")
        held = [edge for edge in blocked if _giver(edge) == block.name]
        if len(block.outputs) > 1 and held:
            parts.append(f"{block.name} cannot hand on to {' and '.join(_taker(edge) for edge in held)}")
    if len(parts) == 1 and starved:
        parts.append(f"{_taker(starved[0])} waits for {_giver(starved[0])}")
    return "; ".join(parts)


def _giver(edge: Edge) -> str:
    return edge.producer[0] if edge.producer else "the input"


def _taker(edge: Edge) -> str:
    return edge.consumer[0] if edge.consumer else "the output"


def _was_full(run: Run, block: Block) -> bool:
    return run.high_water.get(block.name, 0) >= block.depth > 0


def _branch(netlist: Netlist, blocks: dict[str, Block], edge: Edge) -> tuple[list[str], str]:
    """FIFOs of the branch that ends with a stream, in its direction, and the block at which it begins."""
    by_tensor = {found.tensor: found for found in netlist.edges}
    fifos: list[str] = []
    while edge.producer is not None:
        block = blocks[edge.producer[0]]
        if len(block.outputs) > 1 or not block.inputs:
            return fifos[::-1], block.name
        if block.depth:
            fifos.append(block.name)
        edge = by_tensor[block.inputs[0].tensor]
    return fifos[::-1], "the input"
