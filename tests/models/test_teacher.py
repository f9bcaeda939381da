"""Distillation from another network: what it teaches, when it is asked, and teachers that will not do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from model_helpers import random_dataset, small_spec

from models.augment import augment, draw_epoch, reordered
from models.checkpoint import CheckpointFacts, open_checkpoint, save_checkpoint
from models.datasets.dataset import Dataset
from models.errors import ModelError
from models.evaluate import evaluate, to_input
from models.network import Arithmetic, build_network
from models.spec import TrainSpec
from models.train import train
from models.train_loss import loss_of
from models.train_progress import Progress
from models.train_recipe import identities
from models.train_state import Position, load_state, save_state
from models.train_teacher import Teacher, other_teacher

FACTS = CheckpointFacts(["ant", "bee", "cat"], 16, "noise", 1, 0, 1, {}, "a CPU", 0.0, None, {})
RECIPE = TrainSpec(epochs=4, float_epochs=4, batch_size=16, learning_rate=0.05, augment=["flip"])


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of twice the students' channels that knows the random data set's classes."""
    folder = tmp_path_factory.mktemp("wide")
    recipe = TrainSpec(epochs=8, batch_size=16, learning_rate=0.05)
    network = train(small_spec(6, channels=(16, 32)), recipe, random_dataset(160), folder).network
    save_checkpoint(folder / "wide.safetensors", network, FACTS)
    return folder / "wide.safetensors"


def taught(wide: Path, **changes: object) -> TrainSpec:
    return TrainSpec.model_validate(RECIPE.model_dump() | {"teacher": wide, "distillation": 1.0} | changes)


def mislabelled(images: int) -> Dataset:
    data = random_dataset(images)
    labels = np.random.default_rng(5).integers(len(data.names), size=images)
    return Dataset(data.images, labels, data.names)


def test_a_wider_teacher_is_believed_where_the_labels_are_nonsense(wide: Path, tmp_path: Path) -> None:
    result = train(small_spec(), taught(wide, temperature=3.0, recurrence=2), mislabelled(160), tmp_path)
    unseen = random_dataset(90, seed=7)
    assert evaluate(result.network, unseen).accuracy > 0.7
    # It teaches the float phase too.
    halfway = build_network(small_spec(), 3)
    assert result.float_weights is not None
    halfway.load_state_dict(result.float_weights)
    halfway.arithmetic = Arithmetic.FLOAT
    assert evaluate(halfway, unseen).accuracy > 0.7


def test_answers_are_kept_and_are_those_to_the_images_as_changed(wide: Path, tmp_path: Path) -> None:
    data, recipe = random_dataset(40), taught(wide, recurrence=2, temperature=2.0, augment=["crop", "flip"])
    network = other_teacher(wide, data, "cpu")
    asked, keeping = (Teacher(network, data, recipe, folder) for folder in (None, tmp_path))
    draw = draw_epoch(len(data), 16, 0, 0, 1)
    keeping.enter(3, draw)
    asked.enter(3, draw)
    part = slice(16, 32)
    images = to_input(augment(data.images[draw.order[part]], part, draw, recipe.augment))
    direct = asked.answers(images, draw.order[part])
    assert torch.allclose(direct.sum(1), torch.ones(16))
    # Batches of another size are rounded otherwise.
    assert torch.allclose(keeping.answers(torch.full_like(images, float("nan")), draw.order[part]), direct, atol=1e-5)
    (path,) = tmp_path.iterdir()
    assert path.name.endswith("-1.safetensors")
    # Another training that asks the same is told what was kept; one that asks otherwise is not.
    other = recipe.model_copy(update={"learning_rate": 0.5, "distillation": 0.1})
    kept = load_state(path, keeping.identity)
    assert kept is not None
    save_state(path, keeping.identity, Position(), {"answers": kept[1]["answers"] + 1})
    again = Teacher(network, data, other, tmp_path)
    again.enter(1, draw)
    assert torch.allclose(again.answers(images, draw.order[part]), direct + 1, atol=1e-5)
    cooler = Teacher(network, data, recipe.model_copy(update={"temperature": 1.0}), tmp_path)
    cooler.enter(1, draw)
    assert len(list(tmp_path.iterdir())) == 2
    path.write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"answers-.*-1\.safetensors.*delete it"):
        keeping.enter(1, draw)


