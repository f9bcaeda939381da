"""The accelerator in `report.json`: by its estimates, and by what Vivado found."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finn_build.report.base import Amount, Count, Part
from finn_build.report.folded import Converter


class Resources(Part):
    """Amounts of the chip's resources; null where nobody estimates one."""

    LUT: Amount | None = None
    FF: Amount | None = None
    BRAM18: Amount | None = None
    DSP: Amount | None = None
    slices: Amount | None = None

    def items(self) -> list[tuple[str, int | float | None]]:
        """Names and amounts, in the order of the keys."""
        return [(name, getattr(self, name)) for name in Resources.model_fields]


class HardwareLayer(Part):
    """A node of the specialised graph, in stream order; `cycles` is its interval for one image."""

    name: str
    op: str
    backend: str
    pe: int | None = None
    simd: int | None = None
    cycles: Count | None = None
    LUT: Amount | None = None
    FF: Amount | None = None
    BRAM18: Amount | None = None
    DSP: Amount | None = None
    slices: Amount | None = None
    input_type: str | None = None
    weight_type: str | None = None
    output_type: str | None = None
    output_shape: tuple[int, ...] | None = None


class Predicted(Part):
    """What the stream model says: from first word in to last word out, and between images; `tap_` is without CAM."""

    latency_cycles: Count | None = None
    interval_cycles: Count | None = None
    tap_latency_cycles: Count | None = None
    tap_interval_cycles: Count | None = None


class Hardware(Part):
    """The accelerator by its estimates: `budget` is absolute (the device times the config's factor).

    `lower_bounds` names the resources for which some nodes have no estimate, so that the true figure is higher.
    """

    part: str
    clock_mhz: Annotated[float, Field(gt=0)]
    cycles_per_image: Annotated[int, Field(ge=1)]
    fps: Annotated[float, Field(ge=0)]
    bottleneck: str
    resources: Resources
    budget: Resources
    device: Resources
    layers: tuple[HardwareLayer, ...] = ()
    board: str = ""
    folding: str = ""
    lower_bounds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    predicted: Predicted | None = None
    converters: tuple[Converter, ...] = ()

    @model_validator(mode="after")
    def _named(self) -> "Hardware":
        if self.layers and self.bottleneck not in {layer.name for layer in self.layers}:
            raise ValueError(f"bottleneck {self.bottleneck!r} is none of the {len(self.layers)} layers")
        unknown = set(self.lower_bounds) - set(Resources.model_fields)
        if unknown:
            raise ValueError(f"lower_bounds names {', '.join(sorted(unknown))}, which is no resource")
        return self

    @property
    def misses(self) -> dict[str, int | float]:
        """By how much each resource exceeds the budget; empty where the accelerator fits."""
        budget = dict(self.budget.items())
        over = {}
        for name, used in self.resources.items():
            limit = budget[name]
            if used is not None and limit is not None and used > limit:
                over[name] = used - limit
        return over


class Implementation(Part):
    """What Vivado found: `used` by the whole design, `accelerator` by the part of it that the estimates count.

    `errors` are (estimate − used) / used, by resource. Slacks in ns, negative where they are not met; `highest_mhz` is
    the clock that the slowest path would allow. `state` is how far it came: only `routed` figures are final.
    """

    tool: str
    state: Literal["synthesised", "routed"]
    used: Resources
    accelerator: Resources
    errors: dict[str, float] = Field(default_factory=dict)
    clock_mhz: Annotated[float, Field(gt=0)]
    highest_mhz: float
    setup_ns: float
    hold_ns: float
    pulse_ns: float
    failing: Count
    endpoints: Count
    worst: str = ""
    power_w: Amount | None = None
