"""Why a graph stands still with its FIFO depths, and the depth with which it would not."""

from dataclasses import dataclass

from finn_build.streams.bypass import branches
from finn_build.streams.graph import StreamGraph
from finn_build.streams.simulate import FRAMES, StreamRun, simulate_streams
from finn_build.streams.storage import LEAST_DEPTH


@dataclass(frozen=True)
class Deadlock:
    """A residual block that waits for itself.

    Attributes:
        join: the addition that lacks a word.
        fork: where its branches begin.
        waits_for: the node that should give the word.
        fifos: FIFOs of the full branch, in its direction.
        fifo: the one of them that has to be deeper: the deepest, or the last of those.
        depth: that it has.
        needed: the least depth of it with which the graph moves on; None where no depth of it alone is enough.
    """

    join: str
    fork: str
    waits_for: str
    fifos: tuple[str, ...]
    fifo: str
    depth: int
    needed: int | None

    def told(self) -> str:
        """One line."""
        need = f"it needs {self.needed:,}" if self.needed is not None else "others are too shallow as well"
        return (
            f"{self.join} waits for a word of {self.waits_for} while the branch from {self.fork} through "
            f"{', '.join(self.fifos)} is full: {self.fifo} has a depth of {self.depth:,}, {need}"
        )


def find_deadlock(graph: StreamGraph, run: StreamRun | None = None) -> Deadlock | None:
    """The first addition that is starved on one side and held up on the other; None where nothing stands still.

    Args:
        graph: with its depths.
        run: of it, where there is one already.
    """
    run = run if run is not None else simulate_streams(graph)
    if not run.deadlock:
        return None
    for pair in branches(graph):
        for full, empty in (pair, pair[::-1]):
            join = graph.names.index(full.join)
            held = [_signals(graph, run, join, branch.nodes) for branch in (full, empty)]
            if held[0] != (True, False) or held[1] != (False, True):
                continue
            fifos = tuple(graph.names[place] for place in full.nodes if graph.names[place] in graph.fifos)
            if not fifos:
                continue
            deepest = max(reversed(fifos), key=lambda name: graph.fifos[name].depth)
            waits_for = graph.names[empty.nodes[-1]] if empty.nodes else empty.fork
            depth = graph.fifos[deepest].depth
            return Deadlock(full.join, full.fork, waits_for, fifos, deepest, depth, _needed(graph, deepest))
    return None


def _signals(graph: StreamGraph, run: StreamRun, join: int, nodes: tuple[int, ...]) -> tuple[bool, bool]:
    """Valid and ready where a branch enters its addition."""
    if not nodes:
        return False, False
    index = next(i for i, edge in enumerate(graph.edges) if edge.consumer == join and edge.producer == nodes[-1])
    return run.valid[index], run.ready[index]


def _needed(graph: StreamGraph, name: str) -> int | None:
    low, high = max(LEAST_DEPTH, graph.fifos[name].depth), max(LEAST_DEPTH + 1, 2 * graph.fifos[name].words)
    if _stands(graph, name, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _stands(graph, name, middle) else (low, middle)
    return high


def _stands(graph: StreamGraph, name: str, depth: int) -> bool:
    return simulate_streams(graph.with_depths({name: depth}), FRAMES).deadlock
