"""The shipped foldings: each lies beside its config, which names no other; evidence is of the folding beside it."""

import json
from pathlib import Path

import pytest

from finn_build.cli.app import run
from finn_build.config import config_names, load_config
from finn_build.environment import configs_folder
from finn_build.folding.config import read_folding
from finn_build.folding.evidence import KINDS, SUFFIX, evidence_file, folding_digest

FOLDINGS = sorted(configs_folder().glob("*.folding.json"))


@pytest.mark.parametrize("path", FOLDINGS, ids=lambda path: path.name)
def test_a_folding_belongs_to_its_config(path: Path) -> None:
    name = path.name.removesuffix(".folding.json")
    assert name in config_names()
    assert load_config(name).folding.file in (None, path)
    folding = read_folding(path)
    assert any("resType" in entry for entry in folding.values())


def test_a_config_without_the_cam_block_does_not_write_over_its_twins_folding(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = [path.read_bytes() for path in sorted(configs_folder().glob("*.json"))]
    for arguments in (["fold", "--write"], ["simulate", "--evidence"], ["synth", "--evidence"]):
        assert run([arguments[0], "resnet8_loc_5w5a_tap", *arguments[1:]]) == 2
        told = capfd.readouterr().err
        assert (
            "expected a file of its own, for head = tap, got resnet8_loc_5w5a.folding.json, which folds a CAM" in told
        )
    assert before == [path.read_bytes() for path in sorted(configs_folder().glob("*.json"))]


@pytest.mark.parametrize("path", sorted(configs_folder().glob(f"*{SUFFIX}")), ids=lambda path: path.name)
def test_evidence_is_of_the_folding_beside_it(path: Path) -> None:
    folding = path.with_name(path.name.removesuffix(SUFFIX) + ".folding.json")
    assert evidence_file(folding) == path
    found = json.loads(path.read_text())
    assert found["folding"] == folding_digest(read_folding(folding)), "the folding has changed: make its evidence again"
    assert set(found) - {"folding"} <= set(KINDS)
    assert set(found) == {"folding", *KINDS}
    simulation, synthesis = found["simulation"], found["synthesis"]
    assert simulation["mismatches"] == 0
    assert simulation["images"] >= 6  # the steady state
    cycles, predicted = simulation["interval_cycles"], simulation["predicted"]
    assert abs(predicted["interval_cycles"] - cycles) <= 0.01 * cycles
    assert abs(predicted["latency_cycles"] - simulation["latency_cycles"]) <= 0.05 * simulation["latency_cycles"]
    for name in ("LUT", "FF", "BRAM18", "DSP"):
        took = synthesis["resources"][name]
        assert abs(synthesis["predicted"][name] - took) <= 0.1 * took, name


@pytest.mark.parametrize("path", FOLDINGS, ids=lambda path: path.name)
def test_every_shipped_folding_has_evidence(path: Path) -> None:
    assert evidence_file(path).is_file()
