"""What a machine lacks before `make setup` can begin is one line with the command that installs it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from finn_build.environment import ROOT


def told(folder: Path, **programs: str) -> tuple[int, str, str]:
    """Runs the check with these shell scripts as the only programs."""
    for name, body in programs.items():
        path = folder / name.replace("_", "-").replace("-dot-", ".").replace("gxx", "g++")
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("this system has no bash")
    command = [bash, str(ROOT / ".ci" / "prerequisites")]
    done = subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_nothing_missing(tmp_path: Path) -> None:
    assert told(tmp_path, python3_dot_12="exit 0", gxx="exit 0", perl="exit 0") == (0, "python3.12\n", "")


@pytest.mark.parametrize(
    ("programs", "wanted"),
    [
        ({}, "sudo apt-get install python3.11 python3.11-venv g++ perl"),
        ({"python3_dot_11": "exit 0", "perl": "exit 0"}, "sudo apt-get install g++"),
        ({"python3_dot_12": '[ -z "$2" ]', "gxx": "", "perl": ""}, "sudo apt-get install python3.12-venv"),
        (
            {"apt_cache": 'test "$2" = python3.12', "gxx": "", "perl": ""},
            "sudo apt-get install python3.12 python3.12-venv",
        ),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, programs: dict[str, str], wanted: str) -> None:
    code, out, err = told(tmp_path, **programs)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.endswith(f"run: {wanted}\n")
