"""Before a tool starts: tools and their version, licence, board files, disk, path; each missing one is one line."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from finn_build.cli.app import run
from finn_build.errors import ToolFailed, UserError
from finn_build.report.schema import check
from finn_build.vendor import deps, preflight
from finn_build.vendor.logs import first_errors
from finn_build.vendor.plan import plan
from finn_build.vendor.program import run_tool
from finn_build.vendor.tools import Absent, Tools, find_tools

PART = "xc7z020clg400-1"
GIT = shutil.which("git") or "git"


@pytest.mark.usefixtures("stand_ins")
def test_both_tools_of_a_known_version_are_found() -> None:
    found = find_tools()
    assert isinstance(found, Tools)
    assert found.version == "2024.2"
    assert found.hls_command("a.tcl") == [str(found.hls), "-f", "a.tcl"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"STANDIN_VERSION": "2023.1"}, ["2022.2 or 2024.2", "2023.1", "the free edition"]),
        ({"STANDIN_HLS_VERSION": "2022.2"}, ["one version of both", "vivado 2024.2", "vitis_hls 2022.2"]),
        ({"STANDIN_VERSION": "soon"}, ["no version"]),
    ],
)
@pytest.mark.usefixtures("stand_ins")
def test_another_version_is_a_mistake(
    changed: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as failed:
        find_tools()
    assert all(word in str(failed.value) for word in words), str(failed.value)


def test_no_tools_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tools() == Absent("Vivado and Vitis HLS 2022.2 or 2024.2 are not on PATH")
    (tmp_path / "vivado").write_text("#!/bin/sh\n")
    (tmp_path / "vivado").chmod(0o755)
    assert find_tools() == Absent("Vitis HLS 2022.2 or 2024.2 is not on PATH")


@pytest.mark.usefixtures("stand_ins")
def test_no_tool_is_started_when_a_check_failed_or_nobody_asked() -> None:
    fits = check("DSP of the chip", 100, "<=", 220)
    over = check("BRAM18 of the chip", 300, "<=", 224, detail="over by 76")
    assert isinstance(plan(True, [fits], None), Tools)
    told = plan(True, [fits, over], None)
    assert isinstance(told, Absent)
    assert "BRAM18 of the chip is 300, limit ≤ 224 (over by 76)" in told.reason
    assert plan(False, [fits], None) == Absent("not asked for (--skip vendor)")


def test_everything_that_holds(dependencies: Path, tmp_path: Path) -> None:
    preflight.check_all(tmp_path / "w", PART, dependencies, {"XILINXD_LICENSE_FILE": "2100@server"})


def test_paths_that_the_tools_do_not_take(tmp_path: Path) -> None:
    for folder, word in (("a b", "plain letters"), ("ä", "plain letters"), ("x" * 120, "100 characters")):
        with pytest.raises(UserError, match=word):
            preflight.check_path(Path("/") / folder)


def test_another_chip_is_refused() -> None:
    with pytest.raises(UserError, match="the PYNQ-Z2's"):
        preflight.check_part("xc7z020clg484-1")


def test_a_licence_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match="the free edition needs no licence"):
        preflight.check_licence({"LM_LICENSE_FILE": "2100@server:/nowhere/a.lic"})


def test_too_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda folder: SimpleNamespace(free=3.2e9))
    with pytest.raises(UserError, match=r"15 GB free, got 3\.2 GB"):
        preflight.check_disk(tmp_path / "not" / "yet")


def test_dependencies_at_another_commit_or_missing(dependencies: Path, tmp_path: Path) -> None:
    assert deps.missing(dependencies) == []
    with pytest.raises(UserError, match=r"finn-hlslib at 8d979e2bdced.*make vendor-deps"):
        deps.require(tmp_path / "nowhere")
    (tmp_path / deps.RECORD).write_text(json.dumps([{"name": "pynq-z2", "commit": "0" * 40}]))
    assert deps.missing(tmp_path) == ["finn-hlslib", "attention-hlslib", "pynq-z2"]


def test_dependencies_are_fetched_at_their_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    wanted = []
    for name, files in (("lib", ["dma.h"]), ("store", ["boards/pynq-z2/A.0/board.xml", "boards/other/x.xml"])):
        repository = tmp_path / name
        for file in files:
            (repository / file).parent.mkdir(parents=True, exist_ok=True)
            (repository / file).write_text(file)
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
            subprocess.run([GIT, *identity, *command], cwd=repository, check=True, capture_output=True)
        for option in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            subprocess.run([GIT, "config", option, "true"], cwd=repository, check=True)
        head = subprocess.run([GIT, "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
        wanted.append((f"file://{repository}", head.stdout.strip()))
    (lib, lib_commit), (store, store_commit) = wanted
    entries = [
        deps.Dependency("finn-hlslib", lib, lib_commit, ".", "finn-hlslib"),
        deps.Dependency("pynq-z2", store, store_commit, "boards/pynq-z2", "board_files/pynq-z2"),
    ]
    monkeypatch.setattr(deps, "dependencies", lambda: entries)
    folder = tmp_path / "deps"
    deps.fetch(folder)
    assert deps.missing(folder) == []
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == ["board_files/pynq-z2/A.0/board.xml", "finn-cam-deps.json", "finn-hlslib/dma.h"]

    monkeypatch.setattr(deps, "dependencies", lambda: [deps.Dependency("x", f"{lib}-gone", lib_commit, ".", "x")])
    monkeypatch.setitem(deps.PROBES, "x", ".")
    with pytest.raises(UserError, match="check the network"):
        deps.fetch(folder)


def test_the_first_errors_of_a_log_and_of_the_runs_that_it_speaks_of(tmp_path: Path) -> None:
    log = tmp_path / "tool.log"
    log.write_text("INFO: all well\nERROR: [Common 17-69] Command failed: Run failed\n")
    run_log = tmp_path / "p.runs" / "synth_1" / "runme.log"
    run_log.parent.mkdir(parents=True)
    run_log.write_text("ERROR: [Synth 8-439] module 'a' not found\nERROR: [Synth 8-439] module 'a' not found\n")
    assert first_errors(log) == ["ERROR: [Common 17-69] Command failed: Run failed"]
    assert first_errors(log, tmp_path)[0] == "ERROR: [Synth 8-439] module 'a' not found"
    assert len(first_errors(log, tmp_path)) == 2
    log.write_text("ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'\n")
    assert "the free edition covers" in first_errors(log)[-1]


def test_a_tool_that_cannot_start_or_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="status 127"):
        run_tool([str(tmp_path / "no-such-tool")], tmp_path, {})
    with pytest.raises(ToolFailed, match="status 4: the last line"):
        run_tool(["sh", "-c", "echo the last line; exit 4"], tmp_path, {})


def test_a_tool_ends_with_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    wait = subprocess.Popen.wait

    def interrupted(self: "subprocess.Popen[bytes]", timeout: float | None = None) -> int:
        if not started:
            started.append(self.pid)
            raise KeyboardInterrupt
        return wait(self, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tool(["sleep", "60"], tmp_path, {})
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_doctor_says_what_the_bitfile_takes(
    capfd: pytest.CaptureFixture[str], stand_ins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in (True, False):
        if not found:
            monkeypatch.setenv("PATH", os.environ["PATH"].split(os.pathsep, 1)[1])
        assert run(["doctor"]) == 0
        told = capfd.readouterr().out
        assert ("2022.2 or 2024.2 are not on PATH" in told) is not found
        assert "(Standard, without a licence file) covers the XC7Z020" in told
        assert "one to three hours" in told
