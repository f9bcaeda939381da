"""One training in two processes, launched by torchrun, is the training of one process up to the rounding of sums."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from model_helpers import random_dataset, small_spec
from safetensors.torch import load_file
from share_driver import RECIPE

from models.errors import ModelError
from models.processes import Processes, launched, local_device
from models.train import train

DRIVER = Path(__file__).with_name("share_driver.py")


def launch(folder: Path, until: int = 0) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, str(DRIVER), str(folder), str(until)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warning" not in done.stderr


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    shared.mkdir()
    launch(shared)
    for rank in (0, 1):
        count, differences = json.loads((shared / f"told{rank}.json").read_text())
        assert count == 2
        assert len(differences) > 40
        for name, difference in differences.items():
            # The gradient of a scale is summed in float32, whatever the network's type.
            assert difference < (1e-5 if "scaling" in name else 1e-12), name
    result = train(small_spec(), RECIPE, random_dataset(79), alone)
    one, two = (load_file(next(folder.glob("float-*.safetensors"))) for folder in (alone, shared))
    assert furthest(one, two) < 1e-5
    # Rounding turns a value at a quantiser's step into its neighbour now and then, and training goes on from there.
    assert furthest(result.network.state_dict(), load_file(shared / "end")) < 5e-3
    for ours, theirs in zip(logged(alone), logged(shared), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=2e-3)
        assert ours["held_out_accuracy"] == pytest.approx(theirs["held_out_accuracy"], abs=1 / 15)
    assert (alone / "metrics.jsonl").is_file()


@pytest.mark.verify
def test_what_two_processes_left_one_carries_on(tmp_path: Path) -> None:
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    shared.mkdir()
    launch(shared, until=6)
    assert (shared / "state.safetensors").is_file()
    assert not (shared / "end").exists()
    carried = train(small_spec(), RECIPE, random_dataset(79), shared)
    unbroken = train(small_spec(), RECIPE, random_dataset(79), alone)
    assert furthest(carried.network.state_dict(), unbroken.network.state_dict()) < 5e-3


def test_batches_that_cannot_be_shared_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"batch_size.*multiple of the 3 processes.*got 16"):
        train(small_spec(), RECIPE, random_dataset(79), tmp_path, processes=Processes(0, 3))
    assert list(tmp_path.iterdir()) == []


def test_without_torchrun_a_process_is_alone() -> None:
    with launched("cpu") as processes:
        assert (processes.first, processes.count) == (True, 1)
        assert processes.total(1.5, 2) == [1.5, 2]
        assert processes.part(7) == slice(0, 7)
    assert local_device("cuda") == "cuda"
    parts = [Processes(rank, 3).part(8) for rank in range(3)]
    assert [(part.start, part.stop) for part in parts] == [(0, 2), (2, 5), (5, 8)]
