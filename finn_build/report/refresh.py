"""A build's last report with a part that was found after it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finn_build.errors import UserError
from finn_build.report.files import read_report, write_report
from finn_build.report.schema import Report


def refresh(folder: Path, made_of: Sequence[str], parts: Callable[[Report], dict[str, Any] | None]) -> Path | None:
    """Puts parts into the report of a build, if that report is of the build as it is now.

    Args:
        folder: of the build.
        made_of: files below it that the parts are of.
        parts: what changes, by name; None where nothing belongs into that report.

    Returns:
        The page; None where it was left as it is: a build makes a new one.
    """
    data, page = folder / "report.json", folder / "report.html"
    if not data.is_file():
        return None
    if any((folder / name).stat().st_mtime > data.stat().st_mtime for name in made_of if (folder / name).exists()):
        return None
    from finn_build.report.html import write_html

    try:
        report = read_report(data)
        found = parts(report)
        if found is None:
            return None
        report = report.model_copy(update=found)
        write_html(report, page)
    except UserError:
        # An older format, or a picture that is gone.
        return None
    write_report(report, data)
    # The next build compares what it would draw with what it drew last: that is no longer what lies there.
    (folder / ".stages" / "report.key").unlink(missing_ok=True)
    return page
