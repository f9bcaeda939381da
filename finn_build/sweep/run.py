"""A sweep from end to end: images, study, trials, and what is written."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.pages import put_into
from finn_build.sources import require_dataset
from finn_build.sweep.space import Space, config_of, float_epochs_of, fps_of, groups_of
from finn_build.sweep.study import Measure, figures_of, open_storage, open_study, work
from finn_build.sweep.trial import Figures, run_trial
from finn_build.sweep.write import Told, page_of, write_plot, write_table


@dataclass(frozen=True)
class Sweep:
    """What a user asks of a sweep.

    Attributes:
        space: what is chosen from.
        trials: how many are wanted in all, over every process.
        epochs: quantised epochs of a trial.
        images: training images used, the held-out ones among them; 0 for all.
        measure: what the sampler weighs against accuracy.
        storage: of Optuna; None for SQLite in the folder.
        study: its name in the storage.
        estimate: whether hardware is estimated.
        fps: frames a second to estimate it for; see `fps_of`.
        device, threads: see `finn-cam train`.
    """

    space: Space
    trials: int
    epochs: int
    images: int
    measure: Measure
    storage: str | None
    study: str
    estimate: bool
    fps: float | None
    device: str
    threads: int


def sweep_config(
    base: Config,
    data: Path | None,
    folder: Path,
    wanted: Sweep,
    tell: Callable[[int, Figures], None],
    into: Path | None = None,
) -> dict[str, Any]:
    """Runs trials until the study has as many as are wanted, and writes `sweep.csv` and `sweep.png`.

    Args:
        base: whose groups are varied.
        data: the folder of the data set that the user names.
        folder: of the sweep.
        wanted: see `Sweep`.
        tell: told of every trial that is complete.
        into: a Markdown file to put the table into; the picture goes beside it.

    Raises:
        UserError: no data set, too few images, a storage that cannot be opened, or a study of something else.
    """
    groups = groups_of(base)
    root = require_dataset(base, data)
    import torch

    from finn_build.environment import cores_of_this_process
    from finn_build.training import choose_device
    from models.datasets.load import load_dataset
    from models.train_recipe import identities
    from models.train_state import fingerprint

    torch.set_num_threads(wanted.threads or cores_of_this_process())
    device = choose_device(wanted.device)
    whole = load_dataset(base.data.dataset, root, "train", base.input.size, base.data.classes)
    if wanted.images > len(whole):
        raise UserError("--images", f"at most the {len(whole)} there are", str(wanted.images), "ask for fewer")
    order = np.random.default_rng([base.train.seed]).permutation(len(whole))
    learnt = whole.subset(np.sort(order[: wanted.images or len(whole)]))
    held_out = min(base.train.held_out, len(learnt) // 5) or len(learnt) // 10
    fps = fps_of(base, wanted.fps)
    common = config_of(base, groups.channels, [8] * len(groups.channels), wanted.epochs, held_out, fps)
    about = {
        "config": base.name,
        "images": fingerprint(learnt.images, learnt.labels)[:16],
        "epochs": wanted.epochs,
        # Whatever else trials have in common: those of another recipe are not to be compared with these.
        "recipe": identities(common.model, common.train, learnt)[0][:16],
        "measure": wanted.measure,
        "widths": wanted.space.factors,
        "bits": wanted.space.bits,
        **({"fps": fps} if wanted.estimate else {}),
        **({"uniform": True} if wanted.space.uniform else {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(wanted.storage or f"sqlite:///{folder.resolve() / 'study.db'}")
    study = open_study(storage, wanted.study, about)

    def run(trial: optuna.Trial) -> Figures:
        channels, bits = wanted.space.choose(trial, base)
        config = config_of(base, channels, bits, wanted.epochs, held_out, fps)
        # By recipe and images too: a study of other epochs may use the same folder.
        identity = identities(config.model, config.train, learnt)[0][:12]
        hardware = f"{config.folding.fps:g}fps" if wanted.estimate else "bare"
        name = "_".join(["-".join(map(str, channels)), "-".join(map(str, bits)), identity, hardware])
        return run_trial(config, learnt, folder / "trials" / name, folder / "float", device, wanted.estimate)

    work(study, storage, base.train.seed, wanted.trials, wanted.measure, wanted.space.grid, run, tell)
    found = figures_of(study)
    write_table(found, folder / "sweep.csv")
    epochs = (float_epochs_of(base, wanted.epochs), wanted.epochs)
    told = Told(base.name, *epochs, len(learnt) - held_out, held_out, fps)
    write_plot(found, told, folder / "sweep.png")
    if into is not None:
        put_into(into, "sweep", base.name, page_of(found, told, f"{base.name}-sweep.png"))
        shutil.copyfile(folder / "sweep.png", into.with_name(f"{base.name}-sweep.png"))
    return {
        "config": base.name,
        "study": wanted.study,
        "trials": [asdict(one) for one in found],
        "table": str(folder / "sweep.csv"),
        "plot": str(folder / "sweep.png"),
    }
