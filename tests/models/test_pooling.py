"""Average and max pooling before the classifier: both train and localise; only the average goes to hardware."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from model_helpers import random_dataset, small_spec

from cam_postproc.methods import METHODS, compute_maps
from models.checkpoint import CheckpointFacts, load_checkpoint, save_checkpoint
from models.datasets import Dataset
from models.errors import ModelError
from models.evaluate import evaluate, to_input
from models.export import export_qonnx
from models.network import Arithmetic
from models.spec import ModelSpec, TrainSpec
from models.train import train
from models.train_recipe import identities

MAX = ModelSpec.model_validate({**small_spec().model_dump(), "pooling": "max"})


def squares(count: int) -> tuple[Dataset, np.ndarray]:
    """Pictures with one square whose colour is the class, and the squares' corners (y, x); they are 5 pixels wide."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 50, (count, 16, 16, 3)).astype(np.uint8)
    labels, corners = np.arange(count) % 3, rng.integers(1, 10, (count, 2))
    for n, (y, x) in enumerate(corners):
        images[n, y : y + 5, x : x + 5, labels[n]] += np.uint8(200)
    return Dataset(images, labels.astype(np.int64), ["red", "green", "blue"]), corners


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_both_poolings_train_and_localise_quantised(pooling: Literal["average", "max"], tmp_path: Path) -> None:
    spec = MAX if pooling == "max" else small_spec()
    data, corners = squares(192)
    recipe = TrainSpec(epochs=4, float_epochs=6, batch_size=16, held_out=16, learning_rate=0.05)
    network = train(spec, recipe, data, tmp_path).network
    assert evaluate(network, data).accuracy > 0.9
    with network.computing(Arithmetic.TRAINING):
        for method in METHODS:
            maps = compute_maps(
                network, network.last_block, to_input(data.images), method, classes=data.labels.tolist()
            )
            # The map is half as fine as the picture; its peak lies in the square, give or take one of its pixels.
            peaks = np.stack(np.unravel_index(maps.maps.reshape(192, -1).argmax(axis=1), (8, 8)), axis=1) * 2
            inside = ((peaks >= corners - 2) & (peaks <= corners + 6)).all(axis=1)
            # By chance a third would; a network may know one of three classes by what is missing.
            assert inside.mean() > 0.6, method
    if pooling == "max":
        with pytest.raises(ModelError, match="pooling is a plain average over the whole map"):
            export_qonnx(network, 16, data.names, tmp_path)
        refuses_the_other(network, spec, tmp_path)


def refuses_the_other(network: object, spec: ModelSpec, folder: Path) -> None:
    from models.network import QuantResNet

    assert isinstance(network, QuantResNet)
    facts = CheckpointFacts(["a", "b", "c"], 16, "squares", 1, 1, 1, {}, "1 CPU core", 1.0, None, {})
    path = folder / "max.safetensors"
    save_checkpoint(path, network, facts)
    assert load_checkpoint(path, spec, 3)[0].spec.pooling == "max"
    with pytest.raises(ModelError, match="pooling = average, got max"):
        load_checkpoint(path, small_spec(), 3)


def test_networks_that_average_are_known_as_before() -> None:
    assert "pooling" not in small_spec().model_dump(mode="json")
    data, recipe = random_dataset(20), TrainSpec(epochs=1)
    assert identities(small_spec(), recipe, data) != identities(MAX, recipe, data)
    with pytest.raises(ValueError, match="average"):
        ModelSpec.model_validate({**small_spec().model_dump(), "pooling": "sum"})
