"""The best folding: fewest cycles from frame to frame within a budget, least area among equals, with proof.

The frame rate is that of the slowest node, so a target of cycles is a filter on the nodes' options, and the targets
that can make a difference are the cycle counts that occur. The least that the linear relaxation allows is found by
bisection; from there upwards each is refuted or solved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from finn_build.errors import CheckFailed
from finn_build.folding.costs.cost import Cost, total
from finn_build.folding.problem import Link, Option, Problem
from finn_build.folding.program import AREA_GAP, Amounts, Program
from finn_build.resources.slices import FLIPFLOPS, LUTS, PACKING

SLACK = 1e-6
SHARE_OF_AREA = 0.35
"""Of the time, which is kept for the least area."""
LEAST_SHARE = 0.2
"""Of the time, that each target is given however late it is."""
LEAP = 1.03
"""How much slower than the last refuted one the next target is where one could be neither solved nor refuted in its
time; the distance doubles each time, so that the search ends."""


@dataclass(frozen=True)
class Solution:
    """A folding and what is known of it.

    Attributes:
        options: chosen, in the order of the problem's nodes.
        cycles: from frame to frame.
        cost: of everything.
        least_cycles: no folding within the budget has fewer; equal to `cycles` where the optimum is proven.
        area_gap: by which share of the area a folding that is as fast might be smaller.
        seconds: of the search.
    """

    options: tuple[Option, ...]
    cycles: int
    cost: Cost
    least_cycles: int
    area_gap: float
    seconds: float

    @property
    def optimal(self) -> bool:
        """Whether throughput is proven best, and area least among equals."""
        return self.least_cycles == self.cycles and self.area_gap <= AREA_GAP

    @property
    def gap(self) -> float:
        """By which share of its cycles a folding within the budget might be faster."""
        return (self.cycles - self.least_cycles) / self.cycles


def cost_of_choice(problem: Problem, options: Sequence[Option]) -> Cost:
    """What chosen options take, with what stands between them and what is fixed."""
    streams = [link.cost(*_lanes(link, options)) for link in problem.links]
    return total([problem.fixed, *(option.cost for option in options), *streams])


def cost_between(problem: Problem, options: Sequence[Option]) -> tuple[Cost, Cost]:
    """What stands between chosen options: FIFOs, and width converters."""
    pairs = [(link, *_lanes(link, options)) for link in problem.links]
    converters = [link.converter(left, right) for link, left, right in pairs]
    whole, apart = total(link.cost(left, right) for link, left, right in pairs), total(converters)
    fifos = Cost(whole.lut - apart.lut, whole.ff - apart.ff, whole.bram18 - apart.bram18, whole.dsp - apart.dsp)
    return fifos, apart


def used(cost: Cost) -> dict[str, float]:
    """Amounts under the keys of a device; slices by the packing of a published placement."""
    slices = max(cost.lut / LUTS, cost.ff / FLIPFLOPS) / PACKING
    return {"LUT": cost.lut, "FF": cost.ff, "BRAM18": cost.bram18, "DSP": cost.dsp, "slices": slices}


def fits(cost: Cost, budget: Amounts) -> bool:
    """Whether every resource is within the budget."""
    return all(amount <= budget[name] + SLACK for name, amount in used(cost).items())


def fastest(problem: Problem, budget: Amounts, device: Amounts, seconds: float = 20.0) -> Solution | None:
    """The folding with the fewest cycles from frame to frame within a budget, and of those the one of least area.

    Args:
        problem: the choice.
        budget: the most of each resource.
        device: the whole chip; area is the sum of the resources' shares of it, that of slices four times.
        seconds: for everything; what is not proven by then is told.

    Returns:
        None where nothing fits, however slow.

    Raises:
        CheckFailed: nothing was found, nor proven impossible, in the time.
    """
    begin = monotonic()
    targets = _targets(problem)

    def left() -> float:
        return seconds - (monotonic() - begin)

    low, high = 0, len(targets)
    while low < high:
        middle = (low + high) // 2
        answer = Program(problem, targets[middle]).solve(budget, device, left(), least=False, relaxed=True)
        low, high = (middle + 1, high) if answer.impossible else (low, middle)
    at, refuted, proven, leap = low, low, True, LEAP
    while at < len(targets):
        program = Program(problem, targets[at])
        answer = program.solve(budget, device, max(left() * 0.5, seconds * LEAST_SHARE), least=False)
        if answer.options is not None:
            break
        proven = proven and answer.impossible
        refuted = at + 1 if proven else refuted
        at += 1
        if not answer.impossible:
            at, leap = _beyond(targets, at, targets[refuted] * leap), 2 * leap - 1
    else:
        if not proven:
            what = f"no folding was found in {seconds:g} s, nor a proof that there is none"
            raise CheckFailed("fold", what, "raise --seconds")
        return None
    smaller = program.solve(budget, device, max(left(), seconds * SHARE_OF_AREA), least=True)
    options = smaller.options or answer.options
    cycles = max(option.cycles for option in options)
    gap = smaller.gap if smaller.options is not None else 1.0
    least = min(targets[refuted], cycles)
    return Solution(options, cycles, cost_of_choice(problem, options), least, gap, monotonic() - begin)


def smallest(problem: Problem, cycles: int, budget: Amounts, device: Amounts, seconds: float = 20.0) -> Solution | None:
    """The folding of least area within a budget that needs at most so many cycles from frame to frame.

    Returns:
        None where there is none.
    """
    begin = monotonic()
    answer = Program(problem, cycles).solve(budget, device, seconds, least=True)
    if answer.options is None:
        return None
    reached = max(option.cycles for option in answer.options)
    cost = cost_of_choice(problem, answer.options)
    return Solution(answer.options, reached, cost, reached, answer.gap, monotonic() - begin)


def limit(problem: Problem) -> int:
    """The fewest cycles that any folding has, were the chip as large as one likes: the slowest node at its fastest."""
    return max(min(option.cycles for option in choice.options) for choice in problem.choices)


def _targets(problem: Problem) -> list[int]:
    """Cycle counts that occur and that all nodes can keep, rising."""
    least = limit(problem)
    return sorted({o.cycles for choice in problem.choices for o in choice.options if o.cycles >= least})


def _beyond(targets: Sequence[int], at: int, least: float) -> int:
    """The first target from `at` on that is no less, or the last."""
    return next((index for index in range(at, len(targets)) if targets[index] >= least), max(at, len(targets) - 1))


def _lanes(link: Link, options: Sequence[Option]) -> tuple[int, int]:
    left = options[link.source].lanes_out if link.source is not None else 0
    right = options[link.target].lanes_in if link.target is not None else 0
    return left or right, right or left
