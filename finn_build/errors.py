"""How a run ends when it cannot go on: each exception is one readable line and an exit code.

A user's mistake is a `UserError` (exit code 2), a failed check of a stage a `CheckFailed` (1), a tool's failure a
`ToolFailed` (3) with its log. Anything else is a bug and keeps its traceback.
"""

from pathlib import Path

from cam_postproc.errors import CamError
from models.errors import ModelError


class UserError(ValueError):
    """A mistake in what the user gave, told in one line.

    Args:
        place: where it is: a file, a config key, a node.
        expected: what was wanted there.
        got: what was found.
        remedy: what the user does about it.
    """

    exit_code = 2

    def __init__(self, place: str, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"{place}: expected {expected}, got {got}; {remedy}")
        self.place = place
        self.expected = expected
        self.got = got
        self.remedy = remedy


class CheckFailed(Exception):
    """A stage's own check did not hold, so the build stops there.

    Args:
        stage: the stage whose check it is.
        what: the first difference: output, index and both values, or the figure and its limit.
        remedy: where to look.
    """

    exit_code = 1

    def __init__(self, stage: str, what: str, remedy: str) -> None:
        super().__init__(f"stage {stage}: {what}; {remedy}")
        self.stage = stage
        self.what = what
        self.remedy = remedy


class ToolFailed(Exception):
    """A program that the build calls failed: its name, exit status, log and the log's first errors."""

    exit_code = 3

    def __init__(self, tool: str, status: int, log: Path, lines: list[str]) -> None:
        shown = " | ".join(lines) if lines else "no output"
        super().__init__(f"{tool} ended with status {status}: {shown}; its log is {log}")
        self.tool = tool
        self.status = status
        self.log = log


READABLE = (UserError, ModelError, CamError)
"""The exceptions of all three packages that mean: the user can put this right."""
