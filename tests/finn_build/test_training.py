import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.training import train_config

CONFIG = """
[model]
groups = { blocks = [1], channels = [4], strides = [2] }
weight_bit_width = 4
act_bit_width = 4
first_bit_width = 4
last_bit_width = 4
checkpoint = "small.safetensors"

[input]
size = 8

[data]
dataset = "folder"
classes = 2
labels = ["dark", "light"]

[train]
float_epochs = 1
epochs = 1
batch_size = 4

[hardware]
part = "xc7z020clg400-1"
clock_mhz = 100.0
head = "cam"
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, level in (("dark", 0), ("light", 150)):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for i in range(8):
                pixels = rng.integers(level, level + 100, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "pictures"


@pytest.mark.verify
def test_torchrun_trains_a_config_in_two_processes(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "small.toml").write_text(CONFIG)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "finn_build.cli", "train", str(tmp_path / "small.toml"), "--data", str(pictures)]
    command += ["--device", "cpu", "--out", str(tmp_path / "build"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = json.loads(done.stdout)
    assert set(outcome["test"]) == {"float", "quantised"}
    assert (tmp_path / "small.safetensors").is_file()
    assert done.stderr.count("quantised epoch 1/1") == 1


def test_training_a_config_leaves_checkpoint_card_and_metrics(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "small.toml").write_text(CONFIG)
    config = load_config(str(tmp_path / "small.toml"))
    told: list[tuple[float, str, bool]] = []
    outcome = train_config(
        config, pictures, tmp_path / "build" / "small" / "train", "cpu", 1, lambda *news: told.append(news)
    )
    assert [fraction for fraction, _, _ in told] == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
    assert [ended for _, _, ended in told] == [False, False, False, True] * 2
    assert told[-1][1].startswith("quantised epoch 1/1 loss ")
    assert Path(outcome["checkpoint"]) == tmp_path / "small.safetensors"
    assert "class folders of 'pictures'" in (tmp_path / "small.md").read_text()
    assert len(Path(outcome["metrics"]).read_text().splitlines()) == 2
    assert set(outcome["test"]) == {"float", "quantised"}
    for device in ("cuda:99", "", "gpu"):
        with pytest.raises(UserError, match="--device"):
            train_config(config, pictures, tmp_path / "again", device, 1, lambda *news: None)
    (tmp_path / "small.toml").write_text(CONFIG.replace('"dark", "light"', '"light", "dark"'))
    with pytest.raises(UserError, match=r"class 0: expected 'dark'"):
        train_config(load_config(str(tmp_path / "small.toml")), pictures, tmp_path / "again", "cpu", 1, lambda *_: None)
