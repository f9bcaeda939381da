import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from model_helpers import random_dataset, small_spec

from models.augment import crop_and_flip, draw_epoch
from models.errors import ModelError
from models.evaluate import evaluate
from models.network import Arithmetic, build_network
from models.spec import TrainSpec
from models.train import train
from models.train_progress import Progress, require_no_collapse
from models.train_recipe import learning_rate_at, new_optimizer, split_held_out
from models.train_state import Position, load_state, save_state, write_atomically

QUICK = TrainSpec(epochs=1, batch_size=16, held_out=16, learning_rate=0.05)


def test_a_killed_training_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    # 4 epochs of 4 batches; a state is written after each batch, or only at the end of each epoch.
    rng = np.random.default_rng(0)
    kills = [(0.0, [1, 2, 4]), (0.0, [int(rng.integers(1, 16))]), (1e9, [3, 6, 7])]
    driver = Path(__file__).with_name("resume_driver.py")
    command = [sys.executable, str(driver), str(tmp_path), json.dumps(kills)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=280)
    killed = -signal.SIGKILL
    assert json.loads(done.stdout) == [0, killed, killed, killed, 0, killed, 0, killed, killed, killed, 0]
    unbroken = json.loads((tmp_path / "unbroken/result.json").read_text())
    assert unbroken["batches"] == 16
    for number in range(len(kills)):
        resumed = json.loads((tmp_path / f"killed{number}/result.json").read_text())
        assert resumed["batches"] < 16, "nothing was resumed"
        assert resumed["digest"] == unbroken["digest"]
        assert resumed["log"] == unbroken["log"]
    lines = (tmp_path / "killed0/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["phase"] for line in lines] == ["float", "float", "quantised", "quantised"]


@pytest.mark.verify
@pytest.mark.timeout(1800)
def test_twenty_kills_at_random_moments_leave_no_trace(tmp_path: Path, bar: Callable[..., None]) -> None:
    driver = Path(__file__).with_name("resume_driver.py")
    command = [sys.executable, str(driver), str(tmp_path), json.dumps({"kills": 20, "seed": 0})]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1700)
    assert json.loads(done.stdout) == [0] * 21
    unbroken = json.loads((tmp_path / "unbroken/result.json").read_text())
    resumed = [json.loads((tmp_path / f"random{number}/result.json").read_text()) for number in range(20)]
    assert min(one["batches"] for one in resumed) < unbroken["batches"], "nothing was resumed"
    same = sum(one["digest"] == unbroken["digest"] and one["log"] == unbroken["log"] for one in resumed)
    bar("trainings killed at a random moment that end with the unbroken one's weights, of 20", same, "==", 20)


def test_a_training_that_diverges_is_stopped_and_said(tmp_path: Path) -> None:
    recipe = QUICK.model_copy(update={"epochs": 3, "learning_rate": 1e30})
    with pytest.raises(ModelError, match=r"quantised epoch 1.*loss nan.*it diverged.*lower \[train\] learning_rate"):
        train(small_spec(), recipe, random_dataset(160), tmp_path / "nan")
    log = [
        {"phase": "float", "epoch": 0, "loss": 0.1, "train_accuracy": 0.99},
        {"phase": "quantised", "epoch": 0, "loss": 2.3, "train_accuracy": 0.12},
        {"phase": "quantised", "epoch": 1, "loss": 0.9, "train_accuracy": 0.7},
        {"phase": "quantised", "epoch": 2, "loss": 1.9, "train_accuracy": 0.3},
    ]
    require_no_collapse(log[:2], 10, "a start from nothing, though the phase before was good")
    require_no_collapse(log, 10, "a bad epoch that is better than guessing")
    with pytest.raises(ModelError, match=r"run: quantised epoch 4.*10\.1 % of them right \(loss 205\) after 70\.0 %"):
        require_no_collapse(
            [*log, {"phase": "quantised", "epoch": 3, "loss": 205.0, "train_accuracy": 0.101}], 10, "run"
        )


def test_training_learns_and_tells_its_progress(tmp_path: Path) -> None:
    told: list[Progress] = []
    recipe = QUICK.model_copy(update={"epochs": 6, "float_epochs": 4})
    data = random_dataset(160)
    result = train(small_spec(), recipe, data, tmp_path / "run", tmp_path, on_progress=told.append)
    assert evaluate(result.network, random_dataset(90, seed=7)).accuracy > 0.7
    assert result.network.arithmetic is Arithmetic.BREVITAS
    assert not result.network.training
    assert result.images == 144
    assert [p.step for p in told[:9]] == [*range(1, 10)]
    assert told[-1].steps == 9
    assert (told[0].phase, told[-1].phase) == ("float", "quantised")
    assert result.held_out_quantised == result.log[-1]["held_out_accuracy"]
    assert len(result.log) == 10
    assert result.float_weights is not None
    assert len(list(tmp_path.glob("float-*.safetensors"))) == 1

    again: list[Progress] = []
    train(small_spec(), recipe, data, tmp_path / "run", tmp_path, on_progress=again.append)
    assert again == []
    other = train(small_spec(bits=5), recipe, data, tmp_path / "other", tmp_path, on_progress=again.append)
    assert {p.phase for p in again} == {"quantised"}, "the float phase of the family is shared"
    assert len(other.log) == 10


