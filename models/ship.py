"""From a finished training to what ships: the checkpoint and its card."""

import hashlib
from pathlib import Path

from models.card import write_card
from models.checkpoint import CheckpointFacts, save_checkpoint
from models.datasets.dataset import Dataset
from models.evaluate import evaluate
from models.network import Arithmetic
from models.spec import TrainSpec
from models.train_progress import TrainResult

_OFFICIAL_BATCHES = {
    "data_batch_1.bin": ("sha256", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    "data_batch_1": ("md5", "c99cafc152244af753f735de768cd75f"),
}
"""Of the first batch in CIFAR-10's official archives: the binary version's, and the Python version's."""
COPY = "CIFAR-10, a copy whose pixels are not the official ones"


def describe_images(kind: str, root: Path) -> str:
    """A data set in words: copies of CIFAR-10 abound whose pixels are not the official ones, and score differently.

    Args:
        kind: `[data] dataset`.
        root: the folder of the layout.
    """
    if kind == "tiny-imagenet":
        return "Tiny-ImageNet"
    if kind == "folder":
        return f"the class folders of '{root.name}'"
    for name, (kind_of_digest, digest) in _OFFICIAL_BATCHES.items():
        batch = root / name
        if batch.is_file():
            found = hashlib.new(kind_of_digest, batch.read_bytes(), usedforsecurity=False).hexdigest()
            return "CIFAR-10" if found == digest else COPY
    return COPY


def ship(
    result: TrainResult, recipe: TrainSpec, test: Dataset, dataset: str, hardware: str, path: Path, config: str
) -> CheckpointFacts:
    """Measure a trained network on the test images, and write its checkpoint and card.

    Args:
        result: a finished training.
        recipe: what it was trained by.
        test: the test split; nothing was chosen by it.
        dataset: the images in words, as `describe_images` puts them.
        hardware: in general words, as "2 CPU cores".
        path: the safetensors file; the card goes beside it.
        config: the config's name.

    Raises:
        ModelError: the place cannot be written.
    """
    accuracy = {}
    for name, arithmetic in (("float", Arithmetic.FLOAT), ("quantised", Arithmetic.TRAINING)):
        with result.network.computing(arithmetic):
            accuracy[name] = evaluate(result.network, test).accuracy
    facts = CheckpointFacts(
        labels=test.names,
        size=test.images.shape[1],
        dataset=dataset,
        train_images=result.images,
        held_out_images=recipe.held_out,
        test_images=len(test),
        recipe=recipe.model_dump(mode="json"),
        hardware=hardware,
        seconds=result.seconds,
        held_out_accuracy=result.held_out_quantised,
        test_accuracy=accuracy,
    )
    save_checkpoint(path, result.network, facts)
    write_card(path, config)
    return facts
