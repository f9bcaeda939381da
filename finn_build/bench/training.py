"""Speed of training: this project's, Brevitas as it comes, and plain float PyTorch of the same network."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from finn_build.bench.clock import Speed, race
from models.augment import draw_epoch
from models.datasets.dataset import Dataset
from models.evaluate import to_input
from models.network import Arithmetic, build_network, calibrate, channels_last
from models.processes import Processes
from models.spec import ModelSpec, TrainSpec
from models.train_batches import Batches
from models.train_loss import loss_of
from models.train_recipe import new_optimizer

PLAIN = "float PyTorch"
Clock = Callable[[], float]


@dataclass(frozen=True)
class Variant:
    """One way to train the network."""

    arithmetic: Arithmetic
    fuse: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"


VARIANTS = {
    PLAIN: Variant(Arithmetic.FLOAT),
    "float, bfloat16": Variant(Arithmetic.FLOAT, precision="bfloat16"),
    "Brevitas as it comes": Variant(Arithmetic.BREVITAS),
    "QAT": Variant(Arithmetic.TRAINING),
    "QAT, fused": Variant(Arithmetic.TRAINING, fuse=True),
    "QAT, fused, bfloat16": Variant(Arithmetic.TRAINING, fuse=True, precision="bfloat16"),
}


class Steps:
    """Training steps of one variant: batches from uint8, augmented; forward, loss, backward, SGD.

    Args:
        spec, recipe: of the config.
        data: at least one batch of images.
        variant: how it computes.
        clock: that its parts are timed by.
    """

    def __init__(
        self, spec: ModelSpec, recipe: TrainSpec, data: Dataset, variant: Variant, clock: Clock = time.perf_counter
    ) -> None:
        self.recipe, self.variant, self.clock = recipe, variant, clock
        torch.manual_seed(recipe.seed)
        self.network = channels_last(build_network(spec, len(data.names)))
        images = to_input(data.images[: recipe.batch_size])
        self.network.train()
        with torch.no_grad(), self.network.computing(Arithmetic.FLOAT):
            self.network(images)
        calibrate(self.network.eval(), images)
        self.network.train()
        self.network.arithmetic = variant.arithmetic
        self.forward: Callable[[Tensor], tuple[Tensor, Tensor]] = self.network
        if variant.fuse:
            self.forward = torch.compile(self.network)
        self.optimizer = new_optimizer(self.network, recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = 1e-4
        self.batches = Batches(data, recipe, Processes(), "cpu")
        self.draw = draw_epoch(len(data), data.images.shape[1], recipe.seed, 0, 0, recipe.mixup)
        self.count = len(data) // recipe.batch_size
        self.step = 0
        self.spent: dict[str, float] = {}

    def run(self, steps: int = 1) -> None:
        """So many steps; the time of each part is added to `spent`."""
        for _ in range(steps):
            with self._timed("batch: chosen, augmented, to float"):
                batch = self.batches.batch(self.draw, self.step % self.count)
            with self._timed("forward and loss"):
                half = self.variant.precision == "bfloat16"
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    logits, _ = self.forward(batch.images)
                loss = loss_of(logits.float(), batch.labels, self.recipe, batch.partners, batch.shares)
            with self._timed("backward"):
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
            with self._timed("optimiser"):
                self.optimizer.step()
            self.step += 1

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = self.clock()
        yield
        self.spent[part] = self.spent.get(part, 0.0) + self.clock() - start


def training_speeds(
    spec: ModelSpec, recipe: TrainSpec, data: Dataset, rounds: int, tell: Callable[[str], None], clock: Clock
) -> dict[str, Speed]:
    """Images a second of each variant, by name; ratios are to plain float PyTorch in float32.

    Args:
        spec, recipe: of the config; batch size and augmentation are its own.
        data: images to train on.
        rounds: how often each variant takes its turn, two steps at a time.
        tell: told what is prepared.
        clock: seconds of the wall, or of the process where the machine has other work too.
    """
    contestants: dict[str, tuple[Callable[[], object], int]] = {}
    for name, variant in VARIANTS.items():
        tell(name)
        steps = Steps(spec, recipe, data, variant)
        contestants[name] = (lambda steps=steps: steps.run(2)), 2 * recipe.batch_size  # type: ignore[misc]
    return race(contestants, PLAIN, rounds, clock)


@dataclass(frozen=True)
class Profile:
    """Where an epoch's time goes.

    Attributes:
        seconds: of an epoch of `images` images, from the steps that were timed.
        parts: share of each part of a step.
        operators: share of the operators that take most, of one step's time in operators, and how often they run.
    """

    variant: str
    images: int
    seconds: float
    parts: dict[str, float]
    operators: dict[str, tuple[float, int]]


def profile_epoch(
    spec: ModelSpec,
    recipe: TrainSpec,
    data: Dataset,
    name: str,
    images: int,
    clock: Clock = time.perf_counter,
    steps: int = 6,
    most: int = 8,
) -> Profile:
    """Times the parts of training steps, then looks into one with PyTorch's profiler.

    Args:
        spec, recipe, data: see `training_speeds`.
        name: of the variant.
        images: of a whole epoch.
        clock: see `training_speeds`.
        steps: how many are timed.
        most: how many operators are named.
    """
    from torch.profiler import ProfilerActivity, profile

    runner = Steps(spec, recipe, data, VARIANTS[name], clock)
    runner.run(2)
    runner.spent.clear()
    runner.run(steps)
    whole = sum(runner.spent.values())
    parts = {part: seconds / whole for part, seconds in runner.spent.items()}
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        runner.run(1)
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    operators = {event.key: (event.self_cpu_time_total / total, event.count) for event in events[:most]}
    return Profile(name, images, whole / (steps * recipe.batch_size) * images, parts, operators)
