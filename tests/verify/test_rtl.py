"""The bars of the simulated hardware: every word of every packet, in time, with either CAM block, with pauses."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from finn_build.config import load_config
from finn_build.environment import ROOT, models_folder

pytestmark = [pytest.mark.verify, pytest.mark.timeout(7200)]

CONFIGS = ("resnet8_5w5a", "resnet8_4w4a", "resnet8_6w6a", "resnet8_loc_5w5a", "ntu_resnet8_5w5a")
RUNS = [
    ("resnet8_5w5a", 100, "hls", 1),
    ("resnet8_5w5a", 100, "rtl", 2),
    ("resnet8_5w5a", 20, "rtl", None),
    *((name, 10, cam, 3) for name in CONFIGS[1:] for cam in ("rtl", "hls")),
]
BUILD_SECONDS, SECONDS_AN_IMAGE, LUT_SHARE, INTERVAL_SHARE = 90, 1.0, 0.05, 1.01
CHEAP_CYCLES = 100_000


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rtl")


def command(name: str, out: Path, *arguments: str) -> dict[str, Any]:
    """What a command with --json says; random weights where none ship."""
    config = load_config(name)
    untrained = config.model.source == "checkpoint" and not (
        config.model.checkpoint is not None and config.model.checkpoint.is_file()
    )
    verb, *more = arguments
    line = [str(ROOT / ".venv/bin/finn-cam"), verb, name, *more, "--json", "--out", str(out)]
    done = subprocess.run(line + ["--untrained"] * untrained, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def simulated(name: str, out: Path, images: int, cam: str, seed: int | None) -> dict[str, Any]:
    stalls = [] if seed is None else ["--stalls", str(seed)]
    return command(name, out, "simulate", "--images", str(images), "--cam", cam, *stalls)


@pytest.mark.parametrize(("name", "images", "cam", "seed"), RUNS)
def test_every_word_of_every_packet(name: str, images: int, cam: str, seed: int | None, out: Path, bar: Any) -> None:
    if load_config(name).model.source == "onnx" and models_folder() is None:
        pytest.skip("FINN_CAM_MODELS does not name the folder of the foreign network")
    found = simulated(name, out, images, cam, seed)
    what = f"{name}: {images} images through the RTL, {'C++' if cam == 'hls' else 'SystemVerilog'} CAM"
    what += "" if seed is None else ", random pauses"
    inputs = [ROOT / "configs" / f"{name}.toml"]
    assert found["images"] == images
    bar(f"{what}: bytes that differ", found["mismatches"], "==", 0, inputs)
    if found["build_seconds"]:
        bar(f"{what}: seconds of the simulator's build", found["build_seconds"], "<=", BUILD_SECONDS, inputs)
    if seed is None and found["interval_cycles"] <= CHEAP_CYCLES:
        bar(f"{what}: seconds an image", found["seconds"] / images, "<=", SECONDS_AN_IMAGE, inputs)


def test_the_cam_block_costs_little(out: Path, bar: Any) -> None:
    name = "resnet8_5w5a"
    inputs = [ROOT / "configs" / f"{name}.toml"]
    tap, whole = (simulated(name, out, 6, cam, None)["interval_cycles"] for cam in ("hls", "rtl"))
    bar(f"{name}: interval with the CAM block over that of the tap", whole / tap, "<=", INTERVAL_SHARE, inputs)
    found = command(name, out, "synth")
    block = next(module["LUT"] for module in found["modules"] if module["op"] == "ClassActivationMap")
    share = block / found["resources"]["LUT"]
    bar(f"{name}: the CAM block's share of the LUTs", share, "<=", LUT_SHARE, inputs)
    bar(f"{name}: seconds of synthesis", found["seconds"], "<=", 600, inputs)
