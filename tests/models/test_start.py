"""Training that starts from a checkpoint: the same shape at other bit widths, its answers distilled."""

from pathlib import Path

import pytest
from model_helpers import random_dataset, small_network, small_spec

from models.checkpoint import CheckpointFacts, save_checkpoint
from models.errors import ModelError
from models.evaluate import evaluate
from models.network import Arithmetic
from models.spec import TrainSpec
from models.train import train
from models.train_recipe import identities

RECIPE = TrainSpec(epochs=6, batch_size=16, learning_rate=0.05)
FACTS = CheckpointFacts(["ant", "bee", "cat"], 16, "noise", 1, 0, 1, {}, "a CPU", 0.0, None, {})


@pytest.fixture
def start(tmp_path: Path) -> Path:
    trained = train(small_spec(6), RECIPE, random_dataset(160), tmp_path / "first").network
    save_checkpoint(tmp_path / "start.safetensors", trained, FACTS)
    return tmp_path / "start.safetensors"


def test_a_start_is_where_training_begins_at_other_bit_widths(start: Path, tmp_path: Path) -> None:
    still = RECIPE.model_copy(update={"start": start, "epochs": 1, "learning_rate": 1e-9, "scale_learning_rate": 1e-9})
    network = train(small_spec(4), still, random_dataset(160), tmp_path / "still").network
    with network.computing(Arithmetic.FLOAT):
        assert evaluate(network, random_dataset(90, seed=7)).accuracy > 0.7
    assert network.stem.codes.bits == 4


def test_a_start_is_the_teacher(start: Path, tmp_path: Path) -> None:
    plain = RECIPE.model_copy(update={"start": start, "epochs": 1})
    taught = plain.model_copy(update={"distillation": 0.9})
    runs = [
        train(small_spec(4), recipe, random_dataset(160), tmp_path / name)
        for recipe, name in ((plain, "plain"), (taught, "taught"))
    ]
    assert runs[0].log[0]["loss"] != runs[1].log[0]["loss"]


def test_another_start_is_another_training(start: Path) -> None:
    recipe = RECIPE.model_copy(update={"start": start})
    before = identities(small_spec(), recipe, random_dataset(40))[0]
    assert before == identities(small_spec(), recipe, random_dataset(40))[0]
    save_checkpoint(start, small_network(6, seed=5), FACTS)
    assert identities(small_spec(), recipe, random_dataset(40))[0] != before


def test_a_recipe_keeps_the_name_of_its_start_alone() -> None:
    recipe = TrainSpec(start=Path("/a/folder/of/mine.safetensors"))
    assert recipe.model_dump(mode="json")["start"] == "mine.safetensors"


def test_a_start_of_another_shape_or_none_is_one_line(start: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"start": start})
    with pytest.raises(ModelError, match=r"start\.safetensors.*start from a checkpoint whose groups"):
        train(small_spec(channels=(8, 24)), recipe, random_dataset(80), tmp_path / "other")
    missing = recipe.model_copy(update={"start": tmp_path / "none.safetensors"})
    with pytest.raises(ModelError, match="no such file"):
        train(small_spec(), missing, random_dataset(80), tmp_path / "missing")
    with pytest.raises(ValueError, match="start takes the place of the float phase"):
        TrainSpec(start=start, float_epochs=3)
