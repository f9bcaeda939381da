"""Running a vendor tool: its output in a log, its errors in one line, and nothing left running when the build ends."""

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from finn_build.errors import ToolFailed, UserError
from finn_build.interruption import end_if_requested
from finn_build.vendor.logs import first_errors

LOG = "tool.log"
SECONDS_TO_END = 20


def run_tool(command: Sequence[str], folder: Path, environment: Mapping[str, str], project: Path | None = None) -> None:
    """Runs a tool in a folder until it ends.

    Args:
        command: program and arguments.
        folder: where it runs; gets `tool.log`.
        environment: variables beside this program's own.
        project: where the runs that it launches keep their logs.

    Raises:
        ToolFailed: it could not be started or ended with another status than 0; with the first errors of its log.
        UserError: the disk is full.
    """
    log, tool = folder / LOG, Path(command[0]).name
    try:
        with log.open("w", encoding="utf-8") as file:
            status = _wait(command, folder, {**os.environ, **environment}, file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(str(folder), "free disk space", "a full disk", "free some, then build again") from None
        raise ToolFailed(tool, 127, log, [str(error)]) from None
    end_if_requested()
    if status != 0:
        raise ToolFailed(tool, status, log, first_errors(log, project) or _last_line(log))


def _wait(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: int) -> int:
    # In a session of its own: the tools are scripts around Java and Tcl programs, all of which have to end with it.
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
            return


def _last_line(log: Path) -> list[str]:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1:]
