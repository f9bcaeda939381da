"""The bars of localisation: the block is exact on every real image, and the maps find the objects."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finn_build.config import load_config
from finn_build.environment import ROOT
from models.datasets import load_dataset

pytestmark = [pytest.mark.verify, pytest.mark.timeout(3600)]

NAME = "resnet8_loc_5w5a"
CIFAR_IMAGES, TINY_IMAGES = 1000, 700
COMMAND = str(ROOT / ".venv/bin/finn-cam")


def data_folder(name: str) -> Path:
    folder = Path(os.environ.get("FINN_CAM_DATA", "")) / name
    if not folder.is_dir():
        pytest.skip(f"FINN_CAM_DATA names no folder with {name}")
    return folder


def inputs_of(name: str) -> list[Path]:
    config = load_config(name)
    if config.model.checkpoint is None or not config.model.checkpoint.is_file():
        pytest.skip(f"{name} has no checkpoint")
    decoders = config.model.checkpoint.with_suffix(".fcam.safetensors")
    return [ROOT / "configs" / f"{name}.toml", config.model.checkpoint, *([decoders] if decoders.is_file() else [])]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    inputs_of(NAME)
    arguments = ["evaluate", NAME, "--localisation", "--method", "all", "--json"]
    folders = ["--data", str(data_folder("tiny-imagenet-20")), "--out", str(tmp_path_factory.mktemp("build"))]
    done = subprocess.run([COMMAND, *arguments, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["images"] == TINY_IMAGES
    return found


def best_of(found: dict[str, Any], executors: tuple[str, ...], method: str = "") -> float:
    rows = [row for row in found["results"] if row["executor"] in executors and row["method"].startswith(method)]
    return max((row["MaxBoxAcc"] for row in rows), default=0.0)


def test_hardware_keeps_what_float_finds(measured: dict[str, Any], bar: Any) -> None:
    inputs = inputs_of(NAME)
    bar(f"{NAME}: packets that differ from the integer graph", measured["exact"]["mismatches"], "==", 0, inputs)
    assert measured["exact"]["packets"] >= 2 * TINY_IMAGES
    for gap in measured["differences"]:
        if gap["method"] == "cam" and gap["against"] == "float":
            low, high = (100 * value for value in gap["interval"])
            name = f"{NAME}: {gap['of']} less float CAM, points of MaxBoxAcc (95 % from {low:+.2f} to {high:+.2f})"
            bar(name, 100 * gap["MaxBoxAcc"], ">=", -0.5, inputs)


@pytest.mark.parametrize("baseline", ["centre_box", "centre_gaussian"])
def test_maps_find_more_than_the_middle_of_the_image(measured: dict[str, Any], baseline: str, bar: Any) -> None:
    best = best_of(measured, ("quantised", "integer", "csim"))
    gap = 100 * (best - measured["baselines"][baseline]["MaxBoxAcc"])
    bar(f"{NAME}: best method less {baseline.replace('_', ' ')}, points of MaxBoxAcc", gap, ">=", 5, inputs_of(NAME))


def test_decoders_find_more_than_the_plain_map(measured: dict[str, Any], bar: Any) -> None:
    inputs = inputs_of(NAME)
    if not inputs[-1].name.endswith(".fcam.safetensors"):
        pytest.skip("no F-CAM decoders: finn-cam fcam trains them")
    executors = ("quantised", "integer")
    plain = best_of({"results": [row for row in measured["results"] if row["method"] == "cam"]}, ("integer",))
    gap = 100 * (best_of(measured, executors, "fcam") - plain)
    bar(f"{NAME}: F-CAM less plain CAM, points of MaxBoxAcc", gap, ">=", 5, inputs)


def test_the_block_is_the_integer_graphs_head_on_cifar(tmp_path: Path, bar: Any) -> None:
    from finn_build.errors import CheckFailed
    from finn_build.localisation_data import Boxed
    from finn_build.localisation_maps import Forms

    name, root = "resnet8_5w5a", data_folder("cifar-10-batches-bin")
    inputs, config = inputs_of(name), load_config(name)
    arguments = ["build", name, "--until", "streamline", "--out", str(tmp_path)]
    assert subprocess.run([COMMAND, *arguments], capture_output=True, check=False).returncode == 0
    images = load_dataset("cifar10", root, "test", 32, 10)
    boxed = Boxed(
        images.images[:CIFAR_IMAGES], images.labels[:CIFAR_IMAGES], [np.zeros((0, 4), np.int64)] * CIFAR_IMAGES
    )
    assert len(boxed) == CIFAR_IMAGES
    wrong = 0
    try:
        Forms(config, tmp_path / name, ["cam"]).hardware(boxed)
    except CheckFailed:
        wrong = 1
    bar(f"{name}: packets of {CIFAR_IMAGES} CIFAR images that differ from the integer graph", wrong, "==", 0, inputs)
