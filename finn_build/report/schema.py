"""`report.json`: its keys, their types and units. Accuracies are fractions, `peak` is [x, y], `box` [x0, y0, x1, y1].

Every part is frozen and refuses unknown keys. What could not be measured is null, never 0. Numbers as numpy gives them
are taken as plain ones.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finn_build.report.base import Count, Deviation, Figure, Fraction, Part, RelativePath, Size
from finn_build.report.folded import Folded
from finn_build.report.hardware import Hardware, Implementation
from finn_build.report.localisation import Localisation
from finn_build.report.simulated import Simulation, Synthesis

VerifiedStage = Literal[
    "qonnx", "tidy", "streamline", "lower", "hardware", "partition", "specialise", "codegen", "cam", "rtl"
]
Relation = Literal["<=", ">=", "==", "<", ">"]

NOT_SHOWN = (
    "Timing: whether the placed and routed design meets the clock. Vivado has to show it.",
    "Utilisation after implementation: the resources here are estimates made before synthesis.",
    "A bitfile, and that it loads on the board.",
    "A run on the board: its frames a second, latency, power, and the same words as the golden vectors.",
)
"""What a laptop cannot show, until a vendor tool or a board has shown it."""

NOT_SHOWN_BY_VIVADO = ("That the bitfile loads on the board.", NOT_SHOWN[3])
"""What is left when Vivado has shown the rest."""


class Check(Part):
    """A stage's check: what was measured, its limit, and `measured relation limit`; `detail` says where it failed.

    Where both are numbers, `passed` has to be what they say.
    """

    name: str
    measured: Figure
    limit: Figure | None = None
    passed: bool
    relation: Relation = "<="
    unit: str = ""
    detail: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "Check":
        if isinstance(self.measured, int | float) and isinstance(self.limit, int | float):
            holds = compare(self.measured, self.relation, self.limit)
            if holds != self.passed:
                raise ValueError(
                    f"check {self.name!r} says passed={self.passed}, but {self.measured} {self.relation} {self.limit} "
                    f"is {holds}"
                )
        return self


class Stage(Part):
    """A stage of the build: the seconds it took when it ran, whether that run's result was reused, and its checks."""

    name: str
    seconds: Annotated[float, Field(ge=0)]
    reused: bool = False
    checks: tuple[Check, ...] = ()
    summary: str = ""

    @property
    def passed(self) -> bool:
        """Whether all checks of this stage hold."""
        return all(check.passed for check in self.checks)


class Network(Part):
    """What was compiled. `input` is [height, width] in pixels; `weights` and `macs` count convolutions and FC."""

    description: str = ""
    input: Size | None = None
    weights: Count | None = None
    macs: Count | None = None
    weight_bits: int | None = None
    act_bits: int | None = None
    first_bits: int | None = None
    last_bits: int | None = None
    trained: bool = True
    source: str = ""
    licence: str = ""


class Accuracy(Part):
    """Top-1 fractions: float (same weights, quantisers off), quantised (Brevitas) and integer (streamlined graph)."""

    dataset: str
    split: str
    images: Annotated[int, Field(ge=1)]
    float_: Annotated[Fraction | None, Field(alias="float")] = None
    quantised: Fraction | None = None
    integer: Fraction | None = None
    note: str = ""
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[Count, ...], ...] = ()
    """Of the integer graph: rows are the truth, columns the answer; empty for very many classes."""

    @model_validator(mode="after")
    def _square(self) -> "Accuracy":
        if self.confusion and {len(self.labels)} != {len(self.confusion), *map(len, self.confusion)}:
            raise ValueError("a confusion matrix has a row and a column a label")
        return self


class Verification(Part):
    """A comparison of one output of one stage with the golden reference.

    `method` is 'executed' where both sides ran, 'structural' where attributes, initialisers or generated words were
    compared. Only `qonnx`, where float rounding meets a quantiser's near-ties, may allow mismatches.
    """

    stage: VerifiedStage
    output: str
    values: Count
    mismatches: Count
    max_abs_diff: Deviation = None
    method: Literal["executed", "structural"] = "executed"
    allowed: Count = 0

    @model_validator(mode="after")
    def _exact(self) -> "Verification":
        if self.allowed and self.stage != "qonnx":
            raise ValueError(f"stage {self.stage} has to be exact, but allows {self.allowed} mismatches")
        if self.mismatches > self.values:
            raise ValueError(f"{self.mismatches} mismatches in {self.values} values")
        return self

    @property
    def passed(self) -> bool:
        """Whether no more values differ than the stage allows."""
        return self.mismatches <= self.allowed


