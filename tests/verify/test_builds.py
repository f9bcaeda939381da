"""The bars of the build: every shipped config, exactly, in time, and reused."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from finn_build.config import config_names, load_config
from finn_build.environment import ROOT, models_folder

pytestmark = [pytest.mark.verify, pytest.mark.timeout(5400)]

FIT = {"resnet8_5w5a", "resnet8_4w4a", "resnet8_6w6a", "ntu_resnet8_5w5a"}
FIRST_SECONDS, AGAIN_SECONDS = 600, 5


def built(name: str, out: Path) -> tuple[int, dict[str, Any], float]:
    """Exit code, report and seconds of `finn-cam build NAME`; random weights where none ship."""
    config = load_config(name)
    untrained = config.model.source == "checkpoint" and not (
        config.model.checkpoint is not None and config.model.checkpoint.is_file()
    )
    command = [str(ROOT / ".venv/bin/finn-cam"), "build", name, "--json", "--out", str(out)]
    start = time.perf_counter()
    done = subprocess.run(command + ["--untrained"] * untrained, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout), time.perf_counter() - start


@pytest.mark.parametrize("name", config_names())
def test_config(name: str, tmp_path: Path, bar: Any) -> None:
    if load_config(name).model.source == "onnx" and models_folder() is None:
        pytest.skip("FINN_CAM_MODELS does not name the folder of the foreign network")
    code, report, _ = built(name, tmp_path)
    exact = [row for row in report["verification"] if row["stage"] != "qonnx"]
    inputs = [ROOT / "configs" / f"{name}.toml"]
    bar(f"{name}: values that differ from the integer graph", sum(r["mismatches"] for r in exact), "==", 0, inputs)
    bar(f"{name}: values compared", sum(r["values"] for r in exact), ">=", 100_000, inputs)
    over = [c["name"] for s in report["stages"] for c in s["checks"] if not c["passed"]]
    assert (code == 0) == (not over)
    if name in FIT:
        bar(f"{name}: resources over the budget", len(over), "==", 0, inputs)
    again, _, seconds = built(name, tmp_path)
    assert again == code
    bar(f"{name}: seconds of a build that reuses everything", seconds, "<=", AGAIN_SECONDS, inputs)


def test_first_build(tmp_path: Path, bar: Any) -> None:
    _, _, seconds = built("resnet8_5w5a", tmp_path)
    bar("resnet8_5w5a: seconds of a first build, .venv made", seconds, "<=", FIRST_SECONDS)
