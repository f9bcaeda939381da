"""The optimum: nothing within the budget beats it, what cannot be built is said, and its folding is one that builds."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graph_helpers import PART, chain
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.util.basic import get_by_name

from finn_build.errors import CheckFailed, UserError
from finn_build.folding.config import apply_folding, lint_folding, read_folding, write_folding
from finn_build.folding.costs.cost import Cost
from finn_build.folding.costs.fit import calibration, fits, predict
from finn_build.folding.costs.nodes import multipliers
from finn_build.folding.evidence import (
    evidence_file,
    folding_digest,
    read_evidence,
    require_own_folding,
    write_evidence,
)
from finn_build.folding.facts import result
from finn_build.folding.fold import DMAS, Target, chip_limit, fold, heuristic
from finn_build.folding.optimise import cost_of_choice, fastest, limit, smallest, used
from finn_build.folding.optimise import fits as within
from finn_build.folding.problem import Problem, problem_of
from finn_build.folding.program import Answer, Program, most
from finn_build.folding.with_fifos import fold_with_fifos, folded_graph
from finn_build.graph.fifos import connect, set_safe_depths
from finn_build.graph.specialise import specialise
from finn_build.nodes.variants import choose_rtl
from finn_build.resources.chains import ChainSize, chain_fits, chains_of, columns_hold
from finn_build.resources.devices import BOARDS, device, part_of
from finn_build.resources.slices import PACKING
from finn_build.streams.build import connect_with_least_depths
from finn_build.streams.depths import SLACK
from finn_build.streams.graph import stream_graph
from finn_build.streams.simulate import simulate_streams

BUDGET = 0.17
AREA_SLACK = 1.003


@pytest.fixture(scope="module")
def target() -> Target:
    return Target(PART, 100.0, BUDGET)


@pytest.fixture(scope="module")
def found(target):
    return fold(specialise(chain().generic, PART)[0], target, "rtl", fps=None, seconds=20.0)


def area(cost: Cost) -> float:
    whole = device(PART)
    shares = sum(amount / whole[name] for name, amount in used(cost).items() if name != "slices")
    return shares + 4 * cost.lut / 4 / PACKING / whole["slices"]


def test_the_optimum_is_proven_and_within_the_budget(found, target) -> None:
    assert found.solution.optimal
    assert found.solution.gap == 0
    assert within(found.solution.cost, target.amounts)
    assert found.solution.cycles == max(option.cycles for option in found.solution.options)
    # The budget binds: on the whole chip the network is faster, and never faster than its slowest node can be.
    whole = fastest(found.problem, target.device, target.device)
    assert limit(found.problem) <= whole.cycles < found.solution.cycles


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 6))
def test_no_perturbation_beats_the_optimum(found, target, seed: int, changes: int) -> None:
    rng = random.Random(seed)
    options = list(found.solution.options)
    for index in rng.sample(range(len(options)), min(changes, len(options))):
        options[index] = rng.choice(found.problem.choices[index].options)
    cost = cost_of_choice(found.problem, options)
    cycles = max(option.cycles for option in options)
    if within(cost, target.amounts):
        assert cycles >= found.solution.cycles
        if cycles == found.solution.cycles:
            assert area(cost) * AREA_SLACK >= area(found.solution.cost)


def test_a_rate_is_reached_with_the_least_area(found, target) -> None:
    rate = target.fps(found.solution.cycles) / 3
    small = fold(specialise(chain().generic, PART)[0], target, "rtl", fps=rate, seconds=20.0)
    assert target.fps(small.solution.cycles) >= rate
    assert area(small.solution.cost) < area(found.solution.cost)


def test_nothing_within_the_whole_chip_beats_its_limit(found, target) -> None:
    whole = Target(PART, target.clock_mhz, 1.0)
    best = fold(specialise(chain().generic, PART)[0], whole, "rtl", fps=None, seconds=20.0)
    assert found.limit_cycles <= chip_limit(found, target) <= best.solution.cycles <= found.solution.cycles


def test_what_cannot_be_is_told_in_one_line(target) -> None:
    message = r"no folding reaches 1e\+08 frames a second; on a chip of any size it is .*; lower --fps$"
    with pytest.raises(CheckFailed, match=message):
        fold(specialise(chain().generic, PART)[0], target, "rtl", fps=1e8, seconds=20.0)
    tiny = Target(PART, 100.0, 0.01)
    with pytest.raises(
        CheckFailed, match=r"no folding fits 1% of xc7z020clg400-1: the smallest that was found takes .* slices of "
    ):
        fold(specialise(chain().generic, PART)[0], tiny, "rtl", fps=None, seconds=20.0)


def test_the_heuristic_is_never_better_under_the_same_model(found, target) -> None:
    compared = heuristic(specialise(chain().generic, PART)[0], target, "rtl", found.problem)
    assert compared is not None
    assert within(compared.cost, target.amounts)
    assert found.solution.cycles <= compared.cycles


def test_the_folding_is_legal_read_back_and_connects(found, tmp_path: Path) -> None:
    model = specialise(chain().generic, PART)[0]
    choose_rtl(model, "rtl")
    path = tmp_path / "folding.json"
    write_folding(path, found.folding)
    lint_folding(model, read_folding(path), path.name)
    folded = apply_folding(model, read_folding(path), path.name)
    converters = sum(
        link.source is not None and link.target is not None
        and found.solution.options[link.source].lanes_out != found.solution.options[link.target].lanes_in
        for link in found.problem.links
    )  # fmt: skip
    connected = connect(set_safe_depths(folded)[0], PART)
    made = sum(node.op_type.startswith("StreamingDataWidthConverter") for node in connected.graph.node)
    assert made == converters


def test_a_larger_chip_is_no_slower(found, target) -> None:
    for board in ("Ultra96-V2", "KV260", "ZCU104"):
        part = part_of(board)
        assert device(part)["LUT"] > device(PART)["LUT"]
    with pytest.raises(UserError, match="one of PYNQ-Z1, PYNQ-Z2"):
        part_of("Arty")
    assert part_of("pynqz2") == BOARDS["PYNQ-Z2"]


def test_predictions_meet_the_calibration_points() -> None:
    units = fits()
    assert len(calibration()) >= 60
    for point in calibration():
        cost = predict(point.kind, point.size)
        assert cost.dsp == point.took["DSP"], point
        assert abs(cost.bram18 - point.took["BRAM18"]) <= 1, point
        unit = units[point.form.unit]
        # A point lies within three times its unit's error, or a few LUTs.
        assert unit.lut_error is not None
        assert unit.ff_error is not None
        assert abs(cost.lut - point.took["LUT"]) <= max(3 * unit.lut_error * point.took["LUT"], 15), point
        assert abs(cost.ff - point.took["FF"]) <= max(3 * unit.ff_error * point.took["FF"], 15), point


def test_every_model_has_an_error_of_points_that_it_was_not_fitted_to() -> None:
    for name, unit in fits().items():
        assert unit.lut_error is not None, name
        assert unit.ff_error is not None, name
        assert unit.exact_errors <= 1, name
    held_out = [point for point in calibration() if point.held_out]
    assert {point.form.unit for point in held_out} == {"ElementwiseAdd", "FMPadding", "weights in block RAM"}
    assert all(fits()[point.form.unit].points == 3 for point in held_out)


def test_thresholds_that_channels_share_take_no_memory() -> None:
    size = {"channels": 64, "pe": 1, "in_bits": 7, "out_bits": 6, "block_depth": 128}
    own, shared = predict("Thresholding", size), predict("Thresholding", {**size, "shared": True})
    assert own.bram18 > 0 == shared.bram18
    assert shared.lut <= own.lut


def test_dsps_are_as_the_lanes_pack() -> None:
    size = {"mw": 288, "mh": 32, "pe": 8, "simd": 12, "weight_bits": 5, "act_bits": 5, "multipliers": "dsp"}
    assert predict("core", size).dsp == 3 * 12
    assert predict("core", {**size, "multipliers": "lut"}).dsp == 0
    in_chains = predict("core", {**size, "multipliers": "chain"})
    assert in_chains.dsp == 4 * 12
    # What it is there for: a lane's sums cost nothing.
    assert in_chains.lut < predict("core", size).lut / 2


def test_chains_are_for_dsp48e1_and_widths_that_fit() -> None:
    fits_chain = {size: chain_fits(ChainSize(*size)) for size in ((999, 5, 5), (20, 7, 6), (1, 8, 8), (2, 8, 8))}
    assert [size for size, fit in fits_chain.items() if fit] == [(999, 5, 5), (1, 8, 8)]
    assert chains_of(20) == [20]
    assert chains_of(45) == [15, 15, 15]
    assert chains_of(41) == [14, 14, 13]
    model = specialise(chain().generic, part_of("KV260"))[0]
    choose_rtl(model, "rtl")
    for choice in problem_of(model, part_of("KV260"), DMAS).choices:
        assert all(choice.op != "MVAU" or multipliers(o.attributes) != "chain" for o in choice.options)


def test_chains_stay_within_the_columns_of_the_chip() -> None:
    # Three columns of 60 and two of 20: eleven chains of 20 or of 18, of 16 eleven as well, and no twelfth.
    assert columns_hold(PART, [20] * 11)
    assert columns_hold(PART, [18] * 11)
    assert not columns_hold(PART, [16] * 12)
    assert columns_hold(PART, [16] * 11 + [4] * 8)
    assert columns_hold("xck26", [20] * 99)


def test_evidence_is_of_one_folding(found, tmp_path: Path) -> None:
    file = tmp_path / "net.folding.json"
    write_evidence(file, found.folding, {"simulation": {"interval_cycles": 100}})
    assert evidence_file(file).name == "net.evidence.json"
    assert read_evidence(file, found.folding)["simulation"] == {"interval_cycles": 100}
    write_evidence(file, found.folding, {"synthesis": {"LUT": 1}})
    assert read_evidence(file, found.folding)["simulation"] == {"interval_cycles": 100}
    other = json.loads(json.dumps(found.folding))
    name = next(name for name in other if "PE" in other[name])
    other[name]["PE"] += 1
    assert folding_digest(other) != folding_digest(found.folding)
    assert read_evidence(file, other) == {"synthesis": None, "simulation": None}


def test_problem_counts_the_dmas(found) -> None:
    model = specialise(chain().generic, PART)[0]
    choose_rtl(model, "rtl")
    assert problem_of(model, PART, DMAS).fixed == DMAS


def test_dsp_cores_never_give_a_result_a_cycle() -> None:
    # The output queue of FINN's would overflow; own cores reserve places in theirs.
    model = specialise(chain().generic, PART)[0]
    choose_rtl(model, "rtl")
    widths = {node.name: get_by_name(node.attribute, "MW").i for node in model.graph.node if "MVAU" in node.op_type}
    choices = [choice for choice in problem_of(model, PART, DMAS).choices if choice.op == "MVAU"]
    assert len(choices) == len(widths)
    for choice in choices:
        assert "dsp" not in {
            multipliers(o.attributes) for o in choice.options if o.attributes["SIMD"] == widths[choice.name]
        }
    assert {multipliers(o.attributes) for choice in choices for o in choice.options} == {"dsp", "chain", "lut"}


def test_a_folding_for_fewer_dsps_is_not_called_the_optimum(found, target, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first folding's chains find no column, a later one's do.
    answers = iter([False, True])
    monkeypatch.setattr("finn_build.folding.fold.columns_hold", lambda part, lengths: next(answers))
    again = fold(specialise(chain().generic, PART)[0], target, "rtl", fps=None, seconds=20.0).solution
    assert again.cost.dsp < found.solution.cost.dsp
    assert again.least_cycles == min(found.solution.cycles, again.cycles)
    assert again.optimal == (again.cycles == found.solution.cycles and again.area_gap <= AREA_SLACK - 1)
    assert area(again.cost) * (1 - again.area_gap) <= area(found.solution.cost) * AREA_SLACK


def test_evidence_wants_a_file_and_the_own_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"net: \[folding\] file: expected a folding file, got none; write one with"):
        require_own_folding(None, "net", untrained=False)
    with pytest.raises(UserError, match="--evidence: expected the config's own weights, got --untrained"):
        require_own_folding(tmp_path / "net.folding.json", "net", untrained=True)


def test_nodes_and_what_is_between_them_add_up(found, target) -> None:
    facts = result(found, None, target, 99.0)
    assert 0 < facts["seconds"] < 20 < facts["total_seconds"]
    for name in ("LUT", "FF", "BRAM18", "DSP"):
        parts = [row[name] for row in (*facts["nodes"], *facts["between"])]
        assert sum(parts) == pytest.approx(facts["resources"][name], abs=len(parts) / 2)
    fifos, converters, dmas = facts["between"]
    assert fifos["LUT"] > 0 < converters["LUT"]
    assert converters["error"]["LUT"] > 0
    assert dmas["LUT"] == round(DMAS.lut)
    assert facts["resources_error"]["slices"] == facts["resources_error"]["LUT"]


def path_of(problem: Problem, first: int, last: int) -> Problem:
    """The nodes from `first` to `last` by themselves, which have to be one behind the other."""

    def moved(place: int | None) -> int | None:
        return place - first if place is not None and first <= place <= last else None

    links = [replace(link, source=moved(link.source), target=moved(link.target)) for link in problem.links]
    links = [link for link in links if (link.source, link.target) != (None, None)]
    ends = range(last - first + 1)
    assert [(link.source, link.target) for link in links] == list(zip([None, *ends], [*ends, None], strict=True))
    return Problem(problem.choices[first : last + 1], tuple(links), DMAS)


def least_area_of_all(problem: Problem, cycles: int, room: np.ndarray, weights: np.ndarray) -> float | None:
    """Of every folding of a path that is fast enough and fits: by hand, a node after the other, no solver."""

    def amounts(cost: Cost) -> np.ndarray:
        return np.array([cost.lut, cost.ff, cost.bram18, cost.dsp])

    reached: dict[int | None, np.ndarray] = {None: amounts(problem.fixed)[None]}
    for place, choice in enumerate(problem.choices):
        after: dict[int | None, list[np.ndarray]] = {}
        for option in (option for option in choice.options if option.cycles <= cycles):
            for words, rows in reached.items():
                link = problem.links[place]
                if not link.equal or words in (None, option.lanes_in):
                    between = link.cost(option.lanes_in if words is None else words, option.lanes_in)
                    rows = rows + amounts(option.cost) + amounts(between)
                    after.setdefault(option.lanes_out, []).append(rows[(rows <= room + 1e-6).all(axis=1)])
        reached = {words: np.vstack(rows) for words, rows in after.items()}
    last = problem.links[-1]
    whole = [rows + amounts(last.cost(words or 0, words or 0)) for words, rows in reached.items()]
    every = np.vstack(whole)
    every = every[(every <= room + 1e-6).all(axis=1)]
    return float((every @ weights).min()) if len(every) else None


@pytest.mark.parametrize("share", [0.065, 0.07, 0.12])
def test_the_optimum_is_that_of_all_foldings_tried_one_by_one(found, share: float) -> None:
    path = path_of(found.problem, 9, 13)
    target = Target(PART, 100.0, share)
    amounts, whole = target.amounts, target.device
    best = fastest(path, amounts, whole)
    assert best is not None
    assert best.optimal
    room, weights = np.array(most(amounts)), np.array([area_of_one(name) for name in ("LUT", "FF", "BRAM18", "DSP")])
    counts = sorted({option.cycles for choice in path.choices for option in choice.options})
    faster = [count for count in counts if limit(path) <= count < best.cycles]
    if faster:
        assert least_area_of_all(path, faster[-1], room, weights) is None
    least = least_area_of_all(path, best.cycles, room, weights)
    assert least is not None
    assert least <= area(best.cost) + 1e-9 <= least * AREA_SLACK
    slower = smallest(path, counts[-1], amounts, whole)
    assert slower is not None
    every = least_area_of_all(path, counts[-1], room, weights)
    assert every is not None
    assert every <= area(slower.cost) + 1e-9 <= every * AREA_SLACK


def area_of_one(name: str) -> float:
    """Of one piece of a resource."""
    return area(Cost(**{{"LUT": "lut", "FF": "ff", "BRAM18": "bram18", "DSP": "dsp"}[name]: 1.0}))


def test_fifos_of_a_balanced_folding_cost_no_more_than_they_may() -> None:
    # As fast as any folding, all layers are busy, and long frames and short ones take turns.
    model = specialise(chain().generic, PART)[0]
    best = fold(model, Target(PART, 100.0, 0.3), "rtl", fps=None, seconds=20.0)
    assert best.solution.cycles == best.limit_cycles
    folded = folded_graph(model, best.folding)
    for slack in (SLACK, 0.0):
        made = connect_with_least_depths(folded, {}, "folding", PART, None, slack)
        whole = simulate_streams(stream_graph(made.connected), 40)
        assert whole.sustained_cycles <= (1 + slack) * made.found.full_interval_cycles
        assert made.found.full_interval_cycles <= best.solution.cycles


def test_a_rate_that_is_asked_for_is_kept_with_its_fifos(target) -> None:
    model = specialise(chain().generic, PART)[0]
    problem = problem_of_chain()
    cycles = sorted({option.cycles for choice in problem.choices for option in choice.options if choice.op == "MVAU"})
    rate = target.fps(next(count for count in cycles if count >= limit(problem)))
    whole = Target(PART, 100.0, 0.6)
    made = fold_with_fifos(model, whole, "rtl", fps=rate, seconds=20.0)
    assert whole.fps(made.cycles) >= rate
    assert within(made.cost, whole.amounts)
    assert read_depths(made.folding)


def problem_of_chain() -> Problem:
    model = specialise(chain().generic, PART)[0]
    choose_rtl(model, "rtl")
    return problem_of(model, PART, DMAS)


def read_depths(folding: dict[str, dict[str, object]]) -> list[object]:
    return [values["inFIFODepths"] for values in folding.values() if "inFIFODepths" in values]


def test_a_search_that_runs_out_of_time_ends_and_tells_its_gap(found, target, monkeypatch: pytest.MonkeyPatch) -> None:
    # A solver that never knows: each target that it is given costs time, so there must be few of them.
    asked = []

    def unknown(self: Program, *_: object, relaxed: bool = False, **__: object) -> Answer:
        if not relaxed:
            asked.append(self)
        return Answer(None, False)

    monkeypatch.setattr(Program, "solve", unknown)
    with pytest.raises(CheckFailed, match=r"no folding was found in 1 s, nor a proof"):
        fastest(found.problem, target.amounts, target.device, 1.0)
    counts = {o.cycles for choice in found.problem.choices for o in choice.options}
    assert 1 < len(asked) < 12 < len(counts)
