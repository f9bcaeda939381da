"""The report's data: keys that others rely on, what is refused, and what a file says when it cannot be read."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from finn_build.errors import UserError
from finn_build.report.files import read_report, write_report
from finn_build.report.hardware import Hardware, Resources
from finn_build.report.schema import Accuracy, Check, Report, Stage, Verification, check
from finn_build.report.verdict import exact_values, failures, verdict


def test_keys_are_those_that_others_rely_on(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())

    assert data["config"] == "resnet8_5w5a"
    assert {"config", "versions", "stages", "accuracy", "verification", "hardware", "cam"} <= set(data)
    assert {"name", "seconds", "reused", "checks"} <= set(data["stages"][1])
    assert {"name", "measured", "limit", "passed"} <= set(data["stages"][1]["checks"][0])
    assert {"dataset", "split", "images", "float", "quantised", "integer"} <= set(data["accuracy"])
    assert {"stage", "output", "values", "mismatches", "max_abs_diff"} <= set(data["verification"][0])
    hardware = data["hardware"]
    keys = {"part", "clock_mhz", "cycles_per_image", "fps", "bottleneck", "resources", "budget", "device", "layers"}
    assert keys <= set(hardware)
    for name in ("resources", "budget", "device"):
        assert set(hardware[name]) == {"LUT", "FF", "BRAM18", "DSP", "slices"}
    assert {"name", "op", "backend", "pe", "simd", "cycles"} <= set(hardware["layers"][0])
    assert {"classes", "map", "output", "max_abs_error"} <= set(data["cam"])
    assert data["cam"]["map"] == [8, 8]
    assert {"image", "class", "label", "score", "peak", "box"} <= set(data["examples"][0])


def test_written_reports_read_back_and_repeat(report: Report, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_report(report, first)
    assert read_report(first) == report
    write_report(read_report(first), second)
    assert first.read_bytes() == second.read_bytes()


def test_a_failed_write_leaves_the_earlier_report(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    write_report(report, path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(report.model_copy(update={"config": "other"}), path)
    assert path.read_bytes() == before


def test_unknown_keys_and_changes_are_refused(report: Report) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Stage(name="tidy", seconds=1.0, second=2)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        report.config = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("{}", "config: expected this key, got nothing"),
        ('{"config": "a", "extra": 1}', "extra: expected a key of the report, got an unknown one"),
        ('{"config": "a", "stages": [{"name": "tidy", "seconds": "long"}]}', r"stages\[0\].seconds: .*got 'long'"),
    ],
)
def test_unreadable_files_are_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_report(path)
    assert "\n" not in str(caught.value)


def test_absent_and_binary_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_report(tmp_path / "report.json")
    (tmp_path / "report.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="no UTF-8"):
        read_report(tmp_path / "report.json")


def test_a_check_cannot_contradict_its_figures() -> None:
    assert check("DSP", 176, "<=", 176).passed
    assert not check("DSP", 177, "<=", 176).passed
    assert check("accuracy", 0.86, ">=", 0.85).passed
    with pytest.raises(ValidationError, match=r"177.* <= 176.* is False"):
        Check(name="DSP", measured=177, limit=176, passed=True)


def test_what_is_no_number_stays_readable() -> None:
    assert Check(name="error", measured=float("nan"), limit=1.0, passed=False).measured == "nan"
    row = Verification(stage="cam", output="maps", values=4, mismatches=4, max_abs_diff=float("inf"))
    assert row.max_abs_diff is None
    assert not row.passed


def test_numpy_numbers_become_plain() -> None:
    row = Verification(
        stage="lower", output="tap", values=np.int64(4), mismatches=np.sum([0]), max_abs_diff=np.float32(0)
    )
    assert (type(row.values), type(row.mismatches), type(row.max_abs_diff)) == (int, int, float)
    assert Resources(LUT=np.float64(12.5)).LUT == 12.5


def test_only_qonnx_may_differ() -> None:
    assert Verification(stage="qonnx", output="tap", values=9, mismatches=1, allowed=1).passed
    with pytest.raises(ValidationError, match="has to be exact"):
        Verification(stage="tidy", output="tap", values=9, mismatches=1, allowed=1)


def test_fractions_and_names_are_checked(report: Report) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Accuracy(dataset="d", split="test", images=1, integer=86.5)
    assert report.hardware is not None
    data = report.hardware.model_dump()
    with pytest.raises(ValidationError, match="bottleneck 'MVAU_99' is none of"):
        Hardware.model_validate(data | {"bottleneck": "MVAU_99"})
    with pytest.raises(ValidationError, match="which is no resource"):
        Hardware.model_validate(data | {"lower_bounds": ("LUTs",)})


def test_misses_are_what_exceeds_the_budget(report: Report) -> None:
    assert report.hardware is not None
    assert report.hardware.misses == {}
    more = report.hardware.resources.model_copy(update={"DSP": 200})
    assert report.hardware.model_copy(update={"resources": more}).misses == {"DSP": 24}


def test_the_verdict_names_what_failed(report: Report) -> None:
    assert report.passed
    assert verdict(report) == "Every check passed: 16 checks, 56 comparisons"
    assert failures(report) == []

    row = Verification(stage="lower", output="tap", values=100, mismatches=3, max_abs_diff=1)
    layer = report.layers[0].model_copy(update={"mismatches": 2})
    stage = Stage(name="estimate", seconds=1, checks=(check("LUT", 60_000, "<=", 42_560, detail="over by 17,440"),))
    failed = report.model_copy(
        update={"verification": (row,), "stages": (stage,), "layers": (layer,), "stopped": "stage lower: tap differs"}
    )
    assert not failed.passed
    assert failures(failed) == [
        "stage lower: tap differs",
        "estimate: LUT is 60,000, limit ≤ 42,560 (over by 17,440)",
        "lower: output tap differs in 3 of 100 values",
        "integer layer MVAU_0 differs in 2 values",
    ]
    assert exact_values(failed) == 97
    for change in ({"verification": (row,)}, {"stages": (stage,)}, {"layers": (layer,)}, {"stopped": "killed"}):
        assert not report.model_copy(update=change).passed


def test_the_manual_names_every_key() -> None:
    manual = (Path(__file__).resolve().parents[3] / "docs/results.md").read_text(encoding="utf-8")
    for key in Report.model_fields:
        assert f"`{key}`" in manual or f"`{key}[]`" in manual, key
