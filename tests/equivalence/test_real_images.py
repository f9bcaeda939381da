"""The shipped checkpoint on real photographs: as right as its card says, and the same in integers."""

import json
from pathlib import Path

import pytest

from finn_build.cli.app import run

WORST = 0.80
"""The card says more than 86 % of 8,000; below this on 400 images the chance is less than one in a thousand."""


def test_the_shipped_checkpoint_keeps_its_accuracy(
    cifar_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "resnet8_5w5a", "--data", str(cifar_folder), "--out", str(tmp_path), "--json"]
    assert run(arguments) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["split"] == "test"
    assert found["images"] >= 400
    assert sum(map(sum, found["confusion"]["integer"])) == found["images"]
    assert found["accuracy"]["integer"] > WORST
    # Near-ties of float rounding may turn a picture in a thousand, no more.
    assert abs(found["accuracy"]["integer"] - found["accuracy"]["quantised"]) <= 0.0025
