"""The teacher of a distillation: another network, or the student's own after its float phase or before its training."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.augment import Epoch, augment, reordered
from models.checkpoint import open_checkpoint, read_weights
from models.datasets.dataset import Dataset
from models.errors import ModelError
from models.evaluate import to_input
from models.network import Arithmetic, QuantResNet, build_network, channels_last
from models.spec import TrainSpec
from models.tensors import restore
from models.train_state import Position, fingerprint, load_state, save_state

REMEDY = "delete this training's folder to train from the start"
BATCH = 250


def float_weights(path: Path, identity: str) -> dict[str, Tensor]:
    """The tensors of a float phase, as `save_state` wrote them.

    Raises:
        ModelError: they are missing, corrupt, or of another training.
    """
    loaded = load_state(path, identity)
    if loaded is None:
        raise ModelError(str(path), "the float network to distil", "nothing there", REMEDY)
    return loaded[1]


def teacher_of(weights: dict[str, Tensor], place: Path, student: QuantResNet, device: str) -> QuantResNet:
    """A network of the student's shape with its quantisers off.

    Args:
        weights: its tensors by name.
        place: where they come from, for the error.
        student: whose shape it has.
        device: where it is to lie.

    Raises:
        ModelError: the weights are of another shape.
    """
    teacher = build_network(student.spec, student.classes)
    restore(teacher, weights, str(place), REMEDY)
    teacher.arithmetic = Arithmetic.FLOAT
    return channels_last(teacher.to(device))


def other_teacher(path: Path, data: Dataset, device: str) -> QuantResNet:
    """A checkpoint's network, quantised as it was trained.

    Args:
        path: the checkpoint.
        data: the images to learn from, whose size and classes it has to know.
        device: where it is to lie.

    Raises:
        ModelError: there is no such checkpoint, or it is for other images.
    """
    teacher, facts = open_checkpoint(path)
    for what, wanted, got in (
        ("classes", data.names, facts.labels),
        ("pixels a side", data.images.shape[1], facts.size),
    ):
        if wanted != got:
            remedy = "name a teacher that was trained for these images"
            raise ModelError(str(path), f"the {what} {_listed(wanted)}", _listed(got), remedy)
    teacher.arithmetic = Arithmetic.TRAINING
    return channels_last(teacher.to(device))


def find_teacher(
    recipe: TrainSpec, data: Dataset, student: QuantResNet, float_phase: tuple[Path, str], device: str
) -> QuantResNet:
    """The network that a recipe distils: `teacher`, else `start`, else the student's own after its float phase.

    Args:
        recipe: with distillation above 0.
        data: the images to learn from.
        student: whose shape `start` and the float phase have.
        float_phase: where the float phase's tensors are, and their identity.
        device: where it is to lie.

    Raises:
        ModelError: it is missing, corrupt, of another shape or for other images.
    """
    if recipe.teacher is not None:
        return other_teacher(recipe.teacher, data, device)
    if recipe.start is not None:
        return teacher_of(read_weights(recipe.start), recipe.start, student, device)
    return teacher_of(float_weights(*float_phase), float_phase[0], student, device)


class Teacher:
    """A teacher and its answers, which are kept where the recipe lets the same images come again.

    Args:
        network: in evaluation mode.
        data: the images to learn from.
        recipe: temperature, augment, precision, recurrence.
        folder: where answers are kept, a file for each epoch that recurs, for every training that asks the same; None
            not to keep any.
    """

    def __init__(self, network: QuantResNet, data: Dataset, recipe: TrainSpec, folder: Path | None) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.device = next(network.parameters()).device
        asked = recipe.model_dump(mode="json", include={"augment", "precision", "recurrence", "seed", "temperature"})
        weights = [tensor.detach().cpu().numpy() for tensor in network.state_dict().values()]
        self.identity = fingerprint(asked, self.device.type, network.arithmetic.name, *weights, data.images)
        self.folder = folder if recipe.recurrence else None
        self.kept: Tensor | None = None

    def enter(self, epoch: int, draw: Epoch) -> None:
        """Have the answers to an epoch's images ready.

        Args:
            epoch: counted from 0 in its phase.
            draw: its choices.

        Raises:
            ModelError: a file of answers is corrupt, or cannot be written.
        """
        if self.folder is None:
            return
        path = self.folder / f"answers-{self.identity[:16]}-{epoch % self.recipe.recurrence}.safetensors"
        found = load_state(path, self.identity)
        if found is None:
            self.kept = self._all_answers(draw)
            save_state(path, self.identity, Position(), {"answers": self.kept})
        else:
            self.kept = found[1]["answers"]

    def answers(self, images: Tensor, chosen: NDArray[np.int64]) -> Tensor:
        """Class probabilities at the recipe's temperature, float32 [N, classes].

        Args:
            images: float NCHW [N, 3, S, S], as the student sees them.
            chosen: int64 [N], which of the data's images they are.
        """
        if self.kept is not None:
            return self.kept[torch.from_numpy(chosen)].to(self.device)
        half = self.recipe.precision == "bfloat16"
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            logits: Tensor = self.network(images)[0]
        return functional.softmax(logits.float() / self.recipe.temperature, dim=1)

    def _all_answers(self, draw: Epoch) -> Tensor:
        """To every image as the epoch changes it, by image."""
        self.kept = None
        everything = np.arange(len(self.data))
        draw = reordered(draw, everything)
        found = []
        for start in range(0, len(self.data), BATCH):
            chosen = slice(start, min(start + BATCH, len(self.data)))
            changed = augment(self.data.images[chosen], chosen, draw, self.recipe.augment)
            found.append(self.answers(to_input(changed, str(self.device)), everything[chosen]).cpu())
        return torch.cat(found)


def _listed(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return ", ".join(value[:5]) + (f" … ({len(value)})" if len(value) > 5 else "")
