"""The whole vendor build against the stand-ins: what it makes, what it reuses, and each way in which it can fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vendor_helpers import Go, again, called

from finn_build.cli.app import run
from finn_build.config import HardwareSpec
from finn_build.errors import CheckFailed, ToolFailed
from finn_build.package.bitfile import check_bitfile, read_bit
from finn_build.package.verify import verify_package
from finn_build.vendor.build import read_facts
from finn_build.vendor.plan import plan
from finn_build.vendor.tools import Absent

QUICK = ["--skip", "simulate"]
STEPS = ["probe", "project", "design", "synthesis", "implementation", "bitstream"]
pytestmark = pytest.mark.usefixtures("stand_ins")


def test_a_build_goes_on_to_a_bitfile_that_fits_its_package(
    place: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["build", str(place / "tiny.toml"), "--untrained", "--out", str(place / "build"), *QUICK]
    try:
        assert run(arguments) == 0
        built = place / "build" / "tiny"
        manifest = verify_package(built / "tiny-deploy.zip")
        assert manifest.state == "with bitfile"
        assert manifest.bitfile is not None
        assert (built / "deploy" / manifest.bitfile).read_bytes() == (built / "vendor" / "tiny.bit").read_bytes()
        told = check_bitfile(built / "vendor" / "tiny.bit", built / "vendor" / "tiny.hwh", manifest)
        assert len(told) == 6
        report = json.loads((built / "report.json").read_text())
        found = report["implementation"]
        assert found["state"] == "routed"
        assert found["used"] == {"LUT": 21543, "FF": 29876, "BRAM18": 123, "DSP": 12, "slices": 8912}
        assert found["accelerator"]["LUT"] == 17600
        estimate = report["hardware"]["resources"]["BRAM18"]
        assert found["errors"]["BRAM18"] == pytest.approx((estimate - 123) / 123)
        assert report["no_bitfile"] == ""
        assert "Vivado has to show it" not in " ".join(report["not_shown"])
        assert "<h2>Implementation</h2>" in (built / "report.html").read_text()
        assert called(stand_ins) == STEPS

        # The same again without the tools: what was made is still good, and stays in the package.
        monkeypatch.setenv("PATH", os.environ["PATH"].split(os.pathsep, 1)[1])
        capfd.readouterr()
        assert run(arguments) == 0
        assert "no bitfile" not in capfd.readouterr().err
        assert verify_package(built / "tiny-deploy.zip") == manifest
        assert called(stand_ins) == []
    finally:
        # Other tests share this build, which is one without tools.
        assert run([*arguments, "--skip", "vendor"]) == 0
    assert "no bitfile: not asked for" in capfd.readouterr().err


def test_what_the_stage_writes(go: Go, stand_ins: Path, tmp_path: Path, work: Path) -> None:
    result = go()
    assert all(check.passed for check in result.checks)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"tiny.bit", "tiny.hwh", "utilization.rpt", "hierarchy.rpt", "timing.rpt", "power.rpt"}
    assert called(stand_ins) == STEPS
    assert read_bit(tmp_path / "out" / "tiny.bit").part == "7z020clg400"
    assert read_facts(work / "design")["clock_mhz"] == "100.000000"
    go()
    assert called(stand_ins) == []


def test_timing_that_is_not_met_is_a_failed_check_without_a_bitfile(
    go: Go, stand_ins: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    again(work, "implementation")
    called(stand_ins)
    monkeypatch.setenv("STANDIN_WNS", "-0.312")
    result = go(out=tmp_path)
    assert called(stand_ins) == ["implementation"]
    assert not (tmp_path / "tiny.bit").exists()
    failed = [check for check in result.checks if not check.passed]
    assert [check.name for check in failed] == ["worst slack"]
    assert failed[0].measured == -0.312
    assert "217 of 92,471 paths" in failed[0].detail
    assert "97.0 MHz" in failed[0].detail
    assert "MVAU_rtl_4" in failed[0].detail
    again(work, "implementation")


def test_a_design_over_its_budget_is_not_placed_and_routed(
    go: Go, stand_ins: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    again(work, "synthesis")
    called(stand_ins)
    monkeypatch.setenv("STANDIN_LUT", "43000")
    result = go(out=tmp_path)
    assert called(stand_ins) == ["synthesis"]
    failed = [check for check in result.checks if not check.passed]
    assert [check.name for check in failed] == ["LUT after synthesis"]
    assert failed[0].limit == 42560
    assert "over by 440" in failed[0].detail
    assert result.facts["implementation"]["state"] == "synthesised"
    assert not list(tmp_path.glob("*.bit"))
    again(work, "synthesis")


@pytest.mark.parametrize(
    ("fault", "step", "words"),
    [
        ("licence", "probe", ["Common 17-345", "the free edition covers the XC7Z020"]),
        ("no_part", "probe", ["Part xc7z020clg400-1 not found", "install the Zynq-7000 devices"]),
        ("hls_error", "hls/IODMA_hls_0", ["vitis_hls ended with status 1", "HLS 207-3776", "in1_V"]),
        ("synth_error", "synthesis", ["vivado ended with status 1", "[Synth 8-439] module 'cam_maps' not found"]),
        ("disk_full", "implementation", ["No space left on device", "free disk space"]),
    ],
)
def test_a_tool_that_fails_is_one_line_with_its_first_errors(
    fault: str, step: str, words: list[str], go: Go, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(work, step)
    monkeypatch.setenv("STANDIN_FAULT", fault)
    with pytest.raises(ToolFailed) as failed:
        go()
    assert failed.value.exit_code == 3
    assert all(word in str(failed.value) for word in words), str(failed.value)
    assert failed.value.log.is_file()
    assert not (work / ".steps" / f"{step}.json").exists()


def test_a_memory_that_vivado_cannot_read_is_an_error(go: Go, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again(work, "synthesis")
    monkeypatch.setenv("STANDIN_FAULT", "memory")
    with pytest.raises(CheckFailed, match=r"could not open \$readmem data file 'memblock.dat'"):
        go()


def test_a_failed_tool_ends_the_build_with_status_3_a_report_and_a_package(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "licence")
    built = place / "build" / "tiny"
    arguments = ["build", str(place / "tiny.toml"), "--untrained", "--out", str(place / "build"), *QUICK]
    again(built / ".vendor", "probe")
    for name in ("report.json", "report.html", "tiny-deploy.zip"):
        (built / name).unlink()
    try:
        assert run([*arguments, "--force", "vendor"]) == 3
        told = capfd.readouterr().err.strip().splitlines()
        assert told[-1].startswith("finn-cam: vivado ended with status 1: ERROR: [Common 17-345]")
        assert "no bitfile: its build stopped with an error, and goes on there once that is mended" in told
        assert verify_package(built / "tiny-deploy.zip").state == "without bitfile"
        assert "ERROR: [Common 17-345]" in (built / "report.html").read_text()
        assert run([*arguments, "--json", "--force", "vendor"]) == 3
        report, streams = json.loads((built / "report.json").read_text()), capfd.readouterr()
        assert json.loads(streams.out)["stopped"] == report["stopped"]
        assert "ERROR: [Common 17-345]" in report["stopped"]
        assert streams.err.strip().splitlines()[-1] == f"finn-cam: {report['stopped']}"
    finally:
        assert run([*arguments, "--skip", "vendor"]) == 0


def test_what_is_not_as_it_has_to_be_before_the_tools_start_ends_with_status_2_and_a_report(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    built = place / "build" / "tiny"
    arguments = ["build", str(place / "tiny.toml"), "--untrained", "--out", str(place / "build"), *QUICK]
    (built / "report.json").unlink()
    monkeypatch.setenv("FINN_DEPS", str(tmp_path))
    try:
        assert run([*arguments, "--force", "vendor"]) == 2
        assert "make vendor-deps" in capfd.readouterr().err.strip().splitlines()[-1]
        assert "make vendor-deps" in json.loads((built / "report.json").read_text())["stopped"]
        (built / "report.json").unlink()
        assert run([*arguments, "--until", "vendor", "--force", "vendor"]) == 2
        stages = [stage["name"] for stage in json.loads((built / "report.json").read_text())["stages"]]
        assert "package" not in stages
    finally:
        assert run([*arguments, "--skip", "vendor"]) == 0


CHILD = """
import os, sys
from pathlib import Path
from finn_build.config import FoldingSpec, HardwareSpec
from finn_build.stages.vendor import make_bitfile
from finn_build.vendor.tools import find_tools
os.environ["STANDIN_BUILD"] = str(os.getpid())
built, deps, work, out = map(Path, sys.argv[1:])
make_bitfile(built / "codegen" / "nodes", built / "codegen" / "model.onnx", "tiny", HardwareSpec(), FoldingSpec(),
             find_tools(), deps, work, out, lambda fraction: None)
