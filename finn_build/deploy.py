"""Copies a package to a board, runs its self-test there, and fetches the report: ssh and scp, nothing else."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finn_build.errors import ToolFailed, UserError
from finn_build.package.bitfile import check_bitfile
from finn_build.package.contents import bitfile as place_of_bitfile
from finn_build.package.driver import INSTALL
from finn_build.package.manifest import Manifest
from finn_build.package.verify import verify_package

CONNECT_S = 10
COPY_S, SELF_TEST_S = 600.0, 900.0
LINES = 3
NO_CONNECTION = 255
"""Exit status of ssh itself, rather than of what it runs."""


@dataclass(frozen=True)
class Board:
    """Where the package goes.

    Attributes:
        host: as ssh takes it: `xilinx@192.168.2.99`, or a name of ~/.ssh/config.
        folder: on the board, relative to the user's home.
        port: of its sshd; None for ssh's own choice.
        identity: a private key; None for ssh's own choice.
        options: further `-o` options of ssh.
        terminal: whether sudo may ask for a password.
    """

    host: str
    folder: str = "finn-cam"
    port: int | None = None
    identity: Path | None = None
    options: tuple[str, ...] = ()
    terminal: bool = False

    def __post_init__(self) -> None:
        if not self.host or self.host.startswith("-") or any(letter.isspace() for letter in self.host):
            raise UserError("HOST", "a host, as user@address", repr(self.host), "correct it")
        parts = Path(self.folder).parts
        if not parts or self.folder.startswith(("-", "~")) or ".." in parts:
            raise UserError("--folder", "a folder on the board", repr(self.folder), "correct it")


def deploy(
    board: Board, package: Path, bitfile: Path | None, report: Path, told: Callable[[str], None]
) -> dict[str, Any]:
    """Copies, tests, fetches.

    Args:
        board: where to.
        package: its zip.
        bitfile: a `.bit` made on another machine, its `.hwh` beside it; checked against the manifest before it is
            copied. None for a package that holds one.
        report: gets the board's report.
        told: hears what is being done.

    Returns:
        The board's report.

    Raises:
        UserError: package, bitfile or host are not as they have to be.
        ToolFailed: ssh or scp failed, or the board's self-test ended without a report.
    """
    manifest = verify_package(package)
    if not any(file.path == INSTALL for file in manifest.files):
        remedy = "build with head = cam or tap"
        raise UserError(str(package), "a package with a driver", f"head = {manifest.head}, which has none", remedy)
    if bitfile is not None:
        check_bitfile(bitfile, bitfile.with_suffix(".hwh"), manifest)
    elif manifest.bitfile is None:
        remedy = "make one with vendor tools, or give one with --bitfile"
        raise UserError(str(package), "a package with a bitfile", manifest.state, remedy)
    for program in ("ssh", "scp"):
        if shutil.which(program) is None:
            raise UserError(program, "a program", "none", "install openssh-client")
    log = report.with_suffix(".log")
    report.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    there = f"{board.folder}/{manifest.config}"
    archive = f"{board.folder}/{package.name}"
    told(f"copying {package.name} to {board.host}:{there}")
    _ssh(board, ["mkdir", "-p", board.folder], log)
    _scp(board, [package], f"{board.host}:{archive}", log)
    _ssh(board, ["rm", "-rf", there], log)
    _ssh(board, ["python3", "-m", "zipfile", "-e", archive, there], log)
    extra: list[str] = []
    if bitfile is not None:
        places = [place_of_bitfile(manifest.config, suffix) for suffix in (".bit", ".hwh")]
        _ssh(board, ["mkdir", "-p", f"{there}/{Path(places[0]).parent}"], log)
        for made, place in zip((bitfile, bitfile.with_suffix(".hwh")), places, strict=True):
            _scp(board, [made], f"{board.host}:{there}/{place}", log)
        extra = ["--bitfile", places[0]]
    told("programming the board and running the self-test")
    status = _self_test(board, there, extra, log)
    try:
        _scp(board, [f"{board.host}:{there}/selftest.json"], str(report), log)
    except ToolFailed:
        raise ToolFailed("the board's self-test", status, log, _last(log)) from None
    return _read(report, manifest, log)


def _self_test(board: Board, folder: str, extra: Sequence[str], log: Path) -> int:
    """Runs `install.sh` as root; its exit status, which the report explains."""
    install = shlex.join(["bash", "install.sh", *extra])
    sudo = "sudo" if board.terminal else "sudo -n"
    line = f"cd {shlex.quote(folder)} && if [ $(id -u) = 0 ]; then {install}; else {sudo} {install}; fi"
    return _run(
        ["ssh", *_options(board, "-p"), *(["-t"] if board.terminal else []), board.host, line], log, SELF_TEST_S
    )


def _read(report: Path, manifest: Manifest, log: Path) -> dict[str, Any]:
    try:
        found = json.loads(report.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found["passed"], bool):
            raise ValueError("no report")
    except (ValueError, KeyError) as error:
        raise ToolFailed("the board's self-test", 0, log, [f"its report cannot be read ({error})"]) from None
    if found["passed"] and found.get("build_id") != manifest.build_id:
        what = f"it tested build id {found.get('build_id')} instead of {manifest.build_id}"
        raise ToolFailed("the board's self-test", 0, log, [what])
    return found


def _options(board: Board, port: str) -> list[str]:
    asks = "no" if board.terminal else "yes"
    options = [f"ConnectTimeout={CONNECT_S}", f"BatchMode={asks}", *board.options]
    arguments = [word for option in options for word in ("-o", option)]
    arguments += [port, str(board.port)] if board.port is not None else []
    return arguments + (["-i", str(board.identity)] if board.identity is not None else [])


def _ssh(board: Board, command: Sequence[str], log: Path) -> None:
    # The board's shell reads one line, so each word is quoted for it.
    _require(["ssh", *_options(board, "-p"), board.host, shlex.join(command)], log)


def _scp(board: Board, sources: Sequence[Path | str], target: str, log: Path) -> None:
    _require(["scp", "-q", *_options(board, "-P"), *map(str, sources), target], log)


def _require(command: list[str], log: Path) -> None:
    status = _run(command, log, COPY_S)
    if status:
        raise ToolFailed(command[0], status, log, _last(log))


def _run(command: list[str], log: Path, seconds: float) -> int:
    with log.open("ab") as file:
        try:
            status = subprocess.run(
                command, stdin=None, stdout=file, stderr=subprocess.STDOUT, timeout=seconds, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            raise ToolFailed(command[0], -1, log, [f"no end within {seconds:g} s"]) from None
    if status == NO_CONNECTION:
        raise ToolFailed(command[0], status, log, _last(log))
    return status


def _last(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LINES:]
