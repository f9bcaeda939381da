"""A network small enough to be built in a test, and a listener that remembers how the build went."""

import json
import shutil
from pathlib import Path

import numpy as np

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


def make_tapped(place: Path, folder: Path) -> None:
    """A copy of the finished build of `TINY` with what a build of it with head = tap needs.

    Its folding file is that of the network with its CAM block, the last layer's PE excepted. The decoders are random.
    """
    import torch

    from models.checkpoint import load_checkpoint
    from models.evaluate import to_input
    from models.fcam.checkpoint import DecoderFacts, decoders_path, save_decoders
    from models.fcam.decoder import KINDS, Decoder, Shape
    from models.fcam.features import features_of
    from models.fcam.train import Recipe

    shutil.copytree(place, folder)
    built, checkpoint = folder / "build" / "tiny", folder / "tiny.safetensors"
    folding = json.loads((built / "specialise" / "folding.json").read_text())
    assert any(name.startswith("ClassActivationMap") for name in folding)
    folding[[name for name in folding if name.startswith("Thresholding")][-1]]["PE"] = 2
    (folder / "tiny.folding.json").write_text(json.dumps(folding))
    config = TINY.replace("target_fps = 1000.0", 'file = "tiny.folding.json"') + '\n[hardware]\nhead = "tap"\n'
    (folder / "tiny.toml").write_text(config)
    shutil.copyfile(built / "model" / "network.safetensors", checkpoint)
    chosen = load_config(str(folder / "tiny.toml"))
    network, _ = load_checkpoint(checkpoint, chosen.model, chosen.data.classes)
    maps = features_of(network)(to_input(np.zeros((1, 8, 8, 3), np.uint8))).maps
    torch.manual_seed(0)
    sizes = tuple(x.shape[1] for x in maps), tuple(x.shape[2] for x in maps)
    decoders = {kind: Decoder(Shape(kind, 8, *sizes)) for kind in KINDS}
    save_decoders(decoders_path(checkpoint), network, decoders, DecoderFacts("none", 0, Recipe(), "none", 0.0))


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
