"""`finn-cam init`: a config for one's own pictures."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from finn_build.cli.build import JsonOption
from finn_build.cli.console import StageConsole, standard_error
from finn_build.environment import ROOT, configs_folder
from finn_build.errors import UserError


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The config's name.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="A folder of class folders.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Where NAME.toml goes; configs/.")] = None,
    size: Annotated[int | None, typer.Option(min=16, max=256, help="Input height and width; by the pictures.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Quantised epochs; by the number of pictures.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a config of that name.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Write configs/NAME.toml for a folder of class folders: train, build, evaluate and localize then take NAME.

    Pictures are RGB or grey, of any size. The folder may have parts train and test (or val); without a test part a
    fifth of each class is kept to test with.
    """
    from finn_build.config import load_config
    from finn_build.own_data import check_name, config_text, survey

    check_name(name)
    folder = (to or configs_folder()).resolve()
    path = folder / f"{name}.toml"
    if path.exists() and not force:
        raise UserError(str(path), "no config of that name", "one", "choose another name, or replace it with --force")
    if not folder.is_dir():
        raise UserError(str(folder), "a folder", "a file" if folder.exists() else "nothing there", "correct --to")
    console = standard_error()
    stages = StageConsole(console)
    with stages.running():
        found = survey(data.resolve(), stages.started("init", "reading the pictures", []))
    shipped = folder == configs_folder()
    checkpoint = f"../models/checkpoints/{name}.safetensors" if shipped else f"{name}.safetensors"
    text = config_text(found, checkpoint, _seen_from(folder, found.root), size, epochs)
    partial = path.with_name(f".{name}.partial.toml")
    try:
        partial.write_text(text, encoding="utf-8")
        # What cannot be read back is no config.
        config = load_config(str(partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if as_json:
        shown = {"config": str(path), "classes": len(found.labels), "labels": found.labels, "train": found.train}
        shown |= {"test": found.test, "own_test": found.own_test, "unread": found.unread, "size": config.input.size}
        print(json.dumps(shown))
        return 0
    parts = "as the folder has them" if found.own_test else "a fifth of each class, chosen by file name"
    console.print(f"{len(found.labels)} classes, {found.train} training and {found.test} test pictures ({parts})")
    if found.unread:
        console.print(f"not read: {found.unread}")
    console.print(f"config: {path}")
    argument = name if shipped else path
    console.print(f"next: finn-cam train {argument}, then build, evaluate and localize --config with the same name")
    return 0


def _seen_from(folder: Path, data: Path) -> str:
    """The pictures' path as the config has it: relative within one project, else absolute."""
    inside = data.is_relative_to(folder) or (folder.is_relative_to(ROOT) and data.is_relative_to(ROOT))
    return os.path.relpath(data, folder) if inside else str(data)
