"""The simulated accelerator beside the processor: speed at its clock, and each a 100 MHz of its own clock."""

import statistics
from dataclasses import dataclass
from pathlib import Path

from finn_build.report.simulated import Simulation

CPU_INFO = Path("/proc/cpuinfo")
PER_MHZ = 100.0


@dataclass(frozen=True)
class Hardware:
    """The accelerator as its RTL was simulated.

    Attributes:
        clock_mhz: of the accelerator.
        images_per_s: in steady state.
        latency_ms: of the first image.
        images_per_s_at_100_mhz: the same cycles at 100 MHz.
        cam_backend: rtl; or hls, whose cycles are not counted: then the figures end at the tap.
    """

    clock_mhz: float
    images_per_s: float
    latency_ms: float
    images_per_s_at_100_mhz: float
    cam_backend: str


def simulated(found: Simulation | None) -> Hardware | None:
    """The figures of a build's simulation; None where it was not run, or of a single image."""
    if found is None or found.fps is None or found.clock_mhz is None or found.latency_cycles is None:
        return None
    return Hardware(
        clock_mhz=found.clock_mhz,
        images_per_s=float(found.fps),
        latency_ms=found.latency_cycles / found.clock_mhz / 1e3,
        images_per_s_at_100_mhz=found.fps * PER_MHZ / found.clock_mhz,
        cam_backend=found.cam_backend or "",
    )


def cpu_mhz(source: Path = CPU_INFO) -> float | None:
    """The clock that this machine's cores say they run at, median, in MHz; None where they do not say."""
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    clocks = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return statistics.median(clocks) if clocks else None
