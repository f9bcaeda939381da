"""A network small enough to be built in a test, and a listener that remembers how the build went."""

from pathlib import Path

from finn_build.config import load_config
from finn_build.pipeline import BuildOptions, build_all
from finn_build.runner import RunStage

TINY = """
[model]
groups = { blocks = [1, 1], channels = [8, 16], strides = [1, 2] }
weight_bit_width = 4
act_bit_width = 4
first_bit_width = 4
last_bit_width = 4
checkpoint = "tiny.safetensors"

[input]
size = 8

[data]
dataset = "folder"
classes = 3
labels = ["circle", "square", "<b>star</b>"]

[folding]
target_fps = 1000.0

[cam]
output = 16
"""


class Quiet:
    """A listener that remembers which stages ran and why."""

    def __init__(self) -> None:
        self.reasons: dict[str, list[str]] = {}
        self.stages: list[RunStage] = []

    def started(self, stage: str, title: str, reasons: list[str]):
        self.reasons[stage] = reasons
        return lambda fraction: None

    def finished(self, stage: RunStage) -> None:
        self.stages.append(stage)

    def failed(self, stage: str, log: Path) -> None:
        self.reasons.setdefault(stage, []).append("failed")


def again(folder: Path, told: Quiet | None = None, **options: object) -> Quiet:
    """Builds the config of a folder that holds `tiny.toml`, by default with random weights and without a simulation."""
    told = told or Quiet()
    given = {"out": folder / "build", "untrained": True, "skip": frozenset({"simulate"}), **options}
    build_all(load_config(str(folder / "tiny.toml")), BuildOptions(**given), told)  # type: ignore[arg-type]
    return told
