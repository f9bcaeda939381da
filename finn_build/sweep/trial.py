"""One trial: a network trained for a few epochs, judged on held-out images, and its hardware estimated."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from finn_build.cache.store import write_atomically
from finn_build.config import Config
from finn_build.errors import CheckFailed, UserError
from finn_build.pipeline import BuildOptions, build_all
from finn_build.runner import RunStage
from finn_build.stages.result import Progress
from models.datasets.dataset import Dataset
from models.size import size_of

RESULT = "result.json"


@dataclass(frozen=True)
class Figures:
    """What a trial found.

    Attributes:
        channels, bits: of each group.
        accuracy: on the held-out images, quantised; a fraction.
        weights, weight_bits, macs, bit_operations: see `models.size`.
        LUT, BRAM18, DSP: estimates for the sweep's frame rate; None where they were not made.
        fps: frames a second by the same estimates.
        fits: whether the budget holds.
        seconds: of training.
        unestimated: why there are no estimates, in one line; empty where there are, or none were wanted.
    """

    channels: list[int]
    bits: list[int]
    accuracy: float
    weights: int
    weight_bits: int
    macs: int
    bit_operations: int
    LUT: float | None
    BRAM18: float | None
    DSP: float | None
    fps: float | None
    fits: bool | None
    seconds: float
    unestimated: str = ""


class _Silent:
    """Tells nothing of a build's stages."""

    def started(self, stage: str, title: str, reasons: list[str]) -> Progress:
        return lambda fraction: None

    def finished(self, stage: RunStage) -> None:
        """Nothing."""

    def failed(self, stage: str, log: Path) -> None:
        """Nothing."""


def run_trial(config: Config, data: Dataset, folder: Path, shared: Path, device: str, estimate: bool) -> Figures:
    """Trains, measures and estimates; what was found before in the same folder is not found again.

    Args:
        config: of the trial.
        data: the training images, `[train] held_out` of which are judged by.
        folder: of the trial. A training that was killed goes on there.
        shared: of all trials: float phases of the same shape serve every bit width.
        device: "cpu", "cuda" …
        estimate: whether to build the hardware's estimate with random weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Two processes may have chosen the same network: the second waits, and reads.
    with FileLock(folder / ".lock"):
        return _found(config, data, folder, shared, device, estimate)


def _found(config: Config, data: Dataset, folder: Path, shared: Path, device: str, estimate: bool) -> Figures:
    done = folder / RESULT
    if done.is_file():
        return Figures(**json.loads(done.read_text(encoding="utf-8")))
    from models.train import train

    result = train(config.model, config.train, data, folder / "train", shared, device=device)
    if result.held_out_quantised is None or config.model.groups is None:
        raise UserError("[train] held_out", "images to judge by", "0", "hold some out")
    size = size_of(config.model, config.input.size, config.data.classes)
    cost, reason = _estimate(config, folder / "build") if estimate else ({}, "")
    found = Figures(
        channels=config.model.groups.channels,
        bits=config.model.groups.weight_bit_widths or [],
        accuracy=result.held_out_quantised,
        **asdict(size),
        LUT=cost.get("LUT"),
        BRAM18=cost.get("BRAM18"),
        DSP=cost.get("DSP"),
        fps=cost.get("fps"),
        fits=None if not cost else not cost["misses"],
        seconds=round(result.seconds, 1),
        unestimated=reason,
    )
    write_atomically(done, json.dumps(asdict(found)) + "\n")
    shutil.rmtree(folder / "build", ignore_errors=True)
    return found


def _estimate(config: Config, out: Path) -> tuple[dict[str, float], str]:
    """Resources, frames a second, and how many budgets are missed; or why there are none, of what FINN cannot fold."""
    try:
        options = BuildOptions(until="specialise", out=out, untrained=True, report=False)
        hardware = build_all(config, options, _Silent()).report.hardware
    except (UserError, CheckFailed) as error:
        return {}, str(error)
    if hardware is None:
        return {}, "the build ended before its estimates"
    amounts = {name: amount for name, amount in hardware.resources.items() if amount is not None}
    return {**amounts, "fps": hardware.fps, "misses": len(hardware.misses)}, ""
