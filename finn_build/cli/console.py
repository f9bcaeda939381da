"""What a run looks like on a terminal. Everything goes to standard error: standard output is for results."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from finn_build.report.verdict import told_check
from finn_build.runner import RunStage
from finn_build.stages.result import Progress as Tell

REASONS_SHOWN = 6


_open: list[TextIO] = []
"""The streams of the commands that run now, the innermost last."""


def open_standard_streams() -> None:
    """Opens what a daemon closed before it started this program, so that no file takes the place of a stream."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest descriptor that is free is this one.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


@contextlib.contextmanager
def terminal() -> Iterator[None]:
    """Keeps a way to standard error open for a command: a stage's own output goes to its log meanwhile."""
    # A terminal without the marks' characters gets question marks for them.
    with os.fdopen(os.dup(2), "w", buffering=1, errors="replace") as stream:
        _open.append(stream)
        try:
            yield
        finally:
            _open.pop()


def standard_output() -> Console:
    """A console for what a command was asked for, which a reader may pipe on."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As on standard error: what the terminal has no character for becomes a question mark.
        sys.stdout.reconfigure(errors="replace")
    return Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)


def standard_error() -> Console:
    """A console on the running command's standard error."""
    return Console(file=_open[-1] if _open else sys.stderr, highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def shown(bars: Progress) -> Iterator[Progress]:
    """Keeps bars on screen. Rich ends those that it was told not to show with an empty line: these it is not given."""
    if bars.disable:
        yield bars
    else:
        with bars:
            yield bars


class StageConsole:
    """Shows each stage with a bar while it runs, and a line with its time and checks when it is done."""

    def __init__(self, console: Console, explain: bool = False) -> None:
        self.console = console
        self.explain = explain
        self._bars = Progress(
            TextColumn("  {task.description:<11}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[title]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keeps the bars on screen while the stages run."""
        with shown(self._bars):
            yield

    def started(self, stage: str, title: str, reasons: list[str]) -> Tell:
        """Shows a stage's bar, and with `--explain` why it runs."""
        if self.explain:
            self._line("·", stage, f"runs: {_listed(reasons)}", "yellow")
        task = self._bars.add_task(stage, total=1.0, title=title)
        self._task = task

        def tell(fraction: float) -> None:
            self._bars.update(task, completed=min(max(fraction, 0.0), 1.0))

        return tell

    def finished(self, stage: RunStage) -> None:
        """Replaces the bar by a line: time, or reused, and each check that did not hold."""
        self._clear()
        checks = stage.result.checks
        failed = [check for check in checks if not check.passed]
        told = [f"{len(checks) - len(failed)} of {len(checks)} checks"] if checks else []
        values = sum(row.values for row in stage.result.verification)
        told += [f"{values:,} values compared"] if values else []
        when = f"reused ({stage.seconds:.1f} s when made)" if stage.reused else f"{stage.seconds:.1f} s"
        mark, style = ("✗", "red") if failed else ("=", "cyan") if stage.reused else ("✓", "green")
        self._line(mark, stage.name, f"{stage.title}: {', '.join([when, *told])}", style)
        for check in failed:
            self._line(" ", "", told_check(check), "red")

    def failed(self, stage: str, log: Path) -> None:
        """Marks the stage in which the run ended."""
        self._clear()
        self._line("✗", stage, f"stopped here; what its tools printed is in {log}", "red")

    def _clear(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def _line(self, mark: str, stage: str, text: str, style: str) -> None:
        self.console.print(Text.assemble((f"{mark} ", style), (f"{stage:<11} ", "bold"), text))


def _listed(reasons: list[str]) -> str:
    shown = ", ".join(reasons[:REASONS_SHOWN])
    more = len(reasons) - REASONS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
