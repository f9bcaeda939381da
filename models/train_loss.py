"""The loss of a batch: cross-entropy with the images mixed in pairs, labels smoothed, and a teacher listened to."""

from torch import Tensor
from torch.nn import functional

from models.spec import TrainSpec


def mix(images: Tensor, partners: Tensor, shares: Tensor) -> Tensor:
    """Mixup (Zhang et al., arXiv:1710.09412, eq. 1): share·image + (1 − share)·partner.

    Args:
        images, partners: float NCHW [N, 3, S, S].
        shares: float [N], of the image itself.
    """
    return partners.lerp(images, shares[:, None, None, None])


def loss_of(
    logits: Tensor,
    labels: Tensor,
    recipe: TrainSpec,
    partners: Tensor | None = None,
    shares: Tensor | None = None,
    taught: Tensor | None = None,
) -> Tensor:
    """The mean loss of a batch, a scalar.

    Args:
        logits: float32 [N, classes].
        labels: int64 [N].
        recipe: its label_smoothing, distillation and temperature.
        partners, shares: labels int64 [N] of the images that were mixed in, and each image's own share, float [N].
        taught: class probabilities of the teacher at the recipe's temperature T, float [N, classes]. The student's
            are taken at T too, and this part of the loss weighs T² (Hinton et al., arXiv:1503.02531, section 2).
    """
    smooth = recipe.label_smoothing
    if partners is None or shares is None:
        loss = functional.cross_entropy(logits, labels, label_smoothing=smooth)
    else:
        own = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smooth)
        other = functional.cross_entropy(logits, partners, reduction="none", label_smoothing=smooth)
        loss = other.lerp(own, shares).mean()
    if taught is None:
        return loss
    T = recipe.temperature
    told = T * T * functional.cross_entropy(logits / T, taught)
    return (1 - recipe.distillation) * loss + recipe.distillation * told