"""


def test_a_killed_build_goes_on_at_the_step_that_it_was_killed_in(
    go: Go, stand_ins: Path, place: Path, dependencies: Path, work: Path, tmp_path: Path
) -> None:
    go()
    again(work, "implementation")
    called(stand_ins)
    code = [sys.executable, "-c", CHILD, str(place / "build" / "tiny"), str(dependencies), str(work), str(tmp_path)]
    killed = subprocess.run(code, env=os.environ | {"STANDIN_FAULT": "kill_build"}, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert called(stand_ins) == ["implementation"]
    assert not (work / ".steps" / "implementation.json").exists()
    assert all(check.passed for check in go().checks)
    assert called(stand_ins) == ["implementation"]


def test_an_accelerator_that_ends_in_the_tap_has_no_registers(
    go: Go, tapped: Path, stand_ins: Path, tmp_path: Path
) -> None:
    built = tapped / "build" / "tiny"
    code = {"codegen": built / "codegen" / "nodes", "generated": built / "codegen" / "model.onnx"}
    go(**code, hardware=HardwareSpec(head="tap"), work=tmp_path / ".vendor")
    manifest = verify_package(built / "tiny-deploy.zip")
    told = check_bitfile(tmp_path / "out" / "tiny.bit", tmp_path / "out" / "tiny.hwh", manifest)
    # Part, two DMAs, length and id; no block with registers.
    assert len(told) == 5
    assert told[3] == f"tiny.hwh: taps of 128 bytes, build id {manifest.build_id}"
    script = (tmp_path / ".vendor" / "design" / "run.tcl").read_text()
    assert "CONFIG.NUM_SI {1} CONFIG.NUM_MI 2]" in script
    assert "0x41000000" not in script


def test_a_reference_is_not_made_into_a_bitfile() -> None:
    told = plan(True, [], None, "logits")
    assert isinstance(told, Absent)
    assert "head = logits is a reference" in told.reason
