"""`finn-cam data`: fetches a data set from where its authors keep it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from finn_build.cli.build import JsonOption
from finn_build.cli.console import shown, standard_error
from finn_build.environment import ROOT, data_folder
from finn_build.errors import UserError

DATA_SETS = ("cifar10",)


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(DATA_SETS)}.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to; default: FINN_CAM_DATA.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Download a data set: checked against its published hash, resumed where it was cut."""
    from models.datasets.download import fetch_cifar10

    if name not in DATA_SETS:
        raise UserError("data set", f"one of {', '.join(DATA_SETS)}", repr(name), "correct the name")
    folder = out or data_folder() or ROOT / "build" / "data"
    console = standard_error()
    columns = TextColumn("{task.description}"), BarColumn(bar_width=32), DownloadColumn(), TransferSpeedColumn()
    with shown(Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)) as bars:
        task = bars.add_task(name, total=None)

        def tell(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        root = fetch_cifar10(folder, tell)
    if as_json:
        print(json.dumps({"dataset": name, "folder": str(root)}))
    else:
        console.print(f"{name}: {root}; use it with --data {folder}, or set FINN_CAM_DATA to that")
    return 0