def test_frozen_epochs_leave_statistics_and_scales_alone(tmp_path: Path) -> None:
    def trained(epochs: int, freeze: int) -> dict[str, torch.Tensor]:
        recipe = QUICK.model_copy(update={"epochs": epochs, "freeze_epochs": freeze})
        return train(small_spec(), recipe, random_dataset(80), tmp_path / f"{epochs}{freeze}").network.state_dict()

    once, twice, moving = trained(1, 1), trained(2, 2), trained(2, 0)
    still = [name for name in once if "running_" in name or "scaling" in name]
    assert len(still) > 10
    for name in still:
        assert torch.equal(once[name], twice[name]), name
        assert not torch.equal(once[name], moving[name]), name
    assert not torch.equal(once["fc.weight"], twice["fc.weight"])


def test_the_seed_decides(tmp_path: Path) -> None:
    def weights(seed: int, folder: str) -> torch.Tensor:
        recipe = QUICK.model_copy(update={"seed": seed})
        return train(small_spec(), recipe, random_dataset(80), tmp_path / folder).network.state_dict()["fc.weight"]

    assert torch.equal(weights(0, "a"), weights(0, "b"))
    assert not torch.equal(weights(0, "c"), weights(1, "d"))


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    train(small_spec(), QUICK, random_dataset(80), tmp_path)
    for spec, recipe, data in [
        (small_spec(bits=5), QUICK, random_dataset(80)),
        (small_spec(), QUICK.model_copy(update={"seed": 1}), random_dataset(80)),
        (small_spec(), QUICK, random_dataset(80, seed=1)),
    ]:
        with pytest.raises(ModelError, match="another network, recipe or data set"):
            train(spec, recipe, data, tmp_path)
    state = tmp_path / "state.safetensors"
    whole = state.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\xff" * 64):
        state.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"state\.safetensors"):
            train(small_spec(), QUICK, random_dataset(80), tmp_path)


def test_too_many_held_out_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="held_out"):
        train(small_spec(), QUICK.model_copy(update={"held_out": 70}), random_dataset(80), tmp_path)


def test_held_out_images_are_never_trained_on() -> None:
    data = random_dataset(80)
    train_set, held_out = split_held_out(data, QUICK)
    assert (len(train_set), len(held_out)) == (64, 16)
    pictures = {image.tobytes() for image in train_set.images}
    assert not pictures & {image.tobytes() for image in held_out.images}


def test_schedules_rise_and_fall() -> None:
    cosine = QUICK
    assert learning_rate_at(0.0, cosine, 0.1) == pytest.approx(0.1)
    assert learning_rate_at(0.5, cosine, 0.1) == pytest.approx(0.05)
    assert learning_rate_at(1.0, cosine, 0.1) == pytest.approx(0.0)
    cycle = QUICK.model_copy(update={"schedule": "one-cycle", "warmup": 0.25})
    assert learning_rate_at(0.0, cycle, 0.1) == pytest.approx(0.004)
    assert learning_rate_at(0.25, cycle, 0.1) == pytest.approx(0.1)
    assert learning_rate_at(1.0, cycle, 0.1) == pytest.approx(0.0)


def test_only_weights_decay() -> None:
    network = build_network(small_spec(), 3)
    optimizer = new_optimizer(network, QUICK)
    decayed = optimizer.param_groups[0]["params"]
    assert sum(parameter.numel() for parameter in decayed) == network.weight_count()
    assert all(group["weight_decay"] == 0 for group in optimizer.param_groups[1:])
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_crops_shift_and_flips_mirror() -> None:
    image = np.arange(16 * 16 * 3, dtype=np.uint16).astype(np.uint8).reshape(1, 16, 16, 3)

    def crop(row: int, column: int, flip: bool) -> np.ndarray:
        return crop_and_flip(image, np.array([row]), np.array([column]), np.array([flip]))[0]

    assert np.array_equal(crop(2, 2, False), image[0])
    assert np.array_equal(crop(2, 2, True), image[0, :, ::-1])
    assert np.array_equal(crop(0, 2, False)[2:], image[0, :-2])
    assert not crop(0, 2, False)[:2].any()
    assert np.array_equal(crop(2, 4, False)[:, :-2], image[0, :, 2:])
    first, second = draw_epoch(50, 16, 0, 1, 3), draw_epoch(50, 16, 0, 1, 3)
    assert np.array_equal(first.order, second.order)
    assert np.array_equal(first.flips, second.flips)
    assert sorted(first.order) == list(range(50))
    assert not np.array_equal(first.order, draw_epoch(50, 16, 0, 1, 4).order)
    assert set(first.rows) <= set(range(5))


def test_a_state_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    position = Position(phase=1, epoch=2, step=3, loss_sum=1 / 3, log=[{"a": 0.1}])
    save_state(path, "me", position, {"x": torch.arange(3.0)})
    loaded = load_state(path, "me")
    assert loaded is not None
    assert loaded[0] == position
    before = path.read_bytes()
    path.with_name("blocked").mkdir()
    with pytest.raises(ModelError, match="can be written"):
        write_atomically(path.with_name("blocked"), b"x")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blocked", "state.safetensors"]
    assert load_state(tmp_path / "absent", "me") is None
