"""The teacher of a distillation: the network after its float phase, or the one that training starts from."""

from pathlib import Path

import torch
from torch import Tensor

from models.errors import ModelError
from models.network import Arithmetic, QuantResNet, build_network, channels_last
from models.tensors import restore
from models.train_state import load_state

REMEDY = "delete this training's folder to train from the start"


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


def taught_by(teacher: QuantResNet | None, images: Tensor) -> Tensor | None:
    """The teacher's class probabilities, float32 [N, classes]; None without a teacher.

    Args:
        teacher: in evaluation mode.
        images: float NCHW [N, 3, S, S], as the student sees them.
    """
    if teacher is None:
        return None
    with torch.no_grad():
        logits: Tensor = teacher(images)[0]
    return logits.float().softmax(1)
