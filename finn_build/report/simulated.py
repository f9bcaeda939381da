"""The report's part on the hardware itself: what its cycle-accurate simulation measured, and its open synthesis."""

from typing import Annotated, Literal

from pydantic import Field

from finn_build.report.base import Amount, Count, Part


class Fifo(Part):
    """A FIFO: words that it holds, and the most that it held."""

    name: str
    depth: Count
    high_water: Count


class LayerTime(Part):
    """When a layer sent the first and the last word of each image, in cycles."""

    name: str
    first: tuple[Count, ...]
    last: tuple[Count, ...]


class Simulation(Part):
    """The generated RTL in Verilator; with a reason in `not_run` it was not, and every figure is null.

    `latency_cycles` are from the first word of the first image in to its last word out, `interval_cycles` between the
    last words of consecutive images, `fps` at `clock_mhz`. With `cam_backend` hls the simulated hardware ends at the
    tap, whose words the CAM block's C++ takes in no time, so that neither counts the block.
    """

    not_run: str = ""
    images: Count | None = None
    values: Count | None = None
    mismatches: Count | None = None
    latency_cycles: Count | None = None
    interval_cycles: Count | None = None
    clock_mhz: Annotated[float, Field(gt=0)] | None = None
    fps: Amount | None = None
    cycles: Count | None = None
    cycles_per_second: Amount | None = None
    cam_backend: Literal["rtl", "hls"] | None = None
    stalls_seed: int | None = None
    graph: str | None = None
    fifos: tuple[Fifo, ...] = ()
    timeline: tuple[LayerTime, ...] = ()


class SynthesisedModule(Part):
    """A node synthesised by itself, and FINN's estimate of it; null where it has none."""

    name: str
    op: str = ""
    LUT: Count
    FF: Count
    BRAM18: Count
    DSP: Count
    estimate: dict[str, Amount | None] = Field(default_factory=dict)


class Synthesis(Part):
    """The accelerator synthesised by Yosys. `resources` are the whole's, `estimate` FINN's sum; `slices` an estimate.

    `graph` is the digest of what was synthesised; DMAs are not in it, and neither are timing and placement.
    """

    part: str
    graph: str
    resources: dict[str, Amount | None]
    estimate: dict[str, Amount | None]
    modules: tuple[SynthesisedModule, ...]
    cam_backend: Literal["rtl", "hls"]
    seconds: Amount
    unproven: tuple[str, ...] = ()
