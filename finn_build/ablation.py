"""What each ingredient of a recipe brings: short trainings of one budget, one ingredient changed at a time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finn_build.cache.store import write_atomically
from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.sources import require_dataset
from models.spec import TrainSpec

BASE = "base: float first, then quantised; one-cycle; crop and flip"
INGREDIENTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "no augmentation": {"augment": []},
    "and cut-out": {"augment": ["crop", "flip", "cutout"]},
    "and colour": {"augment": ["crop", "flip", "colour"]},
    "zoom instead of crop": {"augment": ["zoom", "flip"]},
    "and mixup 0.2": {"mixup": 0.2},
    "and label smoothing 0.1": {"label_smoothing": 0.1},
    "and distillation 0.5 from its float phase": {"distillation": 0.5},
    "cosine instead of one-cycle": {"schedule": "cosine"},
    "quantised from the first step": {"float_epochs": 0},
}


@dataclass(frozen=True)
class Row:
    """One ingredient's training: accuracies on the held-out images as fractions; None where there was no such phase."""

    name: str
    held_out_float: float | None
    held_out_quantised: float
    seconds: float


def recipe_of(base: TrainSpec, changes: dict[str, Any], epochs: int, held_out: int) -> TrainSpec:
    """A short recipe: two thirds of the epochs in float, one third quantised, or all of them where there is no float.

    Args:
        base: whose batch size, learning rates and precision are taken.
        changes: what is different from the base of the table.
        epochs: in all.
        held_out: images to judge by.
    """
    float_epochs = changes.get("float_epochs", 2 * epochs // 3)
    plain = {"schedule": "one-cycle", "augment": ["crop", "flip"], "mixup": 0.0, "label_smoothing": 0.0}
    recipe = {
        **base.model_dump(),
        **plain,
        "distillation": 0.0,
        **changes,
        "start": None,
        "float_epochs": float_epochs,
        "epochs": epochs - float_epochs,
        # Statistics that stand still while the learning rate is high, as in half of two epochs, let a training diverge.
        "freeze_epochs": 0,
        # Compiling takes longer than it saves here.
        "fuse": False,
        "held_out": held_out,
    }
    if not float_epochs:
        # As fast as the float phase would have learnt.
        recipe["learning_rate"] = base.float_learning_rate
    return TrainSpec.model_validate(recipe)


def ablate(
    config: Config,
    data: Path | None,
    folder: Path,
    epochs: int,
    images: int,
    threads: int,
    tell: Callable[[Row], None],
) -> list[Row]:
    """Trains once for each ingredient; what was finished before is not trained again.

    Args:
        config: whose network, batch size and learning rates are taken.
        data: the folder of the data set that the user names.
        folder: where trainings are kept.
        epochs: of each, in all.
        images: training images used, a fifth of them held out.
        threads: CPU threads; 0 for all.
        tell: told of each that is done.

    Raises:
        UserError: no data set, or too few images.
    """
    root = require_dataset(config, data)
    import torch

    from finn_build.environment import cores_of_this_process
    from models.datasets.load import load_dataset
    from models.train import train

    if config.model.groups is None:
        raise UserError(f"{config.name}: [model] source", "checkpoint", config.model.source, "take one built here")
    torch.set_num_threads(threads or cores_of_this_process())
    whole = load_dataset(config.data.dataset, root, "train", config.input.size, config.data.classes)
    if images > len(whole):
        raise UserError("--images", f"at most the {len(whole)} there are", str(images), "ask for fewer")
    learnt = whole.subset(np.sort(np.random.default_rng([0]).permutation(len(whole))[:images]))
    rows = []
    for number, (name, changes) in enumerate(INGREDIENTS.items()):
        place = folder / f"{epochs}-{images}" / str(number)
        done = place / "row.json"
        if done.is_file():
            rows.append(Row(**json.loads(done.read_text(encoding="utf-8"))))
        else:
            recipe = recipe_of(config.train, changes, epochs, images // 5)
            result = train(config.model, recipe, learnt, place, place.parent / "float")
            if result.held_out_quantised is None:
                raise UserError("--images", "a fifth of them to judge by", str(images), "take more")
            rows.append(Row(name, result.held_out_float, result.held_out_quantised, round(result.seconds, 1)))
            write_atomically(done, json.dumps(asdict(rows[-1])) + "\n")
        tell(rows[-1])
    return rows


def table_of(rows: Sequence[Row], title: str, held_out: int) -> str:
    """The rows as Markdown, with what each differs from the base by and how much of that may be chance."""
    base = rows[0].held_out_quantised
    # Two standard errors of the difference of two fractions of as many images.
    chance = 200 * (2 * base * (1 - base) / held_out) ** 0.5
    lines = [
        title,
        "",
        "| recipe | float | quantised | against the base |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        fraction = "–" if row.held_out_float is None else f"{100 * row.held_out_float:.1f} %"
        points = 100 * (row.held_out_quantised - base)
        gap = "" if row is rows[0] else f"{points:+.1f}".replace("-", "−")
        lines.append(f"| {row.name} | {fraction} | {100 * row.held_out_quantised:.1f} % | {gap} |")
    lines += [
        "",
        f"Accuracy on {held_out:,} held-out training images; differences below {chance:.1f} points may be chance.",
    ]
    return "\n".join(lines) + "\n"


def put_into(page: Path, name: str, table: str) -> None:
    """Writes a table into a Markdown file, in place of the one of that name or at its end.

    Raises:
        UserError: the file cannot be read.
    """
    begin, end = f"<!-- ablation {name} -->\n", "<!-- end of ablation -->\n"
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(str(page), "a Markdown file", str(error.strerror), "correct --into") from None
    head, found, rest = text.partition(begin)
    tail = rest.partition(end)[2] if found else ""
    head = head if found else head.rstrip("\n") + "\n\n"
    write_atomically(page, head + begin + table + end + tail)
