"""The accuracy stage: its check, and whose labels a network carries."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build_helpers import TINY, again
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from finn_build.cli.app import run
from finn_build.executors.batch import BatchExecutor
from finn_build.head import read_head


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """1, 3 and 6 pictures of three classes: no answer that is the same for all comes near another."""
    rng = np.random.default_rng(3)
    for count, name in ((1, "a"), (3, "b"), (6, "c")):
        for part in ("train", "test"):
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_an_integer_graph_that_answers_otherwise_fails_the_check(
    copy: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    trained(copy, ["circle", "square", "<b>star</b>"])
    arguments = ["build", str(copy / "tiny.toml"), "--out", str(copy / "build"), "--data", str(dataset)]
    arguments += ["--until", "accuracy", "--skip", "simulate"]
    assert run(arguments) == 0
    capfd.readouterr()
    place = copy / "build" / "tiny" / "report.json"
    # Of all pictures a tenth is of the first class, six tenths are of the last: one of them is far from any fraction.
    answer = 2 if json.loads(place.read_text())["accuracy"]["quantised"] < 0.35 else 0

    def other_class(self: BatchExecutor, images: Any) -> dict[str, Any]:
        return {"logits": np.tile(np.eye(3)[answer], (len(images), 1))}

    monkeypatch.setattr(BatchExecutor, "run", other_class)
    assert run([*arguments, "--force", "accuracy"]) == 1
    assert "integer accuracy off the quantised one is " in capfd.readouterr().err
    report = json.loads(place.read_text())
    checks = next(stage["checks"] for stage in report["stages"] if stage["name"] == "accuracy")
    assert [check["passed"] for check in checks] == [False]
    accuracy = report["accuracy"]
    assert checks[0]["measured"] == pytest.approx(abs(accuracy["integer"] - accuracy["quantised"]), abs=1e-6)


def test_what_evaluate_found_is_in_the_report_of_that_network_alone(
    copy: Path, dataset: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained(copy, ["circle", "square", "<b>star</b>"])
    common = [str(copy / "tiny.toml"), "--out", str(copy / "build")]
    build = ["build", *common, "--until", "streamline"]
    assert run(build) == 0
    place = copy / "build" / "tiny" / "report.json"
    assert json.loads(place.read_text())["accuracy"] is None
    assert run(["evaluate", *common, "--data", str(dataset), "--split", "train", "--json"]) == 0
    assert json.loads(place.read_text())["accuracy"] is None, "training images are not reported on"
    capfd.readouterr()
    assert run(["evaluate", *common, "--data", str(dataset), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    shown = json.loads(place.read_text())["accuracy"]
    assert {form: shown[form] for form in found["accuracy"]} == found["accuracy"]
    assert shown["confusion"] == found["confusion"]["integer"]
    assert "Confusion matrix" in place.with_suffix(".html").read_text()
    assert run(build) == 0
    assert json.loads(place.read_text())["accuracy"] == shown, "the next build keeps it"
    weights = load_file(copy / "tiny.safetensors")
    weights["fc.weight"] = -weights["fc.weight"]
    with safe_open(copy / "tiny.safetensors", framework="pt") as file:
        about = file.metadata()
    save_file(weights, copy / "tiny.safetensors", about)
    assert run(build) == 0
    assert json.loads(place.read_text())["accuracy"] is None, "it was another network's"


def trained(copy: Path, labels: list[str]) -> None:
    """Gives the build's random weights the place, and the class names, of trained ones."""
    place = copy / "tiny.safetensors"
    shutil.copyfile(copy / "build" / "tiny" / "model" / "network.safetensors", place)
    with safe_open(place, framework="pt") as file:
        about = json.loads(file.metadata()["finn_cam"])
    about["facts"]["labels"] = labels
    save_file(load_file(place), place, {"finn_cam": json.dumps(about)})


def test_a_config_without_labels_takes_those_of_the_checkpoint(copy: Path) -> None:
    trained(copy, ["ant", "bee", "cow"])
    lines = TINY.splitlines()
    (copy / "tiny.toml").write_text("\n".join(line for line in lines if not line.startswith("labels")))
    again(copy, untrained=False, until="streamline")
    for stage in ("export", "streamline"):
        assert list(read_head(copy / "build" / "tiny" / stage / "head.npz").labels) == ["ant", "bee", "cow"]
