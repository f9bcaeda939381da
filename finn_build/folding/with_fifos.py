"""The optimum with its FIFOs: their depths are known only of a folding, so it is folded until everything fits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import CheckFailed
from finn_build.folding.config import Folding, apply_folding, with_depths
from finn_build.folding.costs.cost import Cost, total
from finn_build.folding.fold import Folded, Target, connected_cost, fold
from finn_build.folding.optimise import fits, used
from finn_build.nodes.variants import CamBackend
from finn_build.streams.build import connect_with_least_depths
from finn_build.streams.depths import SLACK


@dataclass(frozen=True)
class WithFifos:
    """A folding whose FIFOs are known to the word.

    Attributes:
        found: the folding, an optimum for `budget`.
        folding: the same with the depth of every FIFO.
        cost: of everything, as the cost models have it.
        cycles: from frame to frame, FIFOs included, by the stream model.
        budget: share of each resource that the program was given, so that everything stays within the target's.
    """

    found: Folded
    folding: Folding
    cost: Cost
    cycles: int
    budget: float


def fold_with_fifos(
    specialised: ModelWrapper,
    target: Target,
    cam_backend: CamBackend,
    *,
    fps: float | None,
    seconds: float,
    slack: float = SLACK,
    on_progress: Callable[[float], None] | None = None,
) -> WithFifos:
    """As `fold`, then finds the FIFOs' depths, and folds again for a little less where all together exceeds the budget.

    Args:
        specialised, target, cam_backend, fps, seconds: as `fold`; the graph stays as it is.
        slack: share of the speed that may be lost for shallower FIFOs.
        on_progress: called with the share that is done.

    Raises:
        CheckFailed: as `fold`, or no folding was found that stays within the budget with its FIFOs.
    """
    share = target.budget
    for attempt in range(MOST_ATTEMPTS):

        def tell(done: float, attempt: int = attempt) -> None:
            if on_progress is not None:
                on_progress(1 - 0.5**attempt * (1 - done / 2))

        with quiet():
            graph = ModelWrapper(specialised.model, make_deepcopy=True)
        found = fold(graph, Target(target.part, target.clock_mhz, share), cam_backend, fps=fps, seconds=seconds)
        folded = folded_graph(graph, found.folding)
        lost = min(slack, _spare(found, target, fps))
        made = connect_with_least_depths(folded, {}, "the optimum", target.part, tell, lost)
        cost = sum_of(connected_cost(made.connected, target.part))
        if fits(cost, target.amounts):
            cycles = made.found.run.interval_cycles or found.solution.cycles
            return WithFifos(found, with_depths(found.folding, made.nodes), cost, cycles, share)
        over = max(amount / target.amounts[name] for name, amount in used(cost).items())
        share = round(share / over - 0.0005, 4)
    what = f"with its FIFOs no folding stayed within the budget in {MOST_ATTEMPTS} attempts"
    raise CheckFailed("fold", what, "lower --budget, and write again")


MOST_ATTEMPTS = 5


def _spare(found: Folded, target: Target, fps: float | None) -> float:
    """Share of its interval that a folding may lose and still reach the rate that is wanted."""
    return 1.0 if fps is None else target.cycles(fps) / found.solution.cycles - 1


def folded_graph(specialised: ModelWrapper, folding: Folding) -> ModelWrapper:
    """The specialised graph with a folding, checked as a file's would be."""
    return apply_folding(specialised, folding, "the optimum")


def sum_of(costs: Mapping[str, Cost]) -> Cost:
    """Everything together."""
    return total(costs.values())
