"""Branches between a fork and the addition at which they meet again."""

from dataclasses import dataclass

from finn_build.streams.graph import StreamGraph


@dataclass(frozen=True)
class Branch:
    """One way from a fork to an addition.

    Attributes:
        fork: where it begins; `the input` where there is no fork.
        join: the addition at which it ends.
        nodes: between the two, by their places in the graph, in the stream's direction.
        windows: sliding windows among them.
    """

    fork: str
    join: str
    nodes: tuple[int, ...]
    windows: int


def branches(graph: StreamGraph) -> list[tuple[Branch, Branch]]:
    """Both branches of each addition, that with fewer sliding windows first: the bypass."""
    found = []
    for place, op in enumerate(graph.ops):
        if op == "ElementwiseAdd":
            ends = [edge.producer for edge in graph.edges if edge.consumer == place]
            pair = sorted((_branch(graph, place, end) for end in ends), key=lambda branch: branch.windows)
            found.append((pair[0], pair[1]))
    return found


def bypass_fifos(graph: StreamGraph) -> set[str]:
    """FIFOs of the branches that wait for the other one."""
    return {
        graph.names[place]
        for bypass, _ in branches(graph)
        for place in bypass.nodes
        if graph.names[place] in graph.fifos
    }


def _branch(graph: StreamGraph, join: int, end: int) -> Branch:
    """Back from an addition to the last fork; further forks and additions on the way belong to an inner block."""
    giver = {edge.consumer: edge.producer for edge in graph.edges if graph.ops[edge.consumer] != "ElementwiseAdd"}
    nodes: list[int] = []
    while end >= 0 and graph.ops[end] not in ("DuplicateStreams", "ElementwiseAdd"):
        nodes.append(end)
        end = giver[end]
    windows = sum(graph.ops[place] == "ConvolutionInputGenerator" for place in nodes)
    fork = graph.names[end] if end >= 0 else "the input"
    return Branch(fork, graph.names[join], tuple(reversed(nodes)), windows)
