"""What a vendor tool's log says went wrong: its first errors, and what the user can do about the known ones."""

import re
from pathlib import Path

MOST_LINES = 3
LONGEST = 240

_ERROR = re.compile(r"^\s*(?:ERROR:|FATAL|Abnormal program termination|.*No space left on device)")
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"valid license was not found|\[Common 17-345\]|\[Common 17-348\]",
        "the free edition covers the XC7Z020: install that, or point XILINXD_LICENSE_FILE to your licence",
    ),
    (r"No space left on device|disk (?:is )?full|ENOSPC", "free disk space; the build goes on from the last step"),
    (r"\[Common 17-69\].*part|\[Coretcl 2-106\]|Part .* not found", "install the Zynq-7000 devices"),
    (r"board_part|\[Board 49-71\]", "fetch the board files with make vendor-deps"),
    (r"Out of memory|std::bad_alloc|Cannot allocate memory", "16 GB of memory are wanted; close other programs"),
)


def first_errors(log: Path, folder: Path | None = None) -> list[str]:
    """The first lines that tell of an error, each once; of the logs of a project's runs where the log says no more.

    Args:
        log: what the tool printed.
        folder: of the project: runs that Vivado launches write `*.runs/*/runme.log` of their own.
    """
    lines = _errors_of(log)
    # "Run failed" in the log is the consequence; what failed stands in the run's own log, so that comes first.
    for path in sorted((folder or log.parent).glob("**/runme.log")) if folder is not None else []:
        lines = [*_errors_of(path), *lines]
    unique = list(dict.fromkeys(lines))[:MOST_LINES]
    for pattern, remedy in _REMEDIES:
        if any(re.search(pattern, line, re.IGNORECASE) for line in unique):
            return [*unique, remedy]
    return unique


def _errors_of(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [" ".join(line.split())[:LONGEST] for line in text.splitlines() if _ERROR.match(line)]
