"""Stand-ins for Vivado and Vitis HLS on PATH, what they read from git, and a finished build for them to go on from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from vendor_helpers import Go

from finn_build.config import FoldingSpec, HardwareSpec
from finn_build.stages.result import StageResult
from finn_build.stages.vendor import make_bitfile
from finn_build.vendor import deps
from finn_build.vendor.tools import Tools, find_tools

TOOLS = Path(__file__).resolve().parents[2] / "tools"
TCLSH = """import sys, tkinter
tcl = tkinter.Tcl()
tcl.setvar("argv0", sys.argv[1])
tcl.setvar("argv", tuple(sys.argv[2:]))
tcl.evalfile(sys.argv[1])
"""


@pytest.fixture(scope="session")
def tclsh(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What runs Tcl here: tclsh, else Python's own."""
    if shutil.which("tclsh"):
        return "tclsh"
    code = "import tkinter; tkinter.Tcl()"
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip("no Tcl: neither tclsh nor tkinter")
    script = tmp_path_factory.mktemp("tcl") / "tclsh.py"
    script.write_text(TCLSH)
    return f"{sys.executable} {script}"


@pytest.fixture(scope="session")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `make vendor-deps` leaves it, its headers empty."""
    folder = tmp_path_factory.mktemp("deps")
    for path in (
        "finn-hlslib/bnn-library.h",
        "finn-hlslib/dma.h",
        "finn-hlslib/streamtools.h",
        "attention-hlslib/a.hpp",
    ):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("")
    board = folder / deps.BOARD.target / "A.0" / "board.xml"
    board.parent.mkdir(parents=True)
    board.write_text('<board schema_version="2.0" vendor="tul.com.tw" name="pynq-z2" display_name="pynq-z2">\n')
    record = [{"name": entry.name, "commit": entry.commit} for entry in deps.dependencies()]
    (folder / deps.RECORD).write_text(json.dumps(record))
    return folder


@pytest.fixture
def stand_ins(tclsh: str, dependencies: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Puts the stand-ins on PATH; the file returned gets a line a call of Vivado."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN_TCLSH", tclsh)
    monkeypatch.setenv("STANDIN_CALLS", str(calls))
    monkeypatch.setenv("FINN_DEPS", str(dependencies))
    return calls


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the steps of one module's tests are kept: a step that a test does not spoil runs once."""
    return tmp_path_factory.mktemp("w") / ".vendor"


@pytest.fixture
def go(stand_ins: Path, place: Path, dependencies: Path, work: Path, tmp_path: Path) -> Go:
    """Runs the stage on the finished build's generated code; results go to `out` of the test's folder."""

    def run(**changed: Any) -> StageResult:
        built, out = place / "build" / "tiny", tmp_path / "out"
        out.mkdir(exist_ok=True)
        tools = find_tools()
        assert isinstance(tools, Tools)
        arguments: dict[str, Any] = {
            "codegen": built / "codegen" / "nodes",
            "generated": built / "codegen" / "model.onnx",
            "name": "tiny",
            "hardware": HardwareSpec(),
            "folding": FoldingSpec(),
            "tools": tools,
            "deps": dependencies,
            "work": work,
            "out": out,
            "progress": lambda fraction: None,
        }
        return make_bitfile(**(arguments | changed))

    return run