def test_an_order_of_ones_own_changes_each_image_alike() -> None:
    data = random_dataset(24)
    draw = draw_epoch(24, 16, 0, 0, 0)
    again = reordered(draw, draw_epoch(24, 16, 0, 0, 1).order)
    assert again.order.tolist() != draw.order.tolist()
    kinds = ("zoom", "crop", "flip", "colour", "cutout")
    both = [augment(data.images[one.order], slice(0, 24), one, kinds)[np.argsort(one.order)] for one in (draw, again)]
    assert np.array_equal(*both)


class Killed(Exception):
    pass


def test_a_taught_training_goes_on_where_it_was_stopped(wide: Path, tmp_path: Path) -> None:
    recipe = taught(wide, recurrence=3, distillation=0.5)
    unbroken = train(small_spec(), recipe, random_dataset(64), tmp_path / "unbroken")

    def stop(progress: Progress) -> None:
        if (progress.phase, progress.epoch, progress.step) in {("float", 2, 2), ("quantised", 1, 3)}:
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            train(small_spec(), recipe, random_dataset(64), tmp_path / "cut", save_seconds=0, on_progress=stop)
        assert list((tmp_path / "cut").glob("answers-*-2.safetensors"))
    resumed = train(small_spec(), recipe, random_dataset(64), tmp_path / "cut")
    for name, tensor in unbroken.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_a_teacher_is_part_of_what_a_training_is(wide: Path, tmp_path: Path) -> None:
    data = random_dataset(40)
    before = identities(small_spec(), taught(wide), data)
    assert before == identities(small_spec(), taught(wide), data)
    assert identities(small_spec(), taught(wide, distillation=0.5), data)[1] != before[1], "it teaches the float phase"
    other = tmp_path / wide.name
    torch.manual_seed(3)
    save_checkpoint(other, build_network(small_spec(6, channels=(16, 32)), 3), FACTS)
    assert all(a != b for a, b in zip(identities(small_spec(), taught(other), data), before, strict=True))
    assert taught(wide).model_dump(mode="json")["teacher"] == "wide.safetensors"


def test_a_teacher_answers_quantised(wide: Path) -> None:
    data = random_dataset(40)
    network = other_teacher(wide, data, "cpu")
    logits = network(to_input(data.images))[0]
    loaded = open_checkpoint(wide)[0]
    with loaded.computing(Arithmetic.TRAINING):
        assert torch.allclose(logits, loaded(to_input(data.images))[0])
    with loaded.computing(Arithmetic.FLOAT):
        assert not torch.allclose(logits, loaded(to_input(data.images))[0])


def test_unfit_teachers_and_recipes_are_one_line(wide: Path, tmp_path: Path) -> None:
    data = random_dataset(40)
    with pytest.raises(ModelError, match=r"wide\.safetensors.*the classes wasp, bee, cat.*got ant, bee, cat"):
        other_teacher(wide, Dataset(data.images, data.labels, ["wasp", "bee", "cat"]), "cpu")
    with pytest.raises(ModelError, match=r"the pixels a side 24.*got 16"):
        other_teacher(wide, random_dataset(40, size=24), "cpu")
    for content, found in ((None, "no such file"), (b"", "a safetensors file"), (b"\xff" * 300, "a safetensors file")):
        path = tmp_path / "odd.safetensors"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ModelError, match=found):
            train(small_spec(), taught(path), data, tmp_path / "run")
    for changes, said in (
        ({"distillation": 0.0}, "teacher needs distillation"),
        ({"mixup": 0.3, "recurrence": 2}, "recurrence is for a teacher, without mixup"),
        ({"teacher": None, "recurrence": 2}, "recurrence is for a teacher"),
        ({"teacher": None, "float_epochs": 0}, "distillation needs teacher"),
    ):
        with pytest.raises(ValueError, match=said):
            taught(wide, **changes)


def test_the_loss_at_a_temperature() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
    answers = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    recipe = TrainSpec(distillation=1.0, temperature=4.0, float_epochs=1)
    log_p = (logits / 4).log_softmax(1)
    told = -16 * (0.5 * log_p[0, 0] + 0.5 * log_p[0, 1] + log_p[1, 2]) / 2
    assert float(loss_of(logits, torch.tensor([0, 1]), recipe, taught=answers)) == pytest.approx(float(told))
