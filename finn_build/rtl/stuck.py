"""Why nothing moves any more: which streams wait for which."""

from finn_build.rtl.netlist import Block, Edge, Netlist
from finn_build.rtl.verilator import Run


def describe_stuck(netlist: Netlist, run: Run) -> str:
    """One line on a run that stood still: joins that lack one operand while the other cannot get in, and full FIFOs.

    A stream is blocked where a word is offered and not taken, and starved where it is asked for and not there. A
    deadlock of a residual block is a join starved on one side and blocked on the other, whose FIFO is full.
    """
    blocks = {block.name: block for block in netlist.blocks}
    blocked = [edge for edge in netlist.edges if run.sides[edge.tensor].valid and not run.sides[edge.tensor].ready]
    starved = [edge for edge in netlist.edges if run.sides[edge.tensor].ready and not run.sides[edge.tensor].valid]
    done = run.sides["out0_V"].words
    parts = [f"nothing moved any more after {done} words of the output, at cycle {run.cycles}"]
    for block in netlist.blocks:
        if len(block.inputs) < 2:
            continue
        hungry = [edge for edge in starved if edge.consumer and edge.consumer[0] == block.name]
        full = [edge for edge in blocked if edge.consumer and edge.consumer[0] == block.name]
        if hungry and full:
            path = _upstream(netlist, full[0], blocks)
            parts.append(f"{block.name} waits for a word of {_source(hungry[0])} while {path} is held up")
    for block in netlist.blocks:
        if len(block.outputs) < 2:
            continue
        held = [edge for edge in blocked if edge.producer and edge.producer[0] == block.name]
        if held:
            takers = " and ".join(edge.consumer[0] if edge.consumer else "outside" for edge in held)
            parts.append(f"{block.name} cannot hand on to {takers}")
    full_fifos = [
        f"{name} (depth {blocks[name].depth})"
        for name, words in run.high_water.items()
        if name in blocks and words >= blocks[name].depth and _is_blocked(blocks[name], blocked)
    ]
    if full_fifos:
        parts.append(f"full: {', '.join(full_fifos)}")
    if len(parts) == 1 and starved:
        parts.append(
            f"{starved[0].consumer[0] if starved[0].consumer else 'the output'} waits for {_source(starved[0])}"
        )
    return "; ".join(parts)


def _is_blocked(block: Block, blocked: list[Edge]) -> bool:
    return any(edge.consumer is not None and edge.consumer[0] == block.name for edge in blocked)


def _source(edge: Edge) -> str:
    return edge.producer[0] if edge.producer else "the input"


def _upstream(netlist: Netlist, edge: Edge, blocks: dict[str, Block]) -> str:
    """The nearest FIFO in front of a stream, with its depth, or else the block."""
    name = edge.producer[0] if edge.producer else "the input"
    if name in blocks and blocks[name].depth:
        return f"{name} (depth {blocks[name].depth})"
    return name
