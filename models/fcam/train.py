"""Training decoders on a frozen classifier, both kinds side by side, resumable at every epoch."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.datasets.dataset import Dataset
from models.evaluate import to_input
from models.fcam.decoder import KINDS, Decoder, Kind, Shape
from models.fcam.features import Frozen
from models.fcam.losses import affinities, crf_loss, partial_cross_entropy, size_loss
from models.fcam.seeds import draw_seeds
from models.tensors import restore
from models.train_state import Position, fingerprint, load_state, momentum_of, save_state

REMEDY = "delete it to train from the start"


SeedMethod = Literal["cam", "layercam", "layercam-fused"]


@dataclass(frozen=True)
class Recipe:
    """How decoders are trained; what the paper says unless noted.

    Args:
        seeds_from: the method whose maps seeds are drawn from; the paper tries several.
        centre: as `draw_seeds` takes it.
        epochs, batch_size, learning_rate, momentum, weight_decay: of SGD; the rate falls to 0 by a cosine.
        foreground, background: seeds of an image and step.
        share: n%, of an image's pixels that count as background.
        crf: weight of the CRF loss, a mean over pairs. The paper's 2e-9 weighs a sum over 224⁴ pairs: 5 of the mean.
        crf_pixels: drawn of an image at each step.
        sigma_colour: of 255 levels.
        sigma_place: of the image's side; the paper's 100 pixels of 224.
        size: weight of the size constraint.
        barrier_start, barrier_growth, barrier_most: t of the log-barrier, an epoch.
        width: channels of the decoders at image size.
        precision: of the decoders' convolutions in training.
        seed: of weights and draws.
    """

    seeds_from: SeedMethod = "layercam-fused"
    centre: float = 0.375
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    foreground: int = 8
    background: int = 8
    share: float = 0.2
    crf: float = 5.0
    crf_pixels: int = 256
    sigma_colour: float = 15.0
    sigma_place: float = 100 / 224
    size: float = 1.0
    barrier_start: float = 1.0
    barrier_growth: float = 1.01
    barrier_most: float = 10.0
    width: int = 12
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = 0

    def barrier(self, epoch: int) -> float:
        """T of the log-barrier in an epoch, counted from 0."""
        return min(self.barrier_most, self.barrier_start * self.barrier_growth**epoch)


@dataclass(frozen=True)
class Progress:
    """Told after every batch: epochs counted from 0, batches finished, and the loss of each kind so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: dict[Kind, float]


def train_decoders(
    frozen: Frozen,
    identity: str,
    data: Dataset,
    cams: NDArray[np.float32],
    recipe: Recipe,
    folder: Path,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[dict[Kind, Decoder], float]:
    """Train a decoder of each kind; they share images, seeds and the classifier's run, and nothing else.

    Args:
        frozen: the classifier's features.
        identity: fingerprint of the classifier.
        data: the training split; its boxes, if it has any, are not looked at.
        cams: [N, h, w], the activation map of each image's class, which seeds are drawn from.
        recipe: how.
        folder: where the state is kept; a run that was killed goes on from its last finished epoch.
        on_progress: called after every batch.

    Returns:
        The decoders in evaluation mode, and the seconds that training took.

    Raises:
        ModelError: the folder holds the state of another training.
    """
    run = fingerprint(identity, asdict(recipe), fingerprint(data.images, data.labels, cams))
    decoders = _build(frozen, data, recipe)
    modules = torch.nn.ModuleDict({str(kind): decoder for kind, decoder in decoders.items()})
    names = {parameter: name for name, parameter in modules.named_parameters()}
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in modules.parameters() if p.dim() > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in modules.parameters() if p.dim() == 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )
    path, position = folder / "fcam.safetensors", Position()
    state = load_state(path, run)
    if state is not None:
        position, tensors = state
        parts = {name.partition(".")[2]: t for name, t in tensors.items() if name.startswith("decoders.")}
        restore(modules, parts, str(path), REMEDY)
        for parameter, name in names.items():
            optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"]
    steps = len(data) // min(recipe.batch_size, len(data))
    while position.epoch < recipe.epochs:
        began = time.monotonic()
        sums = dict.fromkeys(KINDS, 0.0)
        modules.train()
        for step, (images, maps, generator) in enumerate(_batches(data, cams, recipe, position.epoch)):
            done = (position.epoch * steps + step) / (recipe.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            losses = _losses(frozen, decoders, images, maps, generator, recipe, position.epoch)
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for kind, loss in losses.items():
                sums[kind] += float(loss.detach())
            if on_progress is not None:
                told = {kind: total / (step + 1) for kind, total in sums.items()}
                on_progress(Progress(position.epoch, recipe.epochs, step + 1, steps, told))
        position.epoch += 1
        position.seconds += time.monotonic() - began
        kept = {f"decoders.{name}": tensor for name, tensor in modules.state_dict().items()}
        save_state(path, run, position, kept | momentum_of(optimizer, names))
    modules.eval()
    return decoders, position.seconds


def _build(frozen: Frozen, data: Dataset, recipe: Recipe) -> dict[Kind, Decoder]:
    size = data.images.shape[1]
    maps = frozen(to_input(data.images[:1])).maps
    torch.manual_seed(recipe.seed)
    channels, sides = tuple(x.shape[1] for x in maps), tuple(x.shape[2] for x in maps)
    shapes = {kind: Shape(kind, size, channels, sides, recipe.width) for kind in KINDS}
    return {kind: Decoder(shape) for kind, shape in shapes.items()}


def _batches(
    data: Dataset, cams: NDArray[np.float32], recipe: Recipe, epoch: int
) -> Iterator[tuple[Tensor, Tensor, torch.Generator]]:
    """Images, half of them mirrored, their activation maps, and a generator for what else is drawn."""
    rng = np.random.default_rng([recipe.seed, epoch])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    order = rng.permutation(len(data))
    batch = min(recipe.batch_size, len(data))
    for start in range(0, len(data) - batch + 1, batch):
        chosen = order[start : start + batch]
        images, maps = data.images[chosen], cams[chosen]
        mirrored = rng.random(len(chosen)) < 0.5
        images[mirrored], maps[mirrored] = images[mirrored, :, ::-1], maps[mirrored, :, ::-1]
        yield to_input(images), torch.from_numpy(maps), generator


def _losses(
    frozen: Frozen,
    decoders: dict[Kind, Decoder],
    images: Tensor,
    cams: Tensor,
    generator: torch.Generator,
    recipe: Recipe,
    epoch: int,
) -> dict[Kind, Tensor]:
    side = images.shape[-1]
    features = frozen(images)
    counts = recipe.foreground, recipe.background
    seeds = draw_seeds(cams, side, *counts, recipe.share, generator, recipe.centre)
    pixels = torch.randperm(side * side, generator=generator)[: recipe.crf_pixels]
    weights = affinities(images, pixels, recipe.sigma_colour, recipe.sigma_place * side)
    losses = {}
    for kind, decoder in decoders.items():
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            logits = decoder(images, features).float()
        crf = crf_loss(logits, weights, pixels)
        sizes = size_loss(logits, recipe.barrier(epoch))
        losses[kind] = partial_cross_entropy(logits, seeds) + recipe.crf * crf + recipe.size * sizes
    return losses
