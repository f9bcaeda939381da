"""The integer program of a folding, for HiGHS (in SciPy).

Variables: one Boolean an option of a node; one a pair of words at a stream, whole as soon as the options are.
Constraints: each node has one option; pairs at a stream have the words that its two nodes chose; each resource stays
within its budget. Cycles are no variable: options that are slower than the target are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from finn_build.folding.costs.cost import Cost
from finn_build.folding.problem import Choice, Link, Option, Problem
from finn_build.resources.slices import FLIPFLOPS, LUTS, PACKING

RESOURCES = ("LUT", "FF", "BRAM18", "DSP")
"""Those that are added up; slices bound LUTs and flip-flops."""
AREA_GAP = 0.002
"""Areas closer than this count as equal: far below what the cost models are off by."""
SLICE_WEIGHT = 4.0
"""Slices in the area: a full chip fails for want of them, an idle DSP costs nothing."""
Array = npt.NDArray[np.float64]
Amounts = Mapping[str, int]


@dataclass(frozen=True)
class Answer:
    """What HiGHS found.

    Attributes:
        options: one a node; None where none was found.
        impossible: whether there is proven to be none.
        gap: by which share of the objective a better one might lie below.
    """

    options: tuple[Option, ...] | None
    impossible: bool
    gap: float = 0.0


class Program:
    """The program for one target of cycles."""

    def __init__(self, problem: Problem, cycles: int) -> None:
        self._choices = [_within(choice, cycles) for choice in problem.choices]
        self.possible = all(choice.options for choice in self._choices)
        self._fixed = problem.fixed
        self._costs: list[Cost] = []
        self._entries: list[tuple[int, int, float]] = []
        self._right: list[float] = []
        self._picks: list[list[int]] = []
        for choice in self._choices:
            self._picks.append([self._variable(option.cost) for option in choice.options])
            self._equation([(index, 1.0) for index in self._picks[-1]], 1.0)
        self._whole = len(self._costs)
        if self.possible:
            for link in problem.links:
                self._pairs(link)

    def solve(self, budget: Amounts, device: Amounts, seconds: float, *, least: bool, relaxed: bool = False) -> Answer:
        """Looks for a folding.

        Args:
            budget: the most of each resource.
            device: area is the sum of the resources' shares of it, slices by their weight.
            seconds: at most.
            least: wants the least area; otherwise any that fits does.
            relaxed: options may be mixed; only `impossible` is then of interest.
        """
        if not self.possible:
            return Answer(None, True)
        count = len(self._costs)
        rows, columns, values = (np.array(part) for part in zip(*self._entries, strict=True))
        matrix = csr_matrix((values, (rows, columns)), shape=(len(self._right), count))
        amounts = np.array([_amounts(cost) for cost in self._costs]).T
        area = _weights(device) @ amounts
        whole = np.zeros(count)
        whole[: self._whole] = 0 if relaxed else 1
        right = np.array(self._right)
        room = np.array(most(budget)) - _amounts(self._fixed)
        found = milp(
            area,
            constraints=[LinearConstraint(matrix, right, right), LinearConstraint(amounts, -np.inf, room)],
            integrality=whole,
            bounds=Bounds(0, 1),
            options={"time_limit": max(seconds, 0.5), "mip_rel_gap": AREA_GAP if least else 1.0},
        )
        if found.x is None or relaxed:
            return Answer(None, found.status == INFEASIBLE)
        options = tuple(
            choice.options[int(np.argmax(found.x[picks]))]
            for choice, picks in zip(self._choices, self._picks, strict=True)
        )
        # Before there is a bound HiGHS says infinity; no area is less than nothing.
        return Answer(options, False, min(float(found.mip_gap or 0.0), 1.0))

    def _variable(self, cost: Cost) -> int:
        self._costs.append(cost)
        return len(self._costs) - 1

    def _equation(self, terms: Sequence[tuple[int, float]], right: float) -> None:
        row = len(self._right)
        self._entries += [(row, index, factor) for index, factor in terms]
        self._right.append(right)

    def _pairs(self, link: Link) -> None:
        """A variable for each pair of words at a stream, with what stands between them."""
        left = self._by_lanes(link.source, out=True)
        right = self._by_lanes(link.target, out=False)
        if not left or not right:
            for lanes, picks in (left or right).items():
                for index in picks:
                    self._costs[index] = self._costs[index] + link.cost(lanes, lanes)
            return
        # The cost of a pair of words is added to one side where that is all that there is to choose from.
        pairs = {
            (a, b): self._variable(link.cost(a, b)) for a in left for b in right if a == b or not link.equal
        }  # fmt: skip
        for place, side in enumerate((left, right)):
            for lanes, picks in side.items():
                terms = [(index, 1.0) for words, index in pairs.items() if words[place] == lanes]
                self._equation([*terms, *((index, -1.0) for index in picks)], 0.0)

    def _by_lanes(self, index: int | None, *, out: bool) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        if index is not None:
            for option, pick in zip(self._choices[index].options, self._picks[index], strict=True):
                found.setdefault(option.lanes_out if out else option.lanes_in, []).append(pick)
        return found


INFEASIBLE = 2
"""SciPy's status of a program that has no solution."""


def most(budget: Amounts) -> list[float]:
    """Budget of each resource that is added up; slices bound LUTs and flip-flops."""
    slices = budget["slices"] * PACKING
    lut, ff = min(budget["LUT"], slices * LUTS), min(budget["FF"], slices * FLIPFLOPS)
    return [lut, ff, budget["BRAM18"], budget["DSP"]]


def area(cost: Cost, device: Amounts) -> float:
    """The objective of `Program.solve`: the weighted sum of the resources' shares of the chip."""
    return float(_weights(device) @ _amounts(cost))


def _weights(device: Amounts) -> Array:
    """Area: the sum of all resources' shares of the chip, slices as LUTs want them."""
    weights = np.array([1.0 / device[name] for name in RESOURCES])
    weights[0] += SLICE_WEIGHT / (device["slices"] * PACKING * LUTS)
    return weights


def _amounts(cost: Cost) -> Array:
    return np.array([cost.lut, cost.ff, cost.bram18, cost.dsp])


def _within(choice: Choice, cycles: int) -> Choice:
    """Options that keep up; of those with the same words, none that another beats in every resource."""
    groups: dict[tuple[int, int], list[Option]] = {}
    for option in choice.options:
        if option.cycles <= cycles:
            groups.setdefault((option.lanes_in, option.lanes_out), []).append(option)
    kept = []
    for group in groups.values():
        kept += [o for i, o in enumerate(group) if not any(_beats(p, o, j < i) for j, p in enumerate(group) if j != i)]
    return Choice(choice.name, choice.op, tuple(kept))


def _beats(one: Option, other: Option, first: bool) -> bool:
    ours, theirs = (tuple(_amounts(option.cost)) for option in (one, other))
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and (ours != theirs or first)
