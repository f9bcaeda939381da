"""What a simulation measured: cycles, rates, how full the FIFOs were, and when each stream moved each image."""

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from statistics import median
from typing import Any

from finn_build.rtl.design import Run
from finn_build.rtl.golden import CamBackend, Comparison
from finn_build.rtl.netlist import Netlist, memory_files
from finn_build.rtl.top import Accelerator


@dataclass(frozen=True)
class FifoUse:
    """A FIFO's capacity and the most words that it held."""

    name: str
    depth: int
    high_water: int


@dataclass(frozen=True)
class LayerTime:
    """When a stream moved its first and last word of each image, in cycles: a row of the timeline."""

    name: str
    first: tuple[int, ...]
    last: tuple[int, ...]


@dataclass(frozen=True)
class SimulationResult:
    """What a simulation measured.

    Attributes:
        images: simulated.
        values: output values compared.
        mismatches: of those, the ones that differ.
        latency_cycles: from an image's first word in to its last word out, for the first image.
        interval_cycles: between the last words of consecutive images in steady state; None for fewer than two images.
        clock_mhz: that `fps` is for.
        fps: images a second at that clock; None where there is no interval.
        cycles: simulated in all.
        cycles_per_second: simulated a second of wall time.
        seconds: of simulation.
        build_seconds: of compilation; 0 where the program was there already.
        cam_backend: rtl, or hls: then the hardware ends at the tap, whose words the C++ takes in no time, and the
            cycles are those of the tap.
        stalls_seed: of the random pauses on input and output, or None.
        graph: digest of the simulated graph's generated code.
        fifos: every FIFO.
        timeline: every stream between two blocks.
        first_difference: the first value that differs, or None.
    """

    images: int
    values: int
    mismatches: int
    latency_cycles: int
    interval_cycles: int | None
    clock_mhz: float
    fps: float | None
    cycles: int
    cycles_per_second: float
    seconds: float
    build_seconds: float
    cam_backend: CamBackend
    stalls_seed: int | None
    graph: str
    fifos: tuple[FifoUse, ...]
    timeline: tuple[LayerTime, ...] = field(repr=False)
    first_difference: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the timeline, as plain numbers."""
        fifos = [{"name": f.name, "depth": f.depth, "high_water": f.high_water} for f in self.fifos]
        kept = {name: value for name, value in vars(self).items() if name not in ("fifos", "timeline")}
        return {**kept, "fifos": fifos}


def result_of(
    accelerator: Accelerator,
    run: Run,
    found: Comparison,
    *,
    images: int,
    clock_mhz: float,
    build_seconds: float,
    cam_backend: CamBackend,
    stalls_seed: int | None,
) -> SimulationResult:
    """Puts a finished run and its comparison with the golden words together."""
    netlist = accelerator.netlist
    last = run.sides["out0_V"].last
    gaps = [b - a for a, b in pairwise(last)]
    # The pipeline still fills behind the first images: the interval is that of the later half.
    interval = int(median(gaps[len(gaps) // 2 :])) if gaps else None
    return SimulationResult(
        images=images,
        values=found.values,
        mismatches=found.mismatches,
        latency_cycles=last[0] - run.sides["in0_V"].first[0] + 1,
        interval_cycles=interval,
        clock_mhz=clock_mhz,
        fps=clock_mhz * 1e6 / interval if interval else None,
        cycles=run.cycles,
        cycles_per_second=run.cycles / run.seconds if run.seconds else 0.0,
        seconds=run.seconds,
        build_seconds=build_seconds,
        cam_backend=cam_backend,
        stalls_seed=stalls_seed,
        graph=code_digest(netlist),
        fifos=tuple(FifoUse(b.name, b.depth, run.high_water[b.name]) for b in accelerator.fifos),
        timeline=tuple(
            LayerTime(edge.title, run.sides[edge.tensor].first, run.sides[edge.tensor].last) for edge in netlist.edges
        ),
        first_difference=found.first,
    )


def code_digest(netlist: Netlist) -> str:
    """Digest of everything that the simulated hardware is made of: sources and memory contents."""
    digest = sha256()
    for block in netlist.blocks:
        for source in block.sources:
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    for path in memory_files(netlist):
        digest.update(path.relative_to(netlist.folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
