"""Timing things side by side: in turns, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Speed:
    """One contestant.

    Attributes:
        images_per_s: images a second, the median of the rounds.
        ratio: of its rounds' speeds to the reference's in the same rounds, the median.
    """

    images_per_s: float
    ratio: float


def race(
    contestants: Mapping[str, tuple[Callable[[], object], int]],
    reference: str,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Speed]:
    """Times every contestant once a round.

    Args:
        contestants: what to call, and how many images a call works on, by name. Each is called once before, to warm up.
        reference: the one that the others are compared with.
        rounds: how many.
        clock: seconds from some moment on.
    """
    for work, _ in contestants.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, (work, _) in contestants.items():
            start = clock()
            work()
            seconds[name].append(clock() - start)
    speeds = {name: [contestants[name][1] / spent for spent in seconds[name]] for name in contestants}
    return {
        name: Speed(
            statistics.median(own),
            statistics.median(mine / theirs for mine, theirs in zip(own, speeds[reference], strict=True)),
        )
        for name, own in speeds.items()
    }
