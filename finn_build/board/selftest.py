"""The self-test: golden vectors in, exact comparison out, and what the board measured on the way."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from .accelerator import CamAccelerator
from .errors import BoardError, WrongAnswer
from .measure import latency, power, throughput
from .probe import compare

FORMAT = 1


def self_test(opened: Callable[[], CamAccelerator], seconds: float = 1.0) -> dict[str, Any]:
    """Opens the accelerator, runs every golden image, and measures.

    Args:
        opened: opens it.
        seconds: of the throughput measurement; 0 measures nothing.

    Returns:
        The report: `passed`, `images`, `bytes` compared, `mismatches` (images that differ; null where it did not come
        so far), `errors` [{name, message}], `build_id`, `package`, `throughput`, `latency`, `power`, `board`.
    """
    report: dict[str, Any] = {
        "format": FORMAT,
        "passed": False,
        "images": 0,
        "bytes": 0,
        "mismatches": None,
        "errors": [],
        "board": {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__},
    }
    try:
        with opened() as accelerator:
            bundle = accelerator.bundle
            report["package"] = bundle.manifest["config"]
            report["build_id"] = bundle.manifest["build_id"]
            report.update(compare(accelerator))
            report["passed"] = True
            if seconds > 0:
                report["throughput"] = throughput(accelerator, seconds)
                report["latency"] = latency(accelerator)
                report["power"] = power()
    except BoardError as error:
        report["passed"] = False
        if isinstance(error, WrongAnswer):
            report["images"], report["mismatches"] = error.images, error.mismatches
        report["errors"].append({"name": error.name, "message": str(error)})
    return report
