"""The least depth of every FIFO with which the accelerator runs at full speed, less SLACK.

Full speed is that of FIFOs without an end: the interval of the slowest operator, which then waits for nobody. Depths
act in one direction alone (a deeper FIFO never makes any word later), so a search by halves finds the least one of a
FIFO while the others stay as they are.

The search begins with what FIFOs without an end hold while the input comes evenly at the speed wanted, which is full
speed less SLACK: with as many words none of them is ever full, and so none slows anything down. What the two FIFOs of a
width converter hold goes to the one of narrower words. Then as many as possible are made as shallow as any, and the
others shrink one after the other, those of bypasses first, then the largest.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from finn_build.errors import CheckFailed
from finn_build.streams.bypass import bypass_fifos
from finn_build.streams.graph import Fifo, StreamGraph
from finn_build.streams.operators import Kind, Machine
from finn_build.streams.simulate import FRAMES, StreamRun, simulate_streams
from finn_build.streams.storage import LEAST_DEPTH, LEAST_WORDS, LONGEST_SHIFT, steps

WITHOUT_END = 1 << 40
"""Words."""

SEARCHED = 3
"""Frames a run of the search; the last run, of `4 * FRAMES`, shows whether they told the steady state. Where it is
slower, the search begins anew with FRAMES more, for FIFOs that fill over many frames."""

MOST_SEARCHED = 8
"""Frames a run beyond which it does not."""

EFFORT = 60_000_000
"""Cycles, over all runs, after which the search leaves the FIFOs that it has not come to as deep as they are."""

SLACK = 0.01
"""Share of the interval that may be lost to FIFOs: where all layers take as long as the slowest, as in a balanced
folding, to lose not one cycle takes a large part of a frame in front of each."""

SPARE = 2
"""Words that a FIFO needs beyond what it holds, so that it takes one in the cycle in which it gives one."""


@dataclass(frozen=True)
class FifoDepths:
    """Depths, and how the accelerator runs with them.

    Attributes:
        depths: FIFO → depth, as FINN takes it.
        run: with these depths.
        full_interval_cycles: with FIFOs without an end, whatever depths are given.
        runs: of the model that the search took.
    """

    depths: dict[str, int]
    run: StreamRun
    full_interval_cycles: int
    runs: int


def find_depths(
    graph: StreamGraph,
    given: Mapping[str, int] | None = None,
    *,
    exact: bool = False,
    slack: float = SLACK,
    on_progress: Callable[[float], None] | None = None,
) -> FifoDepths:
    """Finds the least depths for full speed less a share of it.

    Args:
        graph: connected; its own depths do not matter.
        given: FIFO → depth that stays as it is, whatever that costs.
        exact: find every depth to the word. Otherwise those of bypasses alone are, and the others to the next size of
            memory, which costs as much and takes a third of the time. Either way no longer than EFFORT.
        slack: share of the interval that may be lost; 0 for full speed.
        on_progress: called with the share of the FIFOs that are settled.

    Raises:
        CheckFailed: the depths that are given deadlock.
    """
    given = dict(given or {})
    endless = _full_speed(graph, {})
    # What is given may cost speed; the others are to cost no more.
    frames, full = SEARCHED, _full_speed(graph, given) if given else endless
    while True:
        search = _Search(graph, given, full, _allowed(full, slack), frames, exact, on_progress)
        found = replace(search.result(), full_interval_cycles=endless)
        if (found.run.sustained_cycles or 0) <= _allowed(full, slack) or frames > MOST_SEARCHED:
            return found
        frames += FRAMES


def _full_speed(graph: StreamGraph, given: Mapping[str, int]) -> int:
    # FIFOs without an end fill over many frames before the slowest operator alone sets the pace.
    run = simulate_streams(_endless(graph, given).with_depths(dict(given)), 4 * FRAMES)
    if run.deadlock or run.interval_cycles is None:
        where = ", ".join(f"{name} (depth {depth:,})" for name, depth in given.items())
        raise CheckFailed("specialise", f"nothing moves any more with {where}", "deepen these FIFOs")
    return run.interval_cycles


class _Search:
    def __init__(
        self,
        graph: StreamGraph,
        given: Mapping[str, int],
        full: int,
        period: int,
        frames: int,
        exact: bool,
        on_progress: Callable[[float], None] | None,
    ) -> None:
        self._graph, self._full, self._frames, self._on_progress = graph, full, frames, on_progress
        self._bypasses = bypass_fifos(graph)
        self._exact = set(graph.fifos) if exact else self._bypasses
        self._runs, self._effort = 1, 0
        self._period = period
        endless = _endless(graph, given).with_depths(dict(given))
        paced = simulate_streams(endless, max(frames, FRAMES), period=self._period)
        held = {name: words for name, words in paced.high_water.items() if name not in given}
        self._depths = {
            name: LEAST_DEPTH if words < LEAST_WORDS else words + SPARE for name, words in held.items()
        } | dict(given)
        self._free = [fifo for name, fifo in graph.fifos.items() if name in held]
        self._wide = self._move_to_narrow_sides()
        # A run is given up after as long as the even one took, and two frames.
        self._limit = paced.cycles + 2 * self._period
        while not self._keeps_up({}):
            if self._frames <= FRAMES:
                # The first gaps may be a cycle longer than the steady ones.
                self._frames += FRAMES
                self._limit += FRAMES * full
            elif all(self._depths[fifo.name] > 4 * fifo.words for fifo in self._free):
                break
            else:
                self._depths |= {fifo.name: 2 * self._depths[fifo.name] for fifo in self._free}

    def result(self) -> FifoDepths:
        wanted = [fifo for fifo in self._free if self._depths[fifo.name] > self._floor(fifo)]
        wanted.sort(
            key=lambda fifo: (
                fifo.name not in self._bypasses, fifo.name not in self._wide, -fifo.bits * self._depths[fifo.name],
            )
        )  # fmt: skip
        # Most can be as shallow as any, and many at once.
        wanted = [fifo for fifo in wanted if fifo.name in self._exact] + self._lower(
            [fifo for fifo in wanted if fifo.name not in self._exact]
        )
        for index, fifo in enumerate(wanted):
            if self._effort < EFFORT:
                self._shrink(fifo)
            if self._on_progress is not None:
                self._on_progress((index + 1) / len(wanted))
        run = simulate_streams(self._graph.with_depths(self._depths), 4 * FRAMES)
        return FifoDepths(self._depths, run, self._full, self._runs)

    def _lower(self, fifos: list[Fifo]) -> list[Fifo]:
        """Sets those to their floor that can be so together, by halves; returns the others."""
        if not fifos or self._effort >= EFFORT:
            return fifos
        lowest = {fifo.name: self._floor(fifo) for fifo in fifos}
        if self._keeps_up(lowest):
            self._depths |= lowest
            return []
        if len(fifos) == 1:
            return fifos
        middle = len(fifos) // 2
        return [*self._lower(fifos[:middle]), *self._lower(fifos[middle:])]

    def _move_to_narrow_sides(self) -> set[str]:
        """Lets the FIFO at a converter's narrow side hold what both held; returns those at wide sides, to shrink first.

        Many narrow words are a block RAM where as many bits in few wide ones are LUTs.
        """
        free, found = {fifo.name: fifo for fifo in self._free}, set()
        for place, machine in enumerate(self._graph.machines):
            if machine.kind != Kind.CONVERTER:
                continue
            ends = [edge.producer for edge in self._graph.edges if edge.consumer == place]
            ends += [edge.consumer for edge in self._graph.edges if edge.producer == place]
            names = [self._graph.names[end] for end in ends if end >= 0]
            if len(names) == 2 and all(name in free for name in names):
                narrow, wide = sorted((free[name] for name in names), key=lambda fifo: fifo.bits)
                moved = -(-self._depths[wide.name] * wide.bits // narrow.bits)
                self._depths[narrow.name] += moved
                found.add(wide.name)
        return found

    def _floor(self, fifo: Fifo) -> int:
        """A depth below which nothing is saved: every shift register of up to 33 words costs a LUT a bit."""
        return LEAST_DEPTH if fifo.name in self._exact else LONGEST_SHIFT

    def _shrink(self, fifo: Fifo) -> None:
        """To the least size of memory, and where it is to be exact, from there to the least depth."""
        enough = self._depths[fifo.name]
        ladder = [depth for depth in (LEAST_DEPTH, *steps()) if depth < enough] + [enough]
        low, high = -1, len(ladder) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._keeps_up({fifo.name: ladder[middle]}) else (middle, high)
        least, enough = (ladder[low] if low >= 0 else LEAST_DEPTH - 1), ladder[high]
        while fifo.name in self._exact and enough - least > 1:
            middle = (least + enough) // 2
            least, enough = (least, middle) if self._keeps_up({fifo.name: middle}) else (middle, enough)
        self._depths[fifo.name] = enough

    def _keeps_up(self, changed: Mapping[str, int]) -> bool:
        self._runs += 1
        # Words that come no earlier than evenly show the steady state from the first frame on; words that come
        # earlier make no frame later.
        graph = self._graph.with_depths({**self._depths, **changed})
        run = simulate_streams(graph, self._frames, self._limit, self._period)
        self._effort += run.cycles
        return run.frames == self._frames and run.sustained_cycles is not None and run.sustained_cycles <= self._period


def _allowed(full: int, slack: float) -> int:
    """The longest interval in cycles that is accepted."""
    return full + int(full * slack)


def _endless(graph: StreamGraph, given: Iterable[str]) -> StreamGraph:
    """All FIFOs without an end but the given ones."""
    kept = set(given)
    machines = tuple(
        Machine(Kind.FIFO, (WITHOUT_END,)) if name in graph.fifos and name not in kept else old
        for name, old in zip(graph.names, graph.machines, strict=True)
    )
    return replace(graph, machines=machines)
