"""Whether a build goes on to a bitfile, and if not, why: told in one line at its end and in the package."""

import ast
from collections.abc import Sequence
from pathlib import Path

from finn_build.cache.store import Kept
from finn_build.report.schema import Check
from finn_build.report.verdict import told_check
from finn_build.vendor.tools import Absent, Tools, find_tools

NOT_WANTED = "not asked for (--skip vendor)"
REFERENCE = "head = logits is a reference for the other heads, not hardware"


def plan(wanted: bool, earlier: Sequence[Check], kept: Kept | None, head: str = "cam") -> Tools | Absent:
    """The tools to build with, or why none is started.

    Args:
        wanted: whether the user wants a bitfile.
        earlier: checks of the stages before. Estimates over the budget are among them: place and route would fail too.
        kept: an earlier bitfile, which needs no tool as long as nothing changed.
        head: what leaves the accelerator; no driver is for logits.

    Raises:
        UserError: the tools are there, but of a version that does not suit.
    """
    if not wanted:
        return Absent(NOT_WANTED)
    if head == "logits":
        return Absent(REFERENCE, remedy="build with head = cam or tap")
    failed = [check for check in earlier if not check.passed]
    if failed:
        return Absent(f"the tools are not started after a failed check: {told_check(failed[0])}")
    return find_tools() if kept is None else _of_kept(kept)


def _of_kept(kept: Kept) -> Tools | Absent:
    """Today's tools, else those of the kept bitfile: whether it is still good is for its key to say."""
    found = find_tools()
    if isinstance(found, Tools):
        return found
    try:
        version = ast.literal_eval(kept.parts["setting tools.version"])
    except (KeyError, ValueError, SyntaxError):
        return found
    return Absent(found.reason, Tools(vivado=Path("vivado"), hls=Path("vitis_hls"), version=str(version)))
