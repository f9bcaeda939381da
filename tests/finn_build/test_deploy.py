"""`finn-cam deploy` against a real sshd on this machine, whose 'board' is the emulated one."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from finn_build.deploy import Board, deploy
from finn_build.emulation.board import BOARD_PYTHON, START
from finn_build.emulation.model import IntegerModel
from finn_build.emulation.server import ModelServer
from finn_build.emulation.stand_in import write_stand_in
from finn_build.environment import ROOT
from finn_build.errors import ToolFailed, UserError
from finn_build.package.verify import verify_package

pytestmark = pytest.mark.timeout(900)

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
SFTP = shutil.which("/usr/lib/openssh/sftp-server") or shutil.which("/usr/libexec/openssh/sftp-server")

BOARD_PYTHON_STAND_IN = """#!{python}
# The board's Python: what install.sh asks of it goes to the board's environment, the driver to the emulated board.
import json, os, subprocess, sys
if sys.argv[1:3] != ["-m", "cam_board"]:
    sys.exit(subprocess.run(["{board}", *sys.argv[1:]]).returncode)
plan = {{"socket": "{socket}", "package": os.getcwd(), "report": os.getcwd() + "/runs.json",
         "runs": [{{"argv": [*sys.argv[3:], "--seconds", "0"]}}]}}
open("plan.json", "w").write(json.dumps(plan))
done = subprocess.run(["{board}", "-I", "-B", "-c", {start!r}, "{emulation}", os.getcwd() + "/plan.json"])
sys.exit(done.returncode or json.load(open("runs.json"))[0]["exit_code"])
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def sshd(folder: Path, port: int, home: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """An sshd of this user, with one key, that sees `home` as its home and hands `environment` on."""
    for name in ("host", "user"):
        subprocess.run(
            [str(shutil.which("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "authorized").chmod(0o600)
    (folder / "enter").write_text(f'#!/bin/sh\ncd "{home}" && eval "$SSH_ORIGINAL_COMMAND"\n')
    (folder / "enter").chmod(0o755)
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "ForceCommand": folder / "enter",
        "Subsystem": f"sftp {SFTP}",
        "SetEnv": " ".join(f'{name}="{value}"' for name, value in environment.items()),
    }
    (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    command = [str(SSHD), "-D", "-e", "-f", str(folder / "config")]
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    pytest.skip(f"sshd does not run here: {(folder / 'sshd.log').read_text()[-200:]}")


@pytest.fixture
def board(place: Path, tmp_path: Path) -> Iterator[tuple[Board, Path, Path]]:
    """A board behind ssh, the package for it, and a bitfile."""
    if SSHD is None or SFTP is None or shutil.which("ssh") is None:
        pytest.skip("no sshd; install openssh-server")
    if not BOARD_PYTHON.is_file():
        pytest.skip("no .venv-board; run: make setup-board")
    build = place / "build" / "tiny"
    package = build / "tiny-deploy.zip"
    manifest = verify_package(package)
    bitfile = write_stand_in(manifest, tmp_path / "made.bit")
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "sshd").mkdir()
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    image = int(np.prod(manifest.input.shape))
    with ModelServer(IntegerModel(build, 16, "half-pixel"), image) as server:
        python = tmp_path / "board-python"
        python.write_text(
            BOARD_PYTHON_STAND_IN.format(
                python=sys.executable,
                board=BOARD_PYTHON,
                socket=server.address,
                start=START,
                emulation=ROOT / "finn_build" / "emulation",
            )
        )
        python.chmod(0o755)
        port = free_port()
        environment = {"PYTHON": str(python), "INSTALL_AS_USER": "1", "PYNQ_JUPYTER_NOTEBOOKS": str(tmp_path / "none")}
        process = sshd(tmp_path / "sshd", port, home, environment)
        options = ("StrictHostKeyChecking=no", f"UserKnownHostsFile={tmp_path / 'known'}", "IdentitiesOnly=yes")
        try:
            yield Board("127.0.0.1", "finn-cam", port, tmp_path / "sshd" / "user", options), package, bitfile
        finally:
            process.terminate()
            process.wait()


def test_package_goes_over_ssh_and_its_report_comes_back(board: tuple[Board, Path, Path], tmp_path: Path) -> None:
    there, package, bitfile = board
    told: list[str] = []
    report = tmp_path / "out" / "board.json"
    try:
        found = deploy(there, package, bitfile, report, told.append)
    except ToolFailed as error:
        pytest.fail(
            f"{error}\n{(tmp_path / 'sshd' / 'sshd.log').read_text()}\n{report.with_suffix('.log').read_text()}"
        )
    assert found["passed"], found
    assert found["images"] >= 16
    assert json.loads(report.read_text()) == found
    assert found["build_id"] == verify_package(package).build_id
    assert len(told) == 2
    assert (tmp_path / "home/finn-cam/tiny/cam_board/accelerator.py").is_file()
    # Another bitfile is refused before anything is copied.
    write_stand_in(verify_package(package), bitfile, "0x00000001")
    with pytest.raises(UserError, match="user id"):
        deploy(there, package, bitfile, report, told.append)
    # Without one there is nothing to program.
    with pytest.raises(UserError, match="a package with a bitfile, got without bitfile"):
        deploy(there, package, None, report, told.append)


def test_an_unreachable_board_is_one_line(place: Path, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh; install openssh-client")
    package = place / "build" / "tiny" / "tiny-deploy.zip"
    bitfile = write_stand_in(verify_package(package), tmp_path / "made.bit")
    nobody = Board("127.0.0.1", port=free_port())
    with pytest.raises(ToolFailed, match=r"ssh ended with status 255: .*refused"):
        deploy(nobody, package, bitfile, tmp_path / "out" / "board.json", lambda line: None)


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x", "a b"])
def test_hosts_that_are_options_are_refused(host: str) -> None:
    with pytest.raises(UserError, match="HOST: expected a host"):
        Board(host)
    with pytest.raises(UserError, match="--folder"):
        Board("board", "../elsewhere")
