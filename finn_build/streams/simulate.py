"""Latency, interval and deadlocks of a graph with given FIFO depths."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finn_build.streams.graph import StreamGraph
from finn_build.streams.kernel import KernelRun

FRAMES = 4
"""Frames until the pipeline is in its steady state: it fills with the first ones."""

LIMIT = 2_000_000_000
"""Cycles; a run ends before, when its frames are out or when nothing moves."""


@dataclass(frozen=True)
class StreamRun:
    """What the model predicts.

    Attributes:
        frames: that came out.
        latency_cycles: from the first word in to the first frame's last word out; None where none came out.
        interval_cycles: between the last words of consecutive frames in steady state; None for fewer than two.
        sustained_cycles: the same on average, where long and short ones take turns.
        deadlock: whether all stood still before the wanted frames were out.
        cycles: run.
        high_water: FIFO → most words that it held.
        valid: of each edge at the end: a word is offered.
        ready: of each edge at the end: a word is asked for.
    """

    frames: int
    latency_cycles: int | None
    interval_cycles: int | None
    sustained_cycles: float | None
    deadlock: bool
    cycles: int
    high_water: dict[str, int]
    valid: tuple[bool, ...]
    ready: tuple[bool, ...]


def simulate_streams(graph: StreamGraph, frames: int = FRAMES, limit: int = LIMIT, period: int = 0) -> StreamRun:
    """Runs frames through a graph.

    Args:
        graph: with its FIFO depths; the output takes a word a cycle.
        frames: to run.
        limit: cycles after which to stop.
        period: cycles over which the input offers the words of a frame, evenly; 0 for a word a cycle.
    """
    run = graph.run(frames, limit, period)
    return StreamRun(
        frames=len(run.last),
        latency_cycles=int(run.last[0]) - run.first_in + 1 if len(run.last) else None,
        interval_cycles=_interval(run),
        sustained_cycles=_sustained(run),
        deadlock=len(run.last) < frames and run.cycles < limit,
        cycles=run.cycles,
        high_water={name: int(run.most[graph.names.index(name)]) for name in graph.fifos},
        valid=tuple(bool(value) for value in run.signals[:, 0]),
        ready=tuple(bool(value) for value in run.signals[:, 1]),
    )


def _interval(run: KernelRun) -> int | None:
    """As the RTL simulation has it: the median of the later half of the gaps."""
    gaps = _later_gaps(run)
    return int(np.median(gaps)) if len(gaps) else None


def _sustained(run: KernelRun) -> float | None:
    gaps = _later_gaps(run)
    return float(np.mean(gaps)) if len(gaps) else None


def _later_gaps(run: KernelRun) -> npt.NDArray[np.int64]:
    gaps: npt.NDArray[np.int64] = np.diff(run.last)
    return gaps[len(gaps) // 2 :]
