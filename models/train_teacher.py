"""The teacher of a distillation: the network as it was after its float phase."""

from pathlib import Path

import torch
from torch import Tensor

from models.errors import ModelError
from models.network import Arithmetic, QuantResNet, build_network, channels_last
from models.tensors import restore
from models.train_state import load_state

REMEDY = "delete this training's folder to train from the start"


def load_teacher(path: Path, identity: str, student: QuantResNet, device: str) -> QuantResNet:
    """The float network of the same shape as the student.

    Args:
        path: weights of the float phase, as `save_state` wrote them.
        identity: fingerprint of the float phase.
        student: whose shape it has.
        device: where it is to lie.

    Raises:
        ModelError: the weights are missing, corrupt, or of another training.
    """
    loaded = load_state(path, identity)
    if loaded is None:
        raise ModelError(str(path), "the float network to distil", "nothing there", REMEDY)
    teacher = build_network(student.spec, student.classes)
    restore(teacher, loaded[1], str(path), REMEDY)
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
