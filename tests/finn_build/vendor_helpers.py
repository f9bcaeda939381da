"""What tests of the vendor build ask of the stand-ins and of the kept steps."""

from collections.abc import Callable
from pathlib import Path

from finn_build.stages.result import StageResult

Go = Callable[..., StageResult]


def called(calls: Path) -> list[str]:
    """The steps whose scripts Vivado was called with, in order."""
    lines = calls.read_text().splitlines() if calls.is_file() else []
    calls.unlink(missing_ok=True)
    return [line.split()[0] for line in lines]


def again(work: Path, *steps: str) -> None:
    """Lets steps run again, as if nothing had been kept of them."""
    for step in steps:
        (work / ".steps" / f"{step}.json").unlink(missing_ok=True)
