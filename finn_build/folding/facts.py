"""What `finn-cam fold` tells, as data: the optimum beside FINN's heuristic, each node and its error, what limits it."""

from collections.abc import Mapping, Sequence
from typing import Any

from finn_build.folding.costs.cost import total
from finn_build.folding.costs.fit import fits
from finn_build.folding.costs.nodes import multipliers
from finn_build.folding.fold import Folded, Heuristic, Target, WeightMemory, slowest
from finn_build.folding.optimise import cost_between, used
from finn_build.folding.problem import Choice, Option
from finn_build.folding.with_fifos import WithFifos
from finn_build.resources.devices import KEYS
from finn_build.resources.slices import FLIPFLOPS, LUTS

PUBLISHED = (
    {"name": "NTU ResNet8-5w5a, PE 1, SIMD 2", "LUT": 40_593, "FF": 63_355, "BRAM36": 76},
    {"name": "NTU ResNet8-6w6a, light", "LUT": 35_617, "FF": 46_435, "BRAM36": 29},
)
"""The only figures of Vivado for designs of this kind, at their authors' foldings."""

CORE_UNITS = {
    "lut": "multipliers in LUTs", "chain": "multipliers in chains of DSPs", "dsp": "multipliers in DSPs",
}  # fmt: skip

Errors = dict[str, float | None]


def result(found: Folded, compared: Heuristic | None, target: Target, seconds: float) -> dict[str, Any]:
    """The command's JSON, but for what `more` adds."""
    solution, choices = found.solution, found.problem.choices
    return {
        "part": target.part,
        "clock_mhz": target.clock_mhz,
        "fps": round(target.fps(solution.cycles), 2),
        "cycles_per_image": solution.cycles,
        "bottleneck": slowest(choices, solution.options),
        "resources": whole_numbers(used(solution.cost)),
        "resources_error": _error_of_all(choices, solution.options),
        "share": target.budget,
        "budget": target.amounts,
        "device": target.device,
        "optimal": solution.optimal,
        "gap": round(solution.gap, 6),
        "area_gap": round(solution.area_gap, 6),
        "seconds": round(solution.seconds, 1),
        "total_seconds": round(seconds, 1),
        "limit_fps": round(target.fps(found.limit_cycles), 2),
        "heuristic": None
        if compared is None
        else {
            "fps": round(target.fps(compared.cycles), 2),
            "cycles_per_image": compared.cycles,
            "resources": whole_numbers(used(compared.cost)),
            "resources_error": _error_of_all(choices, compared.options),
        },
        "error": _errors(),
        "nodes": _nodes(found, compared),
        "between": _between(found),
        "published": [dict(design) for design in PUBLISHED],
        "folding": found.folding,
    }


def more(
    step: tuple[int, list[str]] | None,
    chip_cycles: int,
    memories: Sequence[WeightMemory],
    whole: WithFifos | None,
    target: Target,
) -> dict[str, Any]:
    """What limits the optimum, how full its memories are, and what it takes with its FIFOs."""
    return {
        "next_step": None if step is None else {"fps": round(target.fps(step[0]), 2), "limited_by": step[1]},
        "chip_fps": round(target.fps(chip_cycles), 2),
        "memories": [
            {"node": m.node, "bits": m.bits, "BRAM18": m.bram18, "efficiency": round(m.efficiency, 3)} for m in memories
        ],
        "with_fifos": None if whole is None else _with_fifos(whole, target),
    }


def _with_fifos(whole: WithFifos, target: Target) -> dict[str, Any]:
    return {
        "budget": whole.budget,
        "fps": round(target.fps(whole.cycles), 2),
        "cycles_per_image": whole.cycles,
        "resources": whole_numbers(used(whole.cost)),
    }


def whole_numbers(amounts: Mapping[str, float]) -> dict[str, int]:
    """Amounts of a device's resources, rounded."""
    return {name: round(amounts[name]) for name in KEYS}


def said(chosen: Mapping[str, Any]) -> str:
    """A folding in short: PE×SIMD of a matrix-vector unit, the lanes of anything else, then words."""
    words = [str(value) for value in chosen.values() if isinstance(value, str)]
    blocks = chosen.get("depth_trigger_bram")
    return " ".join([_lanes(chosen), *words, *([f"block from {blocks}"] if blocks else [])])


def _lanes(chosen: Mapping[str, Any]) -> str:
    return "×".join(str(chosen[name]) for name in ("PE", "SIMD", "ClassPE") if name in chosen)


def _nodes(found: Folded, compared: Heuristic | None) -> list[dict[str, Any]]:
    """Every node, in stream order, with what the heuristic has it be."""
    others = [None] * len(found.problem.choices) if compared is None else compared.options
    rows = []
    for choice, option, other in zip(found.problem.choices, found.solution.options, others, strict=True):
        row = {
            "node": choice.name,
            "op": choice.op,
            "cycles": option.cycles,
            "folding": said(option.attributes),
            **option.cost.to_json(),
            "error": _error(choice.op, option.attributes),
            "heuristic": None if other is None else {"cycles": other.cycles, "folding": _lanes(other.attributes)},
        }
        rows.append(row)
    return rows


def _between(found: Folded) -> list[dict[str, Any]]:
    """What is in `resources` beside the nodes."""
    fifos, converters = cost_between(found.problem, found.solution.options)
    band = fits()["StreamingDataWidthConverter"]
    rows = (
        ("FIFOs, rough", fifos, None),
        ("converters", converters, {"LUT": _rounded(band.lut_error), "FF": _rounded(band.ff_error)}),
        ("two DMAs", found.problem.fixed, None),
    )
    return [{"what": what, **cost.to_json(), "error": error or {"LUT": None, "FF": None}} for what, cost, error in rows]


def _errors() -> dict[str, dict[str, float | int | None]]:
    """Error band of each cost model: relative, root mean square over its calibration points."""
    return {
        unit: {"points": fit.points, "LUT": _rounded(fit.lut_error), "FF": _rounded(fit.ff_error)}
        for unit, fit in sorted(fits().items())
    }


def _error(op: str, chosen: Mapping[str, Any]) -> Errors:
    """Relative error of the model of a node's logic; none where too few points tell one."""
    fit = fits().get(CORE_UNITS[multipliers(chosen)] if op == "MVAU" else op)
    return {"LUT": None, "FF": None} if fit is None else {"LUT": _rounded(fit.lut_error), "FF": _rounded(fit.ff_error)}


def _error_of_all(choices: Sequence[Choice], options: Sequence[Option]) -> Errors:
    """The mean error of the nodes that have one, by what they take: that of the whole if all erred the same way."""
    found: Errors = {}
    pairs = list(zip(choices, options, strict=True))
    for key in ("LUT", "FF"):
        bands = [(_error(choice.op, option.attributes)[key], option.cost.to_json()[key]) for choice, option in pairs]
        known = [(band, amount) for band, amount in bands if band is not None]
        taken = sum(amount for _, amount in known)
        found[key] = round(sum(band * amount for band, amount in known) / taken, 3) if taken else None
    cost = total(option.cost for option in options)
    return {**found, "slices": found["LUT" if cost.lut / LUTS >= cost.ff / FLIPFLOPS else "FF"]}


def _rounded(error: float | None) -> float | None:
    return None if error is None else round(error, 3)
