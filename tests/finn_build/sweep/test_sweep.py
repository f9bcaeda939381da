"""Small sweeps on generated pictures: resumed, shared by processes, and killed."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image

from finn_build.cli.app import run
from finn_build.config import load_config
from finn_build.sweep.space import config_of, fps_of
from finn_build.sweep.trial import Figures, run_trial
from finn_build.sweep.write import COSTS, Told, grid_of, pareto, write_plot, write_table
from models.datasets.load import load_dataset
from models.size import size_of

BASE = """
[model]
groups = { blocks = [1, 1], channels = [8, 16], strides = [1, 2] }
weight_bit_width = 4
act_bit_width = 4
first_bit_width = 4
last_bit_width = 4
checkpoint = "base.safetensors"

[input]
size = 8

[data]
dataset = "folder"
path = "pictures"
classes = 2

[train]
float_epochs = 1
epochs = 1
batch_size = 8

[folding]
target_fps = 1000.0
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, level in (("dark", 0), ("light", 120)):
        folder = tmp_path / "pictures" / "train" / name
        folder.mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(level, level + 130, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "base.toml").write_text(BASE)
    return tmp_path / "base.toml"


def arguments(base: Path, trials: int, *more: str) -> list[str]:
    given = ["sweep", str(base), "--out", str(base.parent / "build"), "--trials", str(trials), "--epochs", "1"]
    return [*given, "--images", "0", "--widths", "0.5,1", "--bits", "3,4", "--threads", "1", "--no-estimate", *more]


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines()))


def test_a_sweep_is_written_resumed_and_of_one_space(base: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(base, 2, "--json")) == 0
    first = json.loads(capfd.readouterr().out)
    assert 1 <= len(first["trials"]) <= 2
    for one in first["trials"]:
        assert set(one["channels"]) <= {4, 8, 16}
        assert set(one["bits"]) <= {3, 4}
        assert 0 <= one["accuracy"] <= 1
        spec = config_of(load_config(str(base)), one["channels"], one["bits"], 1, 6, 1000).model
        assert one["macs"] == size_of(spec, 8, 2).macs
    assert Path(first["plot"]).read_bytes().startswith(b"\x89PNG")
    assert run(arguments(base, 4)) == 0
    told = capfd.readouterr()
    assert "3/4 " in told.err
    assert "2/4 " not in told.err, "what is complete is not done again"
    rows = rows_of(Path(first["table"]))
    assert [float(row["accuracy"]) for row in rows] == sorted((float(row["accuracy"]) for row in rows), reverse=True)
    assert rows[0]["front_weights"] == "1" or any(row["accuracy"] == rows[0]["accuracy"] for row in rows[1:])
    assert all(row["LUT"] == "" and row["front_LUT"] == "0" for row in rows)
    assert run(arguments(base, 5, "--epochs", "2")) == 2
    assert "epochs = 1, got 2" in capfd.readouterr().err
    text = base.read_text()
    base.write_text(text.replace("[train]", "[train]\nweight_decay = 0.1"))
    assert run(arguments(base, 5)) == 2
    assert "recipe = " in capfd.readouterr().err, "trials of another recipe are not compared with these"
    # What a trial does not take from the recipe is none of the study's business.
    base.write_text(text.replace("[train]", "[train]\nfreeze_epochs = 1"))
    assert run(arguments(base, 4)) == 0
    trial = config_of(load_config(str(base)), [4, 8], [3, 3], 1, 6, 1000)
    assert trial.train.freeze_epochs == 0


