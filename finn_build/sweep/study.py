"""The study: Optuna chooses, remembers, and lets many processes work on it; no scheduler of this project's own."""

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from finn_build.errors import UserError
from finn_build.sweep.trial import Figures

Measure = Literal["weights", "weight_bits", "macs", "bit_operations"]
MEASURES: tuple[str, ...] = get_args(Measure)
FIGURES = "figures"
HEARTBEAT_S, GRACE_S = 5, 30
"""A process that was silent for so long is taken for dead, and its trial is done again."""


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """An Optuna storage: a database by its SQLAlchemy URL, or `journal:PATH`, a file that machines may share.

    Raises:
        UserError: it cannot be opened.
    """
    # Of a trial that was interrupted it would print a traceback.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if url.startswith("journal:"):
            path = Path(url.removeprefix("journal:"))
            path.parent.mkdir(parents=True, exist_ok=True)
            return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
        with warnings.catch_warnings():
            # Heartbeats are marked experimental.
            warnings.simplefilter("ignore")
            return optuna.storages.RDBStorage(
                url,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
            )
    except (SQLAlchemyError, ImportError, ValueError, OSError, RuntimeError) as error:
        found = " ".join(str(error).split())
        remedy = "name one as sqlite:///FILE, postgresql://…, mysql://… or journal:FILE"
        raise UserError("--storage", "a storage of Optuna", f"{url}: {found}", remedy) from None


def open_study(storage: optuna.storages.BaseStorage, name: str, about: dict[str, Any]) -> optuna.Study:
    """The study of a name, made or joined.

    Args:
        storage: see `open_storage`.
        name: of the study.
        about: what has to be the same for all that work on it.

    Raises:
        UserError: it is one of another config, data set or space.
    """
    study = optuna.create_study(
        storage=storage, study_name=name, load_if_exists=True, directions=["maximize", "minimize"]
    )
    known = study.user_attrs.get("about")
    if known is None:
        study.set_user_attr("about", about)
    elif known != about:
        other = next(key for key in sorted({*about, *known}) if known.get(key) != about.get(key))
        place, remedy = f"study {name!r}", "give the same options, or another --study"
        raise UserError(place, f"{other} = {known.get(other)}", str(about.get(other)), remedy)
    return study


def work(
    study: optuna.Study,
    storage: optuna.storages.BaseStorage,
    seed: int,
    trials: int,
    measure: Measure,
    grid: dict[str, list[float] | list[int]] | None,
    run: Callable[[optuna.Trial], Figures],
    tell: Callable[[int, Figures], None],
) -> None:
    """Runs trials until so many are complete, by whatever process.

    Args:
        study, storage: see `open_study`.
        seed: of the sampler.
        trials: how many are wanted in all.
        measure: what is to be little while the accuracy is to be high.
        grid: of values, each tried once, `trials` at most; None where the sampler is to look for good ones.
        run: trains and measures what a trial's sampler chose.
        tell: told of each trial that this process completed, and how many there are then.
    """

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        if grid is None:
            # By the trial's number: processes that start together do not choose the same.
            trial.study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + trial.number, n_startup_trials=8)
        found = run(trial)
        trial.set_user_attr(FIGURES, asdict(found))
        tell(len(_in(study, TrialState.COMPLETE)) + 1, found)
        return found.accuracy, float(getattr(found, measure))

    if grid is not None:
        study.sampler = optuna.samplers.GridSampler(grid, seed=seed)
    # Without heartbeats one cannot tell a running trial from a dead one.
    counted = (TrialState.RUNNING,) if isinstance(storage, optuna.storages.RDBStorage) else ()
    while (complete := len(_in(study, TrialState.COMPLETE))) < trials:
        if complete + len(_in(study, *counted)) >= trials:
            # Others are at the last ones; one of them may die.
            time.sleep(1.0)
            _retry_stale(study)
            if not _in(study, TrialState.WAITING):
                continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study.optimize(objective, n_trials=1)


def figures_of(study: optuna.Study) -> list[Figures]:
    """What the complete trials found, each network once, in the order of the trials."""
    found: dict[str, Figures] = {}
    for trial in sorted(_in(study, TrialState.COMPLETE), key=lambda one: one.number):
        figures = Figures(**trial.user_attrs[FIGURES])
        found.setdefault(f"{figures.channels} {figures.bits}", figures)
    return list(found.values())


def _in(study: optuna.Study, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states) if states else []


def _retry_stale(study: optuna.Study) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.storages.fail_stale_trials(study)
