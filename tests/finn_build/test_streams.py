"""Standard streams that are closed, full or of another encoding end no command in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "finn_build.cli"]


def test_a_terminal_without_the_marks_characters() -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*COMMAND, "doctor"], capture_output=True, env=plain, check=False)
    assert done.returncode in (0, 1)
    assert b"? Python" in done.stdout


def test_closed_streams_are_not_taken_by_files() -> None:
    close = "import os, sys; os.closerange(0, 3); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", close, *COMMAND, "report", "nonsense"], check=False)
    assert done.returncode == 2


def test_an_error_that_standard_output_cannot_take() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "report", "nonsense", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("finn-cam: config 'nonsense'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "both"), [(["doctor"], False), (["--help"], False), (["doctor", "--json"], False), (["doctor"], True)]
)
def test_a_reader_that_leaves_ends_a_command_quietly(arguments: list[str], both: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        streams = {"stdout": gone, "stderr": gone if both else subprocess.PIPE}
        done = subprocess.run([*COMMAND, *arguments], **streams, text=True, check=False)  # type: ignore[call-overload]
    assert done.returncode == 141
    assert not done.stderr


def test_an_answer_that_standard_output_cannot_take_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "a full disk" in done.stderr
