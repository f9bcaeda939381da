"""What a training tells while it runs, and what it leaves when it ends."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

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