def test_a_uniform_sweep_tries_each_pair_once_and_lands_on_a_page(
    base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = base.parent / "results.md"
    page.write_text("# Results\n")
    given = [*arguments(base, 99), "--uniform", "--into", str(page)]
    assert run([*given, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["trials"]
    pairs = sorted((tuple(one["channels"]), tuple(one["bits"])) for one in found)
    assert pairs == [((4, 8), (3, 3)), ((4, 8), (4, 4)), ((8, 16), (3, 3)), ((8, 16), (4, 4))]
    text = page.read_text()
    assert text.startswith(
        "# Results\n\n<!-- sweep base -->\n`base` with other widths and bits; 2 float and 1 quantised"
    )
    assert sum(line.startswith(("| 4/8 |", "| 8/16 |")) for line in text.splitlines()) == 4
    assert (page.with_name("base-sweep.png")).read_bytes().startswith(b"\x89PNG")
    assert run(given) == 0
    assert "/4 " not in capfd.readouterr().err, "what is complete is not done again"
    assert page.read_text() == text
    # Another study in the same folder, of other trainings: what the first one found is not taken for its own.
    more = json.loads(sweep_json(capfd, [*given, "--study", "longer", "--epochs", "2"]))["trials"]
    assert len(more) == 4
    assert "4 float and 2 quantised" in page.read_text()
    assert len(list((base.parent / "build" / "sweeps" / "base" / "trials").iterdir())) == 8


def sweep_json(capfd: pytest.CaptureFixture[str], given: list[str]) -> str:
    assert run([*given, "--json"]) == 0
    return capfd.readouterr().out


@pytest.mark.verify
def test_groups_of_other_bits_are_estimated(base: Path) -> None:
    assert fps_of(load_config(str(base)), None) == 1000
    # A folding file fits its own network alone, and is not used.
    (base.parent / "own.json").write_text("{}")
    base.write_text(base.read_text().replace("target_fps = 1000.0", 'file = "own.json"'))
    assert fps_of(load_config(str(base)), None) == 500
    config = config_of(load_config(str(base)), [4, 16], [3, 5], 1, 8, 1000)
    data = load_dataset("folder", base.parent / "pictures", "train", 8, 2)
    folder = base.parent / "trial"
    found = run_trial(config, data, folder, base.parent / "float", "cpu", True)
    assert (found.channels, found.bits) == ([4, 16], [3, 5])
    assert found.fps is not None
    assert found.fps >= 1000
    assert found.BRAM18 is not None
    assert found.LUT is not None
    assert found.fits is True
    # Stem 3→4 at 8×8, group 4→4 at 8×8, group 4→16 at 4×4 with its shortcut, classifier; bits of weights × of inputs.
    macs = [64 * 108, 64 * 144, 64 * 144, 16 * 576, 16 * 2304, 16 * 64, 32]
    bits = [4 * 8, 3 * 4, 3 * 3, 5 * 3, 5 * 5, 5 * 3, 4 * 5]
    assert found.macs == sum(macs)
    assert found.bit_operations == sum(m * b for m, b in zip(macs, bits, strict=True))
    assert found.weights == 108 + 144 + 144 + 576 + 2304 + 64 + 32
    assert found.weight_bits == 4 * 108 + 3 * 288 + 5 * 2944 + 4 * 32
    # Found once, it is read.
    (folder / "train" / "state.safetensors").unlink()
    assert run_trial(config, data, folder, base.parent / "float", "cpu", True) == found


def test_a_pareto_front_is_what_nothing_beats(tmp_path: Path) -> None:
    assert pareto([3, 1, 2, 2, 4], [0.9, 0.5, 0.7, 0.6, 0.9]) == [1, 2, 0]
    assert pareto([1, 1], [0.5, 0.5]) == [0]
    assert pareto([], []) == []
    rng = random.Random(0)
    costs, right = ([rng.randrange(20) for _ in range(60)] for _ in range(2))
    front = pareto(costs, right)
    for i in range(60):
        at_least = [j for j in range(60) if costs[j] <= costs[i] and right[j] >= right[i]]
        beaten = any(costs[j] < costs[i] or right[j] > right[i] for j in at_least)
        assert (i in front) == (not beaten and i == min(j for j in at_least)), i
    known = Figures([8], [4], 0.5, 10, 40, 100, 1600, 5.0, 1.0, 0.0, 100.0, True, 1.0)
    unknown = Figures([4], [4], 0.9, 5, 20, 50, 800, None, None, None, None, None, 1.0)
    write_table([known, unknown], tmp_path / "t.csv")
    rows = rows_of(tmp_path / "t.csv")
    assert [row["channels"] for row in rows] == ["4", "8"]
    assert [row["front_weights"] for row in rows] == ["1", "0"]
    assert [row["front_LUT"] for row in rows] == ["0", "1"], "what was not estimated beats nothing"
    assert set(COSTS) <= {name.removeprefix("front_") for name in rows[0]}


def test_every_trial_of_a_grid_and_of_a_cloud_is_drawn(tmp_path: Path) -> None:
    one = Figures([8, 16], [4, 4], 0.5, 10, 40, 100, 1600, 5.0, 1.0, 0.0, 100.0, True, 1.0)
    other = replace(one, channels=[4, 8], bits=[3, 3], accuracy=0.4, weights=5, weight_bits=15, macs=50, LUT=None)
    told = Told("base", 2, 1, 80, 20, 1000)
    assert grid_of([one, other]) == ([3, 4], [[4, 8], [8, 16]])
    assert grid_of([one, replace(other, bits=[3, 4])]) is None
    assert grid_of([replace(one, channels=[width]) for width in range(6)]) is None
    for figures in ([one, other], [one, replace(other, bits=[3, 4])], [other], [replace(one, LUT=None)], []):
        write_plot(figures, told, tmp_path / "plot.png")
        with Image.open(tmp_path / "plot.png") as picture:
            assert picture.size[0] == 1650


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--widths", "0.5,x"], "--widths: expected numbers"),
        (["--widths", "0"], "factors above 0"),
        (["--widths", "inf"], "factors above 0"),
        (["--bits", "1,4"], "bit widths from 2 to 8"),
        (["--against", "beauty"], "--against"),
        (["--images", "99"], "at most the 64"),
        (["--into", "/proc/no/page.md"], "correct --into"),
        (["--storage", "nothing"], "--storage"),
        (["--storage", "sqlite:////proc/no/such.db"], "--storage"),
    ],
)
def test_wrong_options_are_one_line(
    base: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert run([*arguments(base, 1), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error


@pytest.mark.verify
@pytest.mark.timeout(900)
def test_a_killed_process_is_replaced_by_two_others(base: Path) -> None:
    url = f"sqlite:///{base.parent / 'shared.db'}"
    command = [sys.executable, "-m", "finn_build.cli", *arguments(base, 6, "--storage", url)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def states() -> list[str]:
        study = optuna.load_study(study_name="base", storage=url)
        return [trial.state.name for trial in study.get_trials(deepcopy=False)]

    while True:
        time.sleep(0.05)
        assert first.poll() is None, "it ended before it could be killed"
        try:
            if states().count("COMPLETE") >= 1 and states()[-1] == "RUNNING":
                break
        except Exception:
            # No database yet.
            time.sleep(0.5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [other.communicate(timeout=600) for other in others]
    assert [other.returncode for other in others] == [0, 0], told
    assert states().count("COMPLETE") == 6
    assert "RUNNING" not in states()
    assert states().count("FAIL") == 1, "the killed one, done again by another"
    assert all("%," in error for _, error in told), "both had a part in it"
