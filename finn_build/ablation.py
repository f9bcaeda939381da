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
from finn_build.pages import chance
from finn_build.sources import require_dataset
from models.spec import TrainSpec

FROZEN = -1
"""Stands for a third of the quantised epochs, however many there are."""
BASE = "base: float first, then quantised; one-cycle; crop and flip"
INGREDIENTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "no augmentation": {"augment": []},
    "quantised from the first step": {"float_epochs": 0},
    "scales as calibrated, not learnt": {"scale_learning_rate": 0.0},
    "and scales and statistics frozen in the last third": {"freeze_epochs": FROZEN},
    "and distillation 0.5 from its float phase": {"distillation": 0.5},
    "and label smoothing 0.05": {"label_smoothing": 0.05},
    "cosine instead of one-cycle": {"schedule": "cosine"},
    "and mixup 0.2": {"mixup": 0.2},
    "and cut-out": {"augment": ["crop", "flip", "cutout"]},
    "zoom instead of crop": {"augment": ["zoom", "flip"]},
}
TAUGHT = {"distillation": 0.8, "temperature": 4.0, "recurrence": 4}


def ingredients_of(base: TrainSpec) -> dict[str, dict[str, Any]]:
    """The rows of a config's table by name, each with what it changes; a teacher's where the config names one."""
    if base.teacher is None:
        return INGREDIENTS
    return INGREDIENTS | {f"and distillation 0.8 from {base.teacher.stem}, both at temperature 4": TAUGHT}


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
        base: whose batch size, precision and teacher are taken.
        changes: what is different from the base of the table.
        epochs: in all.
        held_out: images to judge by.
    """
    float_epochs = changes.get("float_epochs", 2 * epochs // 3)
    plain = {"schedule": "one-cycle", "augment": ["crop", "flip"], "mixup": 0.0, "label_smoothing": 0.0}
    # The table's own, so that it stays what it is while the recipes go on.
    rates = {"float_learning_rate": 0.2, "learning_rate": 0.05 if float_epochs else 0.2, "scale_learning_rate": 0.01}
    recipe = {
        **base.model_dump(),
        **plain,
        **rates,
        "distillation": 0.0,
        "temperature": 1.0,
        "recurrence": 0,
        **changes,
        "start": None,
        "teacher": base.teacher if "recurrence" in changes else None,
        "float_epochs": float_epochs,
        "epochs": epochs - float_epochs,
        # Statistics that stand still while the learning rate is high, as in half of two epochs, let a training diverge.
        "freeze_epochs": (epochs - float_epochs) // 3 if changes.get("freeze_epochs") == FROZEN else 0,
        # Compiling takes longer than it saves here.
        "fuse": False,
        "held_out": held_out,
    }
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
        config: whose network, batch size, precision and teacher are taken.
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
    from models.train_recipe import identities

    if config.model.groups is None:
        raise UserError(f"{config.name}: [model] source", "checkpoint", config.model.source, "take one built here")
    torch.set_num_threads(threads or cores_of_this_process())
    whole = load_dataset(config.data.dataset, root, "train", config.input.size, config.data.classes)
    if images > len(whole):
        raise UserError("--images", f"at most the {len(whole)} there are", str(images), "ask for fewer")
    learnt = whole.subset(np.sort(np.random.default_rng([0]).permutation(len(whole))[:images]))
    rows = []
    for name, changes in ingredients_of(config.train).items():
        recipe = recipe_of(config.train, changes, epochs, images // 5)
        # By network, recipe and images: a row of another recipe is never taken for this one.
        place = folder / identities(config.model, recipe, learnt)[0][:16]
        done = place / "row.json"
        if done.is_file():
            rows.append(Row(**{**json.loads(done.read_text(encoding="utf-8")), "name": name}))
        else:
            result = train(config.model, recipe, learnt, place, folder / "float")
            if result.held_out_quantised is None:
                raise UserError("--images", "a fifth of them to judge by", str(images), "take more")
            rows.append(Row(name, result.held_out_float, result.held_out_quantised, round(result.seconds, 1)))
            write_atomically(done, json.dumps(asdict(rows[-1])) + "\n")
        tell(rows[-1])
    return rows


def table_of(rows: Sequence[Row], title: str, held_out: int) -> str:
    """The rows as Markdown, with what each differs from the base by and how much of that may be chance."""
    base = rows[0].held_out_quantised
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
    points = 100 * chance(base, held_out)
    lines += [
        "",
        f"Accuracy on {held_out:,} held-out training images; differences below {points:.1f} points may be chance.",
    ]
    return "\n".join(lines) + "\n"
