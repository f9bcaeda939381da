"""The bars of the shipped checkpoints: right often enough, as their cards say, and told within a minute."""

import json
import os
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from finn_build.config import load_config
from finn_build.environment import ROOT
from models.checkpoint import read_facts
from models.datasets.load import find_root

pytestmark = [pytest.mark.verify, pytest.mark.timeout(1800)]

FLOORS = {"resnet8_5w5a": 0.86, "resnet8_6w6a": 0.81, "resnet8_4w4a": 0.855, "resnet8_loc_5w5a": 0.60}
MOST_OFF_THE_CARD = 0.001
"""Another processor rounds other near-ties: a picture in thousands."""
MINUTE = 60


@cache
def evaluated(name: str, out: Path) -> tuple[dict[str, Any], float]:
    """What `finn-cam evaluate NAME` prints and the seconds it takes, with nothing built before."""
    own = Path(os.environ.get("FINN_CAM_DATA", "none"))
    if find_root(load_config(name).data.dataset, own) is None:
        pytest.skip(f"FINN_CAM_DATA names no folder with {load_config(name).data.dataset}")
    command = [str(ROOT / ".venv/bin/finn-cam"), "evaluate", name, "--data", str(own), "--out", str(out), "--json"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout), time.perf_counter() - start


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.mark.parametrize("name", FLOORS)
def test_accuracy(name: str, out: Path, bar: Any) -> None:
    found, _ = evaluated(name, out)
    checkpoint = load_config(name).model.checkpoint
    assert checkpoint is not None
    facts, inputs = read_facts(checkpoint), [ROOT / "configs" / f"{name}.toml", checkpoint]
    bar(
        f"{name}: test images that the integer graph recognises",
        found["accuracy"]["integer"],
        ">=",
        FLOORS[name],
        inputs,
    )
    if found["images"] != facts.test_images:
        pytest.skip(f"not the {facts.test_images} test images of the card: {found['images']}")
    for form, recorded in facts.test_accuracy.items():
        off = round(abs(found["accuracy"][form] - recorded), 6)
        bar(f"{name}: {form} accuracy off the card's", off, "<=", MOST_OFF_THE_CARD, inputs)


def test_a_whole_test_set_takes_less_than_a_minute(out: Path, bar: Any) -> None:
    found, seconds = evaluated("resnet8_5w5a", out)
    bar(f"resnet8_5w5a: seconds to evaluate {found['images']} images", round(seconds, 1), "<=", MINUTE)
