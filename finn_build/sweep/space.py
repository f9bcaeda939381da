"""What a sweep chooses from: a width and a bit width for each group, from a base config to a config of a trial."""

import math
from dataclasses import dataclass

from optuna import Trial

from finn_build.config import Config
from finn_build.errors import UserError
from models.spec import Groups, TrainSpec

FLOAT_EPOCHS = 2
"""Float epochs for each quantised one, where the base config has a float phase."""

FPS = 500.0
"""Frames a second that hardware is estimated for, where neither the user nor the base config says."""


@dataclass(frozen=True)
class Space:
    """The choices of every group.

    Attributes:
        factors: of the base config's channels.
        bits: of the weights and activations.
        uniform: whether all groups have one factor and one bit width: a grid, every point of which is tried once.
    """

    factors: list[float]
    bits: list[int]
    uniform: bool = False

    def __post_init__(self) -> None:
        if not self.factors or not all(math.isfinite(factor) and 0 < factor <= 4 for factor in self.factors):
            raise UserError("--widths", "factors above 0, up to 4, as 0.5,1", str(self.factors), "correct it")
        if not self.bits or not all(2 <= bits <= 8 for bits in self.bits):
            raise UserError("--bits", "bit widths from 2 to 8, as 4,5,6", str(self.bits), "correct it")

    @property
    def grid(self) -> dict[str, list[float] | list[int]] | None:
        """What there is to try of a uniform space."""
        return {"width": self.factors, "bits": self.bits} if self.uniform else None

    def choose(self, trial: Trial, base: Config) -> tuple[list[int], list[int]]:
        """Channels and bits of each group, as the trial's sampler likes."""
        channels, bits = [], []
        for group, full in enumerate(groups_of(base).channels):
            own = "" if self.uniform else f"_{group}"
            factor = trial.suggest_categorical(f"width{own}", self.factors)
            channels.append(max(2, round(full * factor)))
            bits.append(trial.suggest_categorical(f"bits{own}", self.bits))
        return channels, bits


def groups_of(base: Config) -> Groups:
    """The base config's groups.

    Raises:
        UserError: its network is an ONNX file.
    """
    if base.model.groups is None:
        raise UserError(f"{base.name}: [model] source", "checkpoint", base.model.source, "sweep a network built here")
    return base.model.groups


def float_epochs_of(base: Config, epochs: int) -> int:
    """Float epochs of a trial with so many quantised ones."""
    return FLOAT_EPOCHS * epochs if base.train.float_epochs else 0


def fps_of(base: Config, wanted: float | None) -> float:
    """Frames a second to fold trials for: `wanted`, or the base's, or FPS where it has a file, which fits it alone."""
    return wanted or base.folding.target_fps or FPS


def config_of(base: Config, channels: list[int], bits: list[int], epochs: int, held_out: int, fps: float) -> Config:
    """A trial's config: the base with other groups and a short schedule; stem and classifier as the base has them.

    Args:
        base: the config to start from.
        channels, bits: of each group.
        epochs: quantised ones.
        held_out: images to judge by.
        fps: frames a second to fold for, in place of a folding file.
    """
    groups = groups_of(base).model_copy(
        update={"channels": channels, "weight_bit_widths": bits, "act_bit_widths": bits}
    )
    recipe = base.train.model_copy(
        update={
            "epochs": epochs,
            "float_epochs": float_epochs_of(base, epochs),
            # So short a schedule learns fast to its end, and statistics that stand still then let the training diverge.
            "freeze_epochs": 0,
            # Compiling takes longer than it saves in a short training.
            "fuse": False,
            "held_out": held_out,
            "start": None,
            # Trials are compared with each other, each by what it learns from the images.
            "teacher": None,
            "temperature": 1.0,
            "recurrence": 0,
            "distillation": 0.0 if base.train.teacher is not None else base.train.distillation,
        }
    )
    # Checked anew, and a copy is not.
    TrainSpec.model_validate(recipe.model_dump())
    folding = base.folding.model_copy(update={"file": None, "target_fps": fps})
    return base.model_copy(
        update={"model": base.model.model_copy(update={"groups": groups}), "train": recipe, "folding": folding},
    )
