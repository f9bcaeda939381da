"""The clock that ratios come from, and each contestant on a small network."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from build_helpers import TINY
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.bench.clock import race
from finn_build.bench.inference import BATCH, inference_speeds
from finn_build.bench.training import VARIANTS, Steps, profile_epoch
from finn_build.cli.app import run
from finn_build.config import load_config
from models.datasets.dataset import Dataset
from models.network import Arithmetic, build_network, initialise_untrained
from models.spec import ModelSpec, TrainSpec


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    (tmp_path / "tiny.toml").write_text(TINY)
    return load_config(str(tmp_path / "tiny.toml")).model


@pytest.fixture
def images() -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(
        rng.integers(0, 256, (BATCH, 8, 8, 3), dtype=np.uint8), rng.integers(0, 3, BATCH), ["circle", "square", "star"]
    )


def test_a_race_gives_speeds_and_the_ratio_within_each_round() -> None:
    now, called = [0.0], []
    # Seconds of each call; the first warms up. In the second round the machine is half as fast for both.
    spent = {"slow": [9.0, 1.0, 2.0, 1.0], "quick": [9.0, 0.1, 0.2, 0.125]}

    def work(name: str) -> None:
        called.append(name)
        now[0] += spent[name][called.count(name) - 1]

    found = race({"slow": (lambda: work("slow"), 10), "quick": (lambda: work("quick"), 5)}, "slow", 3, lambda: now[0])
    assert called == ["slow", "quick"] * 4, "in turns"
    assert found["slow"].images_per_s == pytest.approx(10)
    assert found["quick"].images_per_s == pytest.approx(40)
    assert (found["slow"].ratio, found["quick"].ratio) == (1, pytest.approx(5))


def test_every_part_of_a_step_is_timed(spec: ModelSpec, images: Dataset) -> None:
    recipe = TrainSpec(batch_size=16)
    for name in ("Brevitas as it comes", "QAT", "float, bfloat16"):
        steps = Steps(spec, recipe, images, VARIANTS[name])
        before = steps.network.fc.weight.detach().clone()
        steps.run(2)
        assert len(steps.spent) == 4
        assert min(steps.spent.values()) > 0
        assert not np.array_equal(before, steps.network.fc.weight.detach()), "it learns"
        assert steps.network.arithmetic is VARIANTS[name].arithmetic
    profile = profile_epoch(spec, recipe, images, "QAT", 1000, steps=1)
    assert sum(profile.parts.values()) == pytest.approx(1)
    assert profile.seconds > 0
    assert any("conv" in name for name in profile.operators)


def test_every_executor_takes_part(
    spec: ModelSpec, images: Dataset, residual: Callable[[], ModelWrapper], tmp_path: Path
) -> None:
    network = build_network(spec, 3)
    initialise_untrained(network, 0, 8)
    # Speed asks for no graph of this very network.
    graph = tmp_path / "model.onnx"
    residual().save(str(graph))
    told: list[str] = []
    found = inference_speeds(network, graph, images.images, 1, told.append)
    assert told == list(found)
    assert found["float PyTorch"].speed.ratio == 1
    assert found["batch integer executor"].speed.images_per_s > found["QONNX and FINN as they come"].speed.images_per_s
    assert all(one.latency_ms > 0 for one in found.values())
    assert network.arithmetic is Arithmetic.BREVITAS


@pytest.mark.verify
@pytest.mark.timeout(900)
def test_the_command_writes_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    assert (
        run(["bench", str(config), "--rounds", "1", "--no-hardware", "--out", str(tmp_path / "build"), "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "build" / "bench.json").read_text()) == found
    assert set(found["training"]) == set(VARIANTS)
    assert found["images"] == "random"
    assert found["training"]["float PyTorch"]["ratio"] == 1
    assert len(found["profile"]) == 3
    assert set(found["inference"]) >= {"float PyTorch", "Brevitas", "batch integer executor"}