class LayerFidelity(Part):
    """One layer: mean square error of Brevitas and of QONNX against float, and what its integer twin got wrong."""

    name: str
    op: str = ""
    mse_brevitas: Deviation = None
    mse_qonnx: Deviation = None
    values: Count | None = None
    mismatches: Count | None = None


class Cam(Part):
    """The CAM block: `map` and `output` are [height, width]; `max_abs_error`: the heatmap against float64, in levels.

    `mismatches` counts maps, logits and classes that differ from the integer model; `facts` are further figures.
    """

    classes: Annotated[int, Field(ge=1)]
    map: Size
    output: Size
    max_abs_error: Deviation = None
    images: Count | None = None
    mismatches: Count | None = None
    channels: Count | None = None
    tap_bits: int | None = None
    weight_bits: int | None = None
    backend: str = ""
    sampling: str = ""
    storage: str = ""
    threshold: float | None = None
    packet_bytes: Count | None = None
    cycles: Count | None = None
    facts: dict[str, Figure] = Field(default_factory=dict)


class Score(Part):
    """A class's share of the softmax."""

    label: str
    score: Fraction


class Example(Part):
    """A picture and what the accelerator says of it; `peak` and `box` in the picture's pixels, null for a constant map.

    `picture` and `overlay` are PNG files below the report's folder.
    """

    image: str
    class_: Annotated[int, Field(alias="class", ge=0)]
    label: str
    score: Fraction
    peak: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None
    size: Size | None = None
    executor: str = ""
    top: tuple[Score, ...] = ()
    truth: str | None = None
    picture: RelativePath | None = None
    overlay: RelativePath | None = None


class Bar(Part):
    """A figure of `make verify`, made at this commit and from these inputs, and the command that makes it."""

    name: str
    measured: Figure
    limit: Figure | None = None
    relation: Relation = ">="
    passed: bool
    command: str


class Package(Part):
    """The deployment package that the build wrote."""

    file: RelativePath
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    files: Count
    bytes: Count
    bitfile: bool
    build_id: str
    missing: tuple[str, ...] = ()


class Report(Part):
    """All that a build found. `until` is the stage that the user asked to stop after, `stopped` why a build ended.

    `no_bitfile` says why none was made; it is empty where one was, or where the build ended before.
    """

    format: Literal[1] = 1
    config: str
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    until: str | None = None
    stopped: str | None = None
    command: str = ""
    stages: tuple[Stage, ...] = ()
    network: Network | None = None
    accuracy: Accuracy | None = None
    verification: tuple[Verification, ...] = ()
    layers: tuple[LayerFidelity, ...] = ()
    hardware: Hardware | None = None
    folding: Folded | None = None
    implementation: Implementation | None = None
    no_bitfile: str = ""
    simulation: Simulation | None = None
    synthesis: Synthesis | None = None
    cam: Cam | None = None
    examples: tuple[Example, ...] = ()
    package: Package | None = None
    localisation: Localisation | None = None
    verify: tuple[Bar, ...] = ()
    not_shown: tuple[str, ...] = NOT_SHOWN

    @property
    def checks(self) -> list[tuple[str, Check]]:
        """Every check with its stage's name, in order."""
        return [(stage.name, check) for stage in self.stages for check in stage.checks]

    @property
    def passed(self) -> bool:
        """Whether nothing that was checked failed; a build that was stopped early passes as far as it went."""
        exact = all(row.passed for row in self.verification) and not any(row.mismatches for row in self.layers)
        bars = all(bar.passed for bar in self.verify)
        return self.stopped is None and exact and bars and all(check.passed for _, check in self.checks)


def compare(measured: float, relation: Relation, limit: float) -> bool:
    """Whether `measured relation limit` holds."""
    return {
        "<=": measured <= limit,
        ">=": measured >= limit,
        "==": measured == limit,
        "<": measured < limit,
        ">": measured > limit,
    }[relation]


def check(name: str, measured: float, relation: Relation, limit: float, *, unit: str = "", detail: str = "") -> Check:
    """A check of two numbers, passed if `measured relation limit` holds."""
    passed = compare(measured, relation, limit)
    return Check(name=name, measured=measured, limit=limit, passed=passed, relation=relation, unit=unit, detail=detail)
