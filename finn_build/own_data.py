"""A config for a user's own pictures: what their folder holds, and the network, recipe and folding that follow."""

import json
import math
import re
import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from finn_build.errors import UserError
from models.size import size_of
from models.spec import ModelSpec

BUDGET = """# Windows and bypasses of larger pictures take more than the usual 80 % of the memory.
budget = 0.85
"""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
CHANNELS = (32, 64, 128)
KNOWN_MACS, KNOWN_FPS = 49_119_232, 500
"""Of resnet8_5w5a, whose folding fits the chip."""


@dataclass(frozen=True)
class Survey:
    """What a folder of class folders holds.

    Attributes:
        root: the folder.
        labels: class names, sorted.
        train, test: how many pictures.
        shorter: median of the pictures' shorter sides, in pixels.
        own_test: whether the folder has a test part of its own.
        unread: what else lies in the class folders and is not read, in words; empty where there is nothing.
    """

    root: Path
    labels: list[str]
    train: int
    test: int
    shorter: int
    own_test: bool
    unread: str


def check_name(name: str) -> None:
    """Refuses names that are no plain file name.

    Raises:
        UserError: in one line.
    """
    if NAME.fullmatch(name) is None:
        raise UserError("NAME", "letters, digits, _ and -, as in my_birds", repr(name), "choose another")


def survey(folder: Path, tell: Callable[[float], None]) -> Survey:
    """Reads every picture once: what is broken is told now, and not in the middle of a training.

    Args:
        folder: class folders, with or without parts `train` and `test` (or `val`).
        tell: told the fraction that is done.

    Raises:
        ModelError: there are no class folders, a class lacks pictures, or a picture cannot be read.
        UserError: there are not 2 to 1000 classes, a part lacks a class, or a class's name cannot be shown.
    """
    from models.datasets.folder import class_folders, part_of, pictures_of
    from models.datasets.pictures import read_picture

    names, train = pictures_of(folder, "train")
    tested, test = pictures_of(folder, "test")
    own = part_of(folder, "test")
    if own is not None and (extra := sorted({path.name for path in class_folders(own)} - set(tested))):
        raise UserError(str(own / extra[0]), "a class of the training part", "none", "move it, or add its pictures")
    if not 2 <= len(names) <= 1000:
        raise UserError(str(folder), "2 to 1000 class folders", str(len(names)), "put each class into its own folder")
    for name in (*names, str(folder)):
        if not name.strip() or not name.isprintable():
            raise UserError(str(folder), "names of printable text", repr(name), "rename the folder")
    paths = [path for part in (train, test) for pictures in part for path in pictures]
    shorter = []
    for number, path in enumerate(paths):
        shorter.append(min(read_picture(path, 8)[1:]))
        tell((number + 1) / len(paths))
    learnt, tested_with = (sum(len(pictures) for pictures in part) for part in (train, test))
    unread = _unread({path.parent for path in paths})
    return Survey(folder, names, learnt, tested_with, round(statistics.median(shorter)), own is not None, unread)


def _unread(folders: Collection[Path]) -> str:
    """What class folders hold besides pictures: a collection whose half is left out looks complete."""
    from models.datasets.pictures import is_picture

    others = [path for folder in folders for path in folder.iterdir() if not path.name.startswith(".")]
    below = sum(path.is_dir() for path in others)
    files = [path for path in others if not path.is_dir() and not (is_picture(path) and path.is_file())]
    kinds = sorted({path.suffix.lower() or "no ending" for path in files})
    found = []
    if files:
        found.append(f"{len(files)} file{'s' * (len(files) > 1)} of other kinds ({', '.join(kinds)})")
    if below:
        found.append(f"{below} folder{'s' * (below > 1)} within class folders")
    return ", ".join(found)


def config_text(found: Survey, checkpoint: str, path: str, size: int | None = None, epochs: int | None = None) -> str:
    """The TOML of a config that needs no editing.

    Args:
        found: see `survey`.
        checkpoint, path: of the trained weights and of the pictures, relative to the config or absolute.
        size: height and width of the network's input in pixels; by default 32 or 64, as the pictures are.
        epochs: of quantised training; four times as many go before with the quantisers off. By default as many as
            the number of pictures calls for.
    """
    side = size or (32 if found.shorter < 48 else 64)
    stem, strides = _geometry(side)
    batch = 2 ** max(1, min(7, int(math.log2(max(2, found.train / 8)))))
    held_out = found.train // 10 if found.train >= 500 else 0
    float_epochs = 4 * epochs if epochs else min(120, max(30, round(600_000 / found.train)))
    epochs = epochs or float_epochs // 4
    fuse = found.train * epochs >= 200_000
    augment = '["crop", "flip"]' if side <= 32 else '["zoom", "flip"]'
    parts = "in parts train and test" if found.own_test else "a fifth of each is kept to test with, by file name"
    budget = "" if side <= 32 else BUDGET
    labels = ", ".join(json.dumps(label, ensure_ascii=False) for label in found.labels)
    return f"""# {found.train + found.test} pictures of {len(found.labels)} classes; {parts}.

[model]
stem = "{stem}"
groups = {{ blocks = [1, 1, 1], channels = {list(CHANNELS)}, strides = {strides} }}
weight_bit_width = 5
act_bit_width = 5
first_bit_width = 5
last_bit_width = 5
checkpoint = {json.dumps(checkpoint, ensure_ascii=False)}

[input]
size = {side}

[data]
dataset = "folder"
path = {json.dumps(path, ensure_ascii=False)}
classes = {len(found.labels)}
labels = [{labels}]

[train]
float_epochs = {float_epochs}
epochs = {epochs}
freeze_epochs = {epochs // 8}
batch_size = {batch}
float_learning_rate = {0.1 * batch / 64:g}
learning_rate = {0.03 * batch / 64:g}
scale_learning_rate = {min(0.01, 0.03 * batch / 64):g}
momentum = 0.9
nesterov = true
weight_decay = 5e-4
schedule = "one-cycle"
warmup = 0.2
label_smoothing = 0.1
# Leave "flip" away where left and right mean something, as in writing.
augment = {augment}
fuse = {str(fuse).lower()}
held_out = {held_out}
seed = 0

[hardware]
part = "xc7z020clg400-1"
clock_mhz = 100
head = "cam"

[folding]
target_fps = {target_fps(side)}
{budget}
[cam]
output = {side}
backend = "hls"
threshold = 0.5
sampling = "half-pixel"
"""


def target_fps(side: int) -> int:
    """Frames a second that cost about what resnet8_5w5a's 500 do, rounded down to 1, 2 or 5 times a power of ten."""
    fps = KNOWN_FPS * KNOWN_MACS / macs(side)
    power = 10 ** math.floor(math.log10(fps))
    return max(1, int(max(step * power for step in (1, 2, 5) if step * power <= fps)))


def macs(side: int) -> int:
    """Multiplications of the network's convolutions for one image."""
    stem, strides = _geometry(side)
    groups = {"blocks": [1] * len(CHANNELS), "channels": list(CHANNELS), "strides": strides}
    spec = ModelSpec.model_validate({"stem": stem, "groups": groups, "checkpoint": "unused"})
    return size_of(spec, side, 0).macs


def _geometry(side: int) -> tuple[str, list[int]]:
    """Stem and strides that leave a map of 8 to 28 pixels (less below 32)."""
    if side <= 64:
        return "cifar", [1, 2, 2]
    return ("cifar", [2, 2, 2]) if side <= 128 else ("imagenet", [1, 2, 2])
