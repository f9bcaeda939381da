"""The progress of a training on standard error: a bar on a terminal, a line an epoch elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from finn_build.cli.console import shown
from finn_build.training import Tell


@contextmanager
def told_by_epoch(console: Console, name: str) -> Iterator[Tell]:
    """Gives what a training tells its progress to, as long as the block lasts."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>5.1f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with shown(Progress(*columns, console=console, disable=not console.is_terminal)) as bars:
        task = bars.add_task(name, total=1.0, figures="")

        def tell(fraction: float, figures: str, epoch_ended: bool) -> None:
            bars.update(task, completed=fraction, figures=figures)
            if epoch_ended and not console.is_terminal:
                console.print(f"{100 * fraction:5.1f} % {figures}")

        yield tell
