"""Frames a second, latency and power, as measured where this runs."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from .accelerator import CamAccelerator
from .errors import Refused

WARM_UP = 2
LATENCY_RUNS = 32


def throughput(accelerator: CamAccelerator, seconds: float = 2.0) -> dict[str, Any]:
    """Images a second from memory to decoded answers, with the host working while the accelerator does.

    Args:
        accelerator: open.
        seconds: to measure for, at least.

    Returns:
        `fps`, `images`, `seconds`, `batch`.
    """
    if not 0 < seconds <= 3600:
        raise Refused(f"seconds: expected above 0 and at most 3600, got {seconds}; choose another")
    golden = accelerator.bundle.golden()["images"]
    # Several batches a call, so that filling, computing and reading overlap as they do in use.
    images = golden[np.arange(4 * accelerator.batch) % len(golden)]
    accelerator.predict(images[: accelerator.batch])
    done, start = 0, time.perf_counter()
    while True:
        accelerator.predict(images)
        done += len(images)
        passed = time.perf_counter() - start
        if passed >= seconds:
            return {"fps": done / passed, "images": done, "seconds": passed, "batch": accelerator.batch}


def latency(accelerator: CamAccelerator, runs: int = LATENCY_RUNS) -> dict[str, Any]:
    """Milliseconds from one image in memory to its decoded answer.

    Returns:
        `median_ms`, `worst_ms`, `runs`.
    """
    if runs < 1:
        raise Refused(f"runs: expected 1 or more, got {runs}; choose another")
    image = accelerator.bundle.golden()["images"][0]
    times = []
    for number in range(WARM_UP + runs):
        start = time.perf_counter()
        accelerator.predict(image)
        if number >= WARM_UP:
            times.append(1000 * (time.perf_counter() - start))
    return {"median_ms": float(np.median(times)), "worst_ms": max(times), "runs": runs}


def power() -> dict[str, float] | None:
    """Watts of each supply rail that the board measures (PMBus); None where it has no such sensor, as the PYNQ-Z2."""
    try:
        rails = importlib.import_module("pynq").get_rails()
    except Exception:
        # Without sensors or their library pynq raises what the library beneath it does.
        return None
    watts = {name: float(rail.power.value) for name, rail in rails.items() if rail.power is not None}
    return watts or None
