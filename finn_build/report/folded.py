"""The report's part on folding: the optimum beside FINN's heuristic, and what limits it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from finn_build.report.base import Amount, Count, Part

Amounts = dict[str, Amount]
Errors = dict[str, Amount | None]
"""Relative errors by resource; null where nobody knows one."""


class Converter(Part):
    """A width converter that a folding forces between two nodes, or a node and a DMA; `LUT` and `FF` are estimates."""

    source: str
    target: str
    in_bits: Count
    out_bits: Count
    LUT: Count
    FF: Count


class FoldedWhole(Part):
    """A folding's rate, and what it takes by the cost models; FIFOs are rough, DMAs an allowance."""

    fps: Amount
    cycles_per_image: Annotated[int, Field(ge=1)]
    resources: Amounts
    resources_error: Errors = Field(default_factory=dict)


class NextStep(Part):
    """The next rate up; `limited_by` are the resources each of which alone, were there more of it, would allow it."""

    fps: Amount
    limited_by: tuple[str, ...] = ()


class WithFifos(Part):
    """Rate, and what all takes, when the depths of its FIFOs are known; the search was given a share of `budget`."""

    budget: Annotated[float, Field(gt=0, le=1)]
    fps: Amount
    cycles_per_image: Annotated[int, Field(ge=1)]
    resources: Amounts


class FilledMemory(Part):
    """A unit's weights in block RAM; `efficiency` is the share of those RAMs' bits that hold weights."""

    node: str
    bits: Count
    BRAM18: Count
    efficiency: Annotated[float, Field(ge=0)]


class OtherFolding(Part):
    """What FINN's heuristic has a node be."""

    cycles: Count
    folding: str = ""


class FoldedNode(Part):
    """A node of the optimum, in stream order, by itself: `cycles` from frame to frame, `folding` in short."""

    node: str
    op: str
    cycles: Count
    folding: str = ""
    LUT: Count
    FF: Count
    BRAM18: Count
    DSP: Count
    error: Errors = Field(default_factory=dict)
    heuristic: OtherFolding | None = None


class ModelError(Part):
    """A cost model's calibration points, and its relative error at points left out of the fit, root mean square."""

    points: Count
    LUT: Amount | None = None
    FF: Amount | None = None


class SynthesisEvidence(Part):
    """Yosys' figures for this folding and the prediction for the same nodes; `error` = predicted / synthesised − 1."""

    resources: Amounts
    predicted: Amounts
    error: dict[str, float]
    whole: str = ""
    tool: str = ""
    command: str = ""


class SimulationEvidence(Part):
    """The generated RTL of this folding in Verilator; `predicted` is the stream model's."""

    images: Count
    values: Count
    mismatches: Count
    latency_cycles: Count | None = None
    interval_cycles: Count | None = None
    predicted: dict[str, Count | None] = Field(default_factory=dict)
    cam: str = ""
    command: str = ""


class Evidence(Part):
    """What was shown of this folding; null where it was not."""

    synthesis: SynthesisEvidence | None = None
    simulation: SimulationEvidence | None = None


class Published(Part):
    """A published design of this kind, placed by Vivado, at its authors' folding."""

    name: str
    LUT: Count
    FF: Count
    BRAM36: Count


class Folded(Part):
    """What `finn-cam fold` found: null in the report unless it is the folding that the build has.

    `share` of each resource is `budget`; `gap` by which share of its cycles a folding might be faster, `area_gap` of
    its area smaller, `optimal` where neither is possible. `chip_fps`: no folding within the whole chip is faster;
    `limit_fps`: nor on a chip of any size. `wanted_fps` is the rate that the least area was searched for; null for
    the highest rate.
    """

    part: str
    clock_mhz: Annotated[float, Field(gt=0)]
    fps: Amount
    cycles_per_image: Annotated[int, Field(ge=1)]
    bottleneck: str
    resources: Amounts
    resources_error: Errors = Field(default_factory=dict)
    share: Annotated[float, Field(gt=0, le=1)]
    budget: Amounts
    device: Amounts
    optimal: bool
    gap: Annotated[float, Field(ge=0)]
    area_gap: Annotated[float, Field(ge=0)]
    seconds: Amount
    wanted_fps: Amount | None = None
    limit_fps: Amount
    chip_fps: Amount
    next_step: NextStep | None = None
    heuristic: FoldedWhole | None = None
    with_fifos: WithFifos | None = None
    memories: tuple[FilledMemory, ...] = ()
    nodes: tuple[FoldedNode, ...] = ()
    error: dict[str, ModelError] = Field(default_factory=dict)
    evidence: Evidence = Evidence()
    published: tuple[Published, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Folded":
        """From the JSON of `finn-cam fold`, which tells more.

        Raises:
            ValidationError, KeyError: another version of this program told it.
        """
        evidence = facts.get("evidence") or {}
        kinds: dict[str, type[Part]] = {"synthesis": SynthesisEvidence, "simulation": SimulationEvidence}
        shown = {kind: _known(part, evidence[kind]) for kind, part in kinds.items() if evidence.get(kind)}
        return cls.model_validate({**_known(cls, facts), "evidence": shown})


def _known(part: type[Part], told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key in part.model_fields}
