"""What a training tells while it runs, and what it leaves when it ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from models.errors import ModelError
from models.network import QuantResNet


@dataclass(frozen=True)
class Progress:
    """A training's progress, told after every batch.

    Args:
        phase: "float" or "quantised".
        epoch, epochs: 0-based, of this phase.
        step, steps: batches finished, of this epoch.
        loss, accuracy: means over this epoch's batches so far; of the training images as augmented.
        held_out: accuracy on the held-out images after the last finished epoch, or None.
    """

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    held_out: float | None


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    Args:
        network: in evaluation mode, on the CPU.
        images: how many images it was trained on, without the held-out ones.
        held_out_float, held_out_quantised: accuracy on the held-out images after each phase, or None.
        seconds: time spent training, over all sittings.
        float_weights: the network's state after the float phase, or None.
        log: one record for each epoch.
    """

    network: QuantResNet
    images: int
    held_out_float: float | None
    held_out_quantised: float | None
    seconds: float
    float_weights: dict[str, Tensor] | None
    log: list[dict[str, Any]]


def require_no_collapse(log: Sequence[dict[str, Any]], classes: int, place: str) -> None:
    """Stops a training that has diverged: what would follow is lost time, and would replace a good checkpoint.

    It has where the loss is no number, or where the training images are recognised about as often as by guessing after
    an epoch of the same phase recognised half of what guessing misses.

    Args:
        log: a record for each finished epoch, the last one just finished.
        classes: of the data set.
        place: the training's folder, for the error.

    Raises:
        ModelError: it has diverged.
    """
    last = log[-1]
    guessing = 1 / classes
    best = max(record["train_accuracy"] for record in log if record["phase"] == last["phase"])
    collapsed = last["train_accuracy"] < guessing + 0.1 * (1 - guessing) and best > guessing + 0.5 * (1 - guessing)
    if math.isfinite(last["loss"]) and not collapsed:
        return
    got = f"{100 * last['train_accuracy']:.1f} % of them right (loss {last['loss']:.3g}) after {100 * best:.1f} %"
    raise ModelError(
        f"{place}: {last['phase']} epoch {last['epoch'] + 1}",
        "training images that go on being recognised",
        f"{got}: it diverged",
        "lower [train] learning_rate, or freeze_epochs if it fell where these began, and delete the folder",
    )
