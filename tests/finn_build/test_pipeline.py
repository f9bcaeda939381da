"""A whole build of a small network: what it writes, what it reuses, and how it ends when something is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from build_helpers import TINY, again

from finn_build.cli.app import run
from finn_build.package.verify import verify_package
from finn_build.pipeline import STAGE_NAMES


def test_a_build_writes_everything(place: Path) -> None:
    built = place / "build" / "tiny"
    report = json.loads((built / "report.json").read_text())
    assert [stage["name"] for stage in report["stages"]] == [
        n for n in STAGE_NAMES if n not in ("simulate", "accuracy", "vendor")
    ]
    assert report["accuracy"] is None
    stages = {row["stage"] for row in report["verification"]}
    wanted = {"qonnx", "tidy", "streamline", "lower", "hardware", "partition", "specialise", "codegen", "cam"}
    assert stages == wanted
    assert all(row["mismatches"] == 0 for row in report["verification"] if row["stage"] != "qonnx")
    assert all(layer["mismatches"] == 0 for layer in report["layers"] if layer["name"] != "logits")
    assert report["hardware"]["bottleneck"] in {layer["name"] for layer in report["hardware"]["layers"]}
    assert report["cam"]["map"] == [4, 4]
    assert report["cam"]["max_abs_error"] <= 1.0
    page = (built / "report.html").read_text()
    assert "&lt;b&gt;star" in page
    assert "<b>star" not in page
    # Typed as it stands, it makes the same again: the weights are random, the config is a file of the user's.
    assert report["command"] == "make build CONFIG=tiny.toml ARGS='--untrained --skip simulate'"


def test_the_golden_set_is_what_the_design_says(place: Path) -> None:
    with np.load(place / "build" / "tiny" / "export" / "golden.npz", allow_pickle=False) as golden:
        assert golden["images"].dtype == np.uint8
        assert len(golden["images"]) >= 19
        tap, logits, maps = golden["tap"], golden["logits"], golden["maps"]
        assert tap.shape[1:] == (4, 4, 16)
        assert np.array_equal(maps.sum(axis=(2, 3)), logits)
        assert golden["heatmap"].shape[1:] == (16, 16)
        assert golden["packet"].shape[1] % 8 == 0


def test_the_package_is_whole(place: Path) -> None:
    built = place / "build" / "tiny"
    manifest = verify_package(built / "tiny-deploy.zip")
    assert manifest == verify_package(built / "deploy")
    assert "`make build CONFIG=tiny.toml ARGS=--untrained` in the project's checkout" in manifest.missing[0]
    hardware = built / "deploy" / "hardware"
    nodes = {node.name for node in onnx.load(hardware / "graph.onnx").graph.node}
    assert nodes == {folder.name for folder in (hardware / "nodes").iterdir()}


def test_a_second_build_reuses_everything(place: Path) -> None:
    start = time.process_time()
    told = again(place)
    assert told.reasons == {}
    assert all(stage.reused for stage in told.stages)
    assert time.process_time() - start < 60


def test_it_does_not_even_load_the_heavy_packages(place: Path) -> None:
    code = (
        "import sys; from finn_build.cli.app import run; "
        f"options = ['--untrained', '--skip', 'simulate', '--out', {str(place / 'build')!r}]; "
        f"assert run(['build', {str(place / 'tiny.toml')!r}, *options]) == 0; "
        "heavy = {'torch', 'finn', 'qonnx', 'brevitas', 'matplotlib', 'onnxruntime'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "reused" in done.stderr


def test_a_changed_setting_reruns_what_depends_on_it_and_no_more(copy: Path) -> None:
    config = copy / "tiny.toml"
    config.write_text(TINY.replace("target_fps = 1000.0", "target_fps = 150000.0"))
    told = again(copy)
    assert told.reasons["specialise"] == ["setting folding.target_fps"]
    assert not {"model", "export", "tidy", "streamline", "lower", "hardware", "partition"} & set(told.reasons)
    assert {"codegen", "package"} <= set(told.reasons)


def test_a_spoilt_file_is_made_again(copy: Path) -> None:
    graph = copy / "build" / "tiny" / "lower" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    told = again(copy)
    assert told.reasons == {"lower": ["file lower/model.onnx is not as it was written"]}


def test_a_file_that_was_added_does_not_reach_the_package(copy: Path) -> None:
    built = copy / "build" / "tiny"
    (built / "codegen" / "nodes" / "MVAU_rtl_0" / "mine.v").write_text("module mine; endmodule")
    told = again(copy)
    assert told.reasons == {"codegen": ["file codegen/nodes/MVAU_rtl_0/mine.v was added"]}
    assert not list(built.rglob("mine.v"))
    assert not [file for file in verify_package(built / "tiny-deploy.zip").files if "mine" in file.path]
    assert again(copy).reasons == {}


def test_a_file_where_a_stage_belongs_is_named_and_the_next_run_carries_on(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    built = copy / "build" / "tiny"
    shutil.rmtree(built / "lower")
    (built / "lower").write_text("mine")
    arguments = ["build", str(copy / "tiny.toml"), "--untrained", "--out", str(copy / "build")]
    one_line(capfd, arguments, f"{built / 'lower'}: expected a folder of results, or nothing, got a file; delete it")
    assert (built / "lower").read_text() == "mine"
    (built / "lower").unlink()
    assert set(again(copy, until="hardware").reasons) == {"lower"}


def test_force_and_until(copy: Path) -> None:
    told = again(copy, force=frozenset({"tidy"}), until="tidy")
    assert told.reasons == {"tidy": ["forced"]}
    assert [stage.name for stage in told.stages] == ["model", "export", "tidy"]


def test_json_is_the_report_and_nothing_else(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "build",
        str(place / "tiny.toml"),
        "--untrained",
        "--skip",
        "simulate",
        "--out",
        str(place / "build"),
        "--json",
    ]
    assert run(arguments) == 0
    assert json.loads(capfd.readouterr().out)["config"] == "tiny"


def test_an_accelerator_that_does_not_fit_says_by_how_much(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copy / "tiny.toml").write_text(TINY.replace("target_fps = 1000.0", "target_fps = 1000.0\nbudget = 0.0001"))
    assert (
        run(["build", str(copy / "tiny.toml"), "--untrained", "--skip", "simulate", "--out", str(copy / "build")]) == 1
    )
    told = capfd.readouterr().err
    assert "over by" in told
    assert "Traceback" not in told


def one_line(capfd: pytest.CaptureFixture[str], arguments: list[str], *words: str) -> None:
    assert run(arguments) == 2
    told = capfd.readouterr().err
    last = told.strip().splitlines()[-1]
    assert last.startswith("finn-cam: ")
    assert all(word in last for word in words), last
    assert "Traceback" not in told


def test_mistakes_end_in_one_line_and_leave_earlier_results(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    built = copy / "build" / "tiny"
    before = (built / "report.json").read_bytes()
    config, out = copy / "tiny.toml", ["--out", str(copy / "build")]
    one_line(capfd, ["build", "nonsense"], "no such name", "resnet8_5w5a")
    one_line(capfd, ["build", str(config), *out], "tiny.safetensors", "finn-cam train", "--untrained")
    one_line(capfd, ["build", str(config), "--until", "tidying", *out], "'tidying'", "streamline")
    one_line(capfd, ["build", str(config), "--colour"], "--colour")
    one_line(capfd, ["build", str(config), "--skip", "codegen", *out], "--skip", "one of simulate")
    one_line(capfd, ["build", str(config), "--untrained", "--until", "accuracy", *out], "stage accuracy", "--data")
    one_line(capfd, ["build", str(config), "--untrained", "--data", str(copy), *out], "folder", str(copy))
    (copy / "tiny.safetensors").write_bytes(b"\x00" * 50)
    one_line(capfd, ["build", str(config), *out], "tiny.safetensors")
    folding = json.loads((built / "specialise" / "folding.json").read_text())
    name = next(node for node in folding if node.startswith("MVAU"))
    (copy / "fold.json").write_text(json.dumps(folding | {name: {**folding[name], "PE": 3}}))
    folded = TINY.replace("target_fps = 1000.0", 'file = "fold.json"')
    config.write_text(folded)
    one_line(capfd, ["build", str(config), "--untrained", *out], f"fold.json: {name}.PE", "one of 1, 2, 4, 8", "got 3")
    (copy / "fold.json").write_text(json.dumps(folding | {"MVAU_7": {"PE": 1}}))
    one_line(capfd, ["build", str(config), "--untrained", *out], "MVAU_7", "no such node")
    assert (built / "report.json").read_bytes() == before
    config.write_text(TINY)
    assert again(copy).reasons == {}


def test_a_second_build_of_one_config_waits_for_nobody(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from filelock import FileLock

    with FileLock(copy / "build" / "tiny" / ".lock"):
        one_line(
            capfd,
            ["build", str(copy / "tiny.toml"), "--untrained", "--skip", "simulate", "--out", str(copy / "build")],
            "no other build",
        )


def test_a_full_disk_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    built = tmp_path / "build" / "tiny" / ".stages"
    built.mkdir(parents=True)
    (tmp_path / "tiny.toml").write_text(TINY)
    # The manifest is written beside its place first: a device that is always full stands in for the disk.
    (built / f".model.json.{os.getpid()}.partial").symlink_to("/dev/full")
    arguments = ["build", str(tmp_path / "tiny.toml"), "--untrained", "--until", "model"]
    one_line(capfd, [*arguments, "--out", str(tmp_path / "build")], "a full disk", "--out")


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_build_is_carried_on(copy: Path, kill: signal.Signals) -> None:
    shutil.rmtree(copy / "build")
    command = [sys.executable, "-m", "finn_build.cli", "build", str(copy / "tiny.toml"), "--untrained"]
    command += ["--out", str(copy / "build"), "--until", "tidy"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TERM": "dumb"}) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert "model" in first
        time.sleep(1.0)
        process.send_signal(kill)
        rest = process.stderr.read()
        process.wait(60)
    assert "Traceback" not in rest
    if kill == signal.SIGINT:
        assert process.returncode == 2
        assert "interrupted" in rest
    told = again(copy, until="tidy")
    assert "model" not in told.reasons
    assert again(copy, until="tidy").reasons == {}
