"""`finn-cam fold`: the best folding of a graph for a chip, beside FINN's heuristic under the same cost model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import CheckFailed, UserError
from finn_build.folding.automatic import set_folding
from finn_build.folding.chains import chain_lengths
from finn_build.folding.config import Folding, folding_of
from finn_build.folding.costs.cost import Cost
from finn_build.folding.costs.nodes import DMA, bits, cost_of
from finn_build.folding.optimise import Solution, cost_of_choice, fastest, fits, limit, smallest, used
from finn_build.folding.problem import Choice, Option, Problem, as_folded, problem_of
from finn_build.folding.program import Program, area
from finn_build.graph.walk import attributes
from finn_build.nodes.variants import CamBackend, choose_rtl
from finn_build.resources.chains import columns_hold
from finn_build.resources.devices import device

DMAS = DMA + DMA


@dataclass(frozen=True)
class Target:
    """What is folded for.

    Attributes:
        part: FPGA part.
        clock_mhz: clock in MHz.
        budget: share of each resource.
    """

    part: str
    clock_mhz: float
    budget: float

    @property
    def device(self) -> dict[str, int]:
        """What the chip has."""
        return device(self.part)

    @property
    def amounts(self) -> dict[str, int]:
        """The most of each resource."""
        return {name: int(amount * self.budget) for name, amount in self.device.items()}

    def fps(self, cycles: int) -> float:
        """Frames a second."""
        return self.clock_mhz * 1e6 / cycles

    def cycles(self, fps: float) -> int:
        """Cycles from frame to frame that a rate leaves."""
        return int(self.clock_mhz * 1e6 / fps)


@dataclass(frozen=True)
class Folded:
    """A best folding.

    Attributes:
        problem: that was solved.
        solution: of it.
        folding: of every node, as a folding file has it.
        limit_cycles: the fewest cycles of any folding, were the chip as large as one likes.
    """

    problem: Problem
    solution: Solution
    folding: Folding
    limit_cycles: int


@dataclass(frozen=True)
class Heuristic:
    """FINN's SetFolding at the highest rate that stays within the budget.

    Attributes:
        cycles: from frame to frame.
        cost: by the same cost model.
        options: of each node.
    """

    cycles: int
    cost: Cost
    options: tuple[Option, ...]


def fold(
    specialised: ModelWrapper, target: Target, cam_backend: CamBackend, *, fps: float | None, seconds: float
) -> Folded:
    """Finds the fastest folding within the budget, or the smallest that reaches a rate.

    Args:
        specialised: not folded yet; its variants are chosen here, in place.
        target: chip, clock and budget.
        cam_backend: of the CAM block.
        fps: frames a second to reach with the least area; None wants the most.
        seconds: for the search.

    Raises:
        CheckFailed: nothing fits the budget; it names the resource that the smallest folding exceeds.
    """
    begin = monotonic()
    choose_rtl(specialised, cam_backend)
    problem = problem_of(specialised, target.part, DMAS)
    budget, bound = target.amounts, None
    while True:
        if fps is None:
            solution = fastest(problem, budget, target.device, seconds)
        else:
            solution = smallest(problem, target.cycles(fps), budget, target.device, seconds)
        if solution is None or columns_hold(target.part, _chains(solution.options)):
            break
        # As many DSPs would do, but not in chains of these lengths: seldom, and then a few less.
        bound = bound or solution
        budget = {**budget, "DSP": round(solution.cost.dsp) - 1}
    if solution is not None and bound is not None:
        solution = bounded(solution, bound, target.device)
    if solution is None:
        raise CheckFailed("fold", *_why_not(problem, target, fps))
    solution = replace(solution, seconds=monotonic() - begin)
    chosen = {
        choice.name: dict(option.attributes) for choice, option in zip(problem.choices, solution.options, strict=True)
    }
    folding = complete(specialised, chosen)
    return Folded(problem, solution, folding, limit(problem))


def bounded(solution: Solution, bound: Solution, device: Mapping[str, int]) -> Solution:
    """A folding found for fewer DSPs, which proves nothing for all of them, with what is proven of it.

    Args:
        solution: whose chains find place.
        bound: the first found, whose chains do not: no folding beats it, placed or not.
        device: as area is measured by.
    """
    smallest_area = area(bound.cost, device) * (1 - bound.area_gap)
    gap = max(solution.area_gap, 1 - smallest_area / area(solution.cost, device), 0.0)
    return replace(solution, least_cycles=min(bound.least_cycles, solution.cycles), area_gap=gap)


def _chains(options: Sequence[Option]) -> list[int]:
    return [length for option in options for length in chain_lengths(option.attributes)]


def complete(specialised: ModelWrapper, chosen: Mapping[str, Mapping[str, Any]]) -> Folding:
    """A folding with the attributes that nodes have beside those that were chosen."""
    return {name: {**entry, **chosen.get(name, {})} for name, entry in folding_of(specialised).items()}


def _why_not(problem: Problem, target: Target, fps: float | None) -> tuple[str, str]:
    """What the smallest folding exceeds, and what helps."""
    roomy = {name: amount * 1000 for name, amount in target.device.items()}
    if fps is not None and target.cycles(fps) < limit(problem):
        most = f"{target.fps(limit(problem)):,.0f}, with the slowest layer as parallel as can be"
        return f"no folding reaches {fps:,g} frames a second; on a chip of any size it is {most}", "lower --fps"
    slowest = max(o.cycles for choice in problem.choices for o in choice.options)
    cycles = slowest if fps is None else target.cycles(fps)
    rate = "" if fps is None else f" at {fps:,g} frames a second"
    what = f"no folding{rate} fits {100 * target.budget:.4g}% of {target.part}"
    helps = [] if fps is None else ["lower --fps"]
    least = smallest(problem, cycles, roomy, target.device)
    if least is not None and not fits(least.cost, target.device):
        # One that takes more in all may fit the chip where this does not.
        least = smallest(problem, cycles, target.device, target.device, STEP_SECONDS) or least
    helps += ["raise --budget"] if least is not None and fits(least.cost, target.device) else []
    helped = " or ".join([*helps, "take a larger chip"])
    if least is None:
        return what, helped
    wants = [
        f"{amount:,.0f} {name} of {target.amounts[name]:,}"
        for name, amount in used(least.cost).items()
        if amount > target.amounts[name]
    ]
    return f"{what}: the smallest that was found takes {', '.join(wants)}", helped


def heuristic(
    specialised: ModelWrapper, target: Target, cam_backend: CamBackend, problem: Problem, fps: float | None = None
) -> Heuristic | None:
    """SetFolding's best: the highest rate at which all that it makes stays within the budget, or what it makes of one.

    Args:
        specialised: not folded, its variants as SpecializeLayers chose them.
        target: chip, clock and budget.
        cam_backend: of the CAM block.
        problem: of the same graph.
        fps: frames a second that are wanted; None wants the most.

    Returns:
        None where nothing that it makes is legal and within the budget.
    """
    least = limit(problem)
    rates = sorted({o.cycles for choice in problem.choices if choice.op == "MVAU" for o in choice.options})
    rates = [cycles for cycles in rates if cycles >= least] if fps is None else [target.cycles(fps)]
    low, high = 0, len(rates) - 1
    best: Heuristic | None = None
    while low <= high:
        middle = (low + high) // 2
        try:
            found = _set_folding(specialised, target, cam_backend, problem, rates[middle])
        except UserError:
            # At a low rate SetFolding leaves units narrower than FINN allows.
            high = middle - 1
            continue
        if fits(found.cost, target.amounts):
            best, high = found, middle - 1
        else:
            low = middle + 1
    return best


def _set_folding(
    specialised: ModelWrapper, target: Target, cam_backend: CamBackend, problem: Problem, cycles: int
) -> Heuristic:
    model, _ = set_folding(specialised, target.fps(cycles), target.clock_mhz)
    choose_rtl(model, cam_backend)
    with quiet():
        options = tuple(as_folded(node, target.part) for node in model.graph.node)
    return Heuristic(max(option.cycles for option in options), cost_of_choice(problem, options), options)


def connected_cost(connected: ModelWrapper, part: str) -> dict[str, Cost]:
    """What each node of a connected graph takes, with the FIFOs and converters that it has, by name."""
    found = {}
    with quiet():
        for node in connected.graph.node:
            cost = cost_of(node, None, part)
            if cost is not None:
                found[node.name] = cost
    return found


def next_step(found: Folded, target: Target) -> tuple[int, list[str]] | None:
    """The next faster cycle count that occurs, and the resources each of which alone, without a budget, would allow it.

    Returns:
        None where the folding is as fast as any; no names where one resource alone does not suffice.
    """
    faster = [
        option.cycles
        for choice in found.problem.choices
        for option in choice.options
        if found.limit_cycles <= option.cycles < found.solution.cycles
    ]
    if not faster:
        return None
    program = Program(found.problem, max(faster))
    names = []
    for name, amount in target.device.items():
        eased = {**target.amounts, name: amount * 1000}
        if not program.solve(eased, target.device, STEP_SECONDS, least=False, relaxed=True).impossible:
            names.append(name)
    return max(faster), names


STEP_SECONDS = 10.0


def chip_limit(found: Folded, target: Target) -> int:
    """Cycles that no folding within the whole chip can beat: the least of the linear relaxation, by bisection."""
    cycles = sorted({o.cycles for choice in found.problem.choices for o in choice.options})
    cycles = [count for count in cycles if found.limit_cycles <= count <= found.solution.cycles]
    low, high = 0, len(cycles) - 1
    while low < high:
        middle = (low + high) // 2
        program = Program(found.problem, cycles[middle])
        impossible = program.solve(target.device, target.device, STEP_SECONDS, least=False, relaxed=True).impossible
        low, high = (middle + 1, high) if impossible else (low, middle)
    return cycles[low]


@dataclass(frozen=True)
class WeightMemory:
    """A unit's weights in block RAM: how much of it they fill."""

    node: str
    bits: int
    bram18: int

    @property
    def efficiency(self) -> float:
        """Share of its bits that hold weights."""
        return self.bits / (self.bram18 * BRAM18_BITS)


BRAM18_BITS = 18 * 1024


def weight_memories(specialised: ModelWrapper, found: Folded) -> list[WeightMemory]:
    """Those of the folding that lie in block RAM."""
    memories = []
    nodes = {node.name: node for node in specialised.graph.node}
    for choice, option in zip(found.problem.choices, found.solution.options, strict=True):
        if choice.op != "MVAU" or option.attributes["ram_style"] != "block":
            continue
        get = attributes(nodes[choice.name])
        memories.append(WeightMemory(choice.name, _weight_bits(get), round(option.cost.bram18)))
    return memories


def _weight_bits(get: Mapping[str, Any]) -> int:
    return int(get["MW"] * get["MH"] * bits(get["weightDataType"]))


def slowest(choices: tuple[Choice, ...], options: tuple[Option, ...]) -> str:
    """The node that sets the frame rate."""
    return max(zip(choices, options, strict=True), key=lambda pair: pair[1].cycles)[0].name
