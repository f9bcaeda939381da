"""Trains a tiny network as one of the processes that torchrun launches, and compares gradients with a whole batch's."""

import copy
import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))

from model_helpers import random_dataset, random_images, small_network, small_spec

from models.evaluate import to_input
from models.network import Arithmetic, QuantResNet
from models.processes import Processes, launched, normalise_globally
from models.spec import TrainSpec
from models.train import train
from models.train_progress import Progress

RECIPE = TrainSpec(
    epochs=2, float_epochs=1, freeze_epochs=1, batch_size=16, held_out=15, mixup=0.4, distillation=0.2,
    augment=["crop", "flip", "zoom", "colour", "cutout"], scale_learning_rate=0.05, learning_rate=0.02,
    float_learning_rate=0.02,
)  # fmt: skip


def learn(network: torch.nn.Module, images: torch.Tensor) -> None:
    """Gradients of a loss that is a mean over the images."""
    logits, tap = network(images)
    (logits.square().mean() + tap.mean()).backward()


def worst_differences(processes: Processes) -> dict[str, float]:
    """The largest relative difference of any gradient or statistic from one process's, in float64."""
    whole: QuantResNet = small_network().double().train()
    whole.arithmetic = Arithmetic.TRAINING
    mine = copy.deepcopy(whole)
    normalise_globally(mine)
    images = to_input(random_images(12)).double()
    learn(whole, images)
    learn(processes.shared(mine), images[processes.part(12)])
    found = {}
    for (name, one), (_, other) in zip(whole.named_parameters(), mine.named_parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        found[name] = float((one.grad - other.grad).abs().max() / one.grad.abs().max())
    for (name, one), (_, other) in zip(whole.named_buffers(), mine.named_buffers(), strict=True):
        found[name] = float((one - other).abs().max() / one.abs().max().clamp(min=1e-9))
    return found


if __name__ == "__main__":
    folder, until = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    batches = 0

    def count(progress: Progress) -> None:
        """End without a word after so many batches; 0: never."""
        global batches
        batches += 1
        if batches == until:
            os._exit(0)

    with launched("cpu") as processes:
        differences = worst_differences(processes)
        result = train(
            small_spec(), RECIPE, random_dataset(79), folder, save_seconds=0.0, on_progress=count, processes=processes
        )
        (folder / f"told{processes.rank}.json").write_text(json.dumps([processes.count, differences]))
        if processes.first:
            save_file({name: t.contiguous() for name, t in result.network.state_dict().items()}, folder / "end")
