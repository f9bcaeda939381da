import hashlib
from pathlib import Path

import pytest
from model_helpers import LABELS, random_dataset, small_spec

import models.ship as ship_module
from models.checkpoint import load_checkpoint
from models.evaluate import evaluate
from models.ship import describe_images, ship
from models.spec import TrainSpec
from models.train import train


def test_what_ships_is_what_was_trained_and_measured(tmp_path: Path) -> None:
    recipe = TrainSpec(epochs=2, batch_size=16, held_out=16, learning_rate=0.05)
    result = train(small_spec(), recipe, random_dataset(96), tmp_path / "run")
    test = random_dataset(40, seed=5)
    path = tmp_path / "checkpoints" / "small.safetensors"
    facts = ship(result, recipe, test, "noise", "1 CPU core", path, "small")
    network, read = load_checkpoint(path, small_spec(), 3)
    assert read == facts
    assert evaluate(network, test).accuracy == facts.test_accuracy["quantised"]
    assert facts.train_images + facts.held_out_images == 96
    assert (facts.labels, facts.size, facts.test_images) == (LABELS, 16, 40)
    assert f"{100 * facts.test_accuracy['quantised']:.2f} %" in path.with_suffix(".md").read_text()


def test_only_the_official_pixels_are_called_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(b"other pixels")
    assert "not the official ones" in describe_images("cifar10", tmp_path)
    (tmp_path / "data_batch_1.bin").unlink()
    (tmp_path / "data_batch_1").write_bytes(b"other pixels")
    assert "not the official ones" in describe_images("cifar10", tmp_path)
    digest = hashlib.new("md5", b"other pixels", usedforsecurity=False).hexdigest()
    monkeypatch.setitem(ship_module._OFFICIAL_BATCHES, "data_batch_1", ("md5", digest))
    assert describe_images("cifar10", tmp_path) == "CIFAR-10"
    assert describe_images("tiny-imagenet", tmp_path) == "Tiny-ImageNet"
    assert tmp_path.name in describe_images("folder", tmp_path)
