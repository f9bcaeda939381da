"""What a decoder is taught by: seeds, the picture's own edges, and that neither side may vanish."""

import torch
from torch import Tensor
from torch.nn import functional

from models.fcam.seeds import UNKNOWN


def partial_cross_entropy(logits: Tensor, seeds: Tensor) -> Tensor:
    """Cross-entropy at the seeds alone; 0 where no image has any.

    Args:
        logits: float [N, S, S].
        seeds: as `draw_seeds` gives them.
    """
    known = seeds != UNKNOWN
    losses = functional.binary_cross_entropy_with_logits(logits, seeds.clamp(min=0), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def affinities(images: Tensor, pixels: Tensor, sigma_colour: float, sigma_place: float) -> Tensor:
    """How much two pixels of an image ought to agree: exp(-|colour|²/2σ² - |place|²/2σ²), float [N, P, P].

    Args:
        images: float [N, 3, S, S] in [0, 1].
        pixels: int64 [P], row-major.
        sigma_colour: of 255 levels.
        sigma_place: in pixels.
    """
    side = images.shape[-1]
    colour = images.flatten(2)[:, :, pixels] * (255 / sigma_colour)
    place = torch.stack([pixels // side, pixels % side]).to(colour) / sigma_place
    points = torch.cat([colour, place.expand(len(images), 2, -1)], dim=1)
    halves = 0.5 * points.square().sum(dim=1)
    found = torch.bmm(points.transpose(1, 2), points)
    return found.sub_(halves[:, :, None]).sub_(halves[:, None, :]).clamp_(max=0).exp_()


def crf_loss(logits: Tensor, weights: Tensor, pixels: Tensor) -> Tensor:
    """The dense conditional random field's energy: similar pixels, near each other, that differ in their answer.

    Tang et al., "On Regularized Losses for Weakly-supervised CNN Segmentation", ECCV 2018, eq. 5: the mean over pairs
    of w·(s_i·(1 - s_j) + s_j·(1 - s_i)). Every pair of an image's pixels may count, with no window and no cut-off; the
    caller draws a part of the pixels at each step, so that the loss estimates the mean over all of them.

    Args:
        logits: float [N, S, S].
        weights: of the drawn pixels' pairs, from `affinities`.
        pixels: int64 [P], which were drawn.
    """
    share = torch.sigmoid(logits.flatten(1)[:, pixels])[:, :, None]
    return 2 * (share * torch.bmm(weights, 1 - share)).sum() / weights.numel()


def size_loss(logits: Tensor, t: float) -> Tensor:
    """Keeps foreground and background from vanishing: -size ≤ 0 for both, by `log_barrier`; sizes in pixels."""
    share = torch.sigmoid(logits).flatten(1)
    sizes = torch.stack([share.sum(dim=1), (1 - share).sum(dim=1)])
    return log_barrier(-sizes, t).mean()


def log_barrier(value: Tensor, t: float) -> Tensor:
    """The extended log-barrier of the constraint value ≤ 0, element by element.

    -log(-value)/t where value ≤ -1/t², and its tangent beyond: Kervadec et al., "Constrained Deep Networks: Lagrangian
    Optimization via Log-Barrier Extensions", 2019, eq. 3.
    """
    edge = -1 / t**2
    barrier = -torch.log(-value.clamp(max=edge)) / t
    return barrier + t * (value - edge).clamp(min=0)
