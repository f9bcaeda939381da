"""`finn-cam init`: from a folder of pictures to a config that train, build, evaluate and localize take as it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finn_build.cli.app import run
from finn_build.config import load_config
from finn_build.localise_pictures import read_picture as read_for_localize
from finn_build.own_data import macs, target_fps
from models.datasets.pictures import read_picture as read_for_training


def draw(folder: Path, shape: str, count: int, grey: bool = False) -> None:
    """Pictures of many sizes: a bright disc or a bright bar somewhere on noise."""
    rng = np.random.default_rng(len(shape))
    folder.mkdir(parents=True)
    for number in range(count):
        height, width = rng.integers(20, 60, 2)
        pixels = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
        y, x = np.mgrid[:height, :width] - rng.integers(6, 14, (2, 1, 1))
        there = y**2 + x**2 < 30 if shape == "disc" else abs(y) < 3
        pixels[there] = [240, 200, 40]
        picture = Image.fromarray(pixels)
        (picture.convert("L") if grey else picture).save(folder / f"{number}.{'jpg' if number % 2 else 'png'}")


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    draw(tmp_path / "shapes" / "disc", "disc", 40)
    draw(tmp_path / "shapes" / "bar ünten", "bar", 40, grey=True)
    return tmp_path / "shapes"


def test_two_folders_of_forty_pictures_are_trained_evaluated_and_localised(
    tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--to", str(tmp_path), "--size", "16", "--epochs", "1", "--json"]
    assert run(["init", "shapes_2", "--data", str(shapes), *given]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["labels"] == ["bar ünten", "disc"]
    assert (told["train"], told["test"], told["own_test"], told["size"]) == (64, 16, False, 16)
    config, out = str(tmp_path / "shapes_2.toml"), ["--out", str(tmp_path / "build")]
    assert load_config(config).data.path == shapes
    assert run(["train", config, "--threads", "1", "--json", *out]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert Path(trained["checkpoint"]) == tmp_path / "shapes_2.safetensors"
    assert run(["evaluate", config, "--json", *out]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dataset"], found["split"], found["images"]) == ("folder", "test", 16)
    assert found["accuracy"]["quantised"] == trained["test"]["quantised"]
    assert abs(found["accuracy"]["integer"] - found["accuracy"]["quantised"]) <= 1 / 16
    assert {"config", "dataset", "split", "images", "accuracy", "seconds"} <= set(found)
    assert set(found["accuracy"]) == {"float", "quantised", "integer"}
    assert sum(map(sum, found["confusion"]["integer"])) == 16
    assert [row["label"] for row in found["per_class"]] == told["labels"]
    assert run(["evaluate", config, *out]) == 0
    printed = capsys.readouterr().out
    assert "most often taken for" in printed
    assert "truth ↓ answer →" in printed
    assert "16 test images in " in printed
    lines = printed.splitlines()
    assert lines[-2].endswith("s: the class folders of 'shapes'")
    assert lines[-1] == "also in the report of the next finn-cam build shapes_2"
    picture = str(shapes / "disc" / "0.png")
    places = ["--build", str(tmp_path / "build"), "--out", str(tmp_path / "seen")]
    assert run(["localize", picture, "--config", config, "--json", *places]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["label"] in told["labels"]
    head = np.load(tmp_path / "build" / "shapes_2" / "export" / "head.npz")
    assert head["labels"].tolist() == told["labels"]


@pytest.mark.verify
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", [32, 64])
def test_what_init_writes_fits_the_chip(tmp_path: Path, shapes: Path, size: int) -> None:
    given = ["--to", str(tmp_path), "--size", str(size), "--epochs", "1"]
    assert run(["init", "mine", "--data", str(shapes), *given]) == 0
    out = ["--out", str(tmp_path / "build")]
    assert run(["train", str(tmp_path / "mine.toml"), *out]) == 0
    assert run(["build", str(tmp_path / "mine.toml"), *out]) == 0
    report = json.loads((tmp_path / "build" / "mine" / "report.json").read_text())
    assert sum(map(sum, report["accuracy"]["confusion"])) == report["accuracy"]["images"] == 16
    assert "Confusion matrix" in (tmp_path / "build" / "mine" / "report.html").read_text()
    package = json.loads((tmp_path / "build" / "mine" / "deploy" / "labels.json").read_text())
    assert "bar ünten" in str(package)


def test_size_recipe_and_folding_follow_the_pictures(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("a", "b"):
            draw(tmp_path / "own" / part / name, "disc", 12)
    assert run(["init", "small", "--data", str(tmp_path / "own"), "--to", str(tmp_path)]) == 0
    small = load_config(str(tmp_path / "small.toml"))
    assert (small.input.size, small.folding.target_fps, small.train.held_out) == (32, 500, 0)
    assert (small.train.float_epochs, small.train.epochs, small.train.batch_size) == (120, 30, 2)
    assert run(["init", "large", "--data", str(tmp_path / "own"), "--to", str(tmp_path), "--size", "224"]) == 0
    large = load_config(str(tmp_path / "large.toml"))
    assert large.model.stem == "imagenet"
    assert large.folding.budget == 0.85
    # By hand, 32×32: 3·32·9 a pixel, then 2 convolutions of 32, and two groups that halve the map.
    first = 32 * 32 * 9 * (3 * 32 + 2 * 32 * 32)
    second = 16 * 16 * (9 * 64 * (32 + 64) + 32 * 64)
    third = 8 * 8 * (9 * 128 * (64 + 128) + 64 * 128)
    assert macs(32) == first + second + third
    assert [target_fps(side) for side in (16, 32, 64, 96)] == [2000, 500, 100, 200]


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "F", "palette with transparency"])
def test_training_reads_a_picture_as_localize_does(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F") else "a.png")
    if mode == "I;16":
        Image.fromarray(rng.integers(0, 65536, (12, 12)).astype(np.uint16)).save(path)
    elif mode == "F":
        Image.fromarray(rng.random((12, 12)).astype(np.float32)).save(path)
    elif mode == "palette with transparency":
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).convert("P").save(path, transparency=3)
    elif mode in ("LA", "RGBA"):
        bands = 2 if mode == "LA" else 4
        Image.fromarray(rng.integers(0, 256, (12, 12, bands), dtype=np.uint8)).save(path)
    else:
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).convert(mode).save(path)
    assert (read_for_training(path, 12)[0] == read_for_localize(path).pixels).all()


def test_what_is_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "own" / "a", "disc", 3)
    draw(tmp_path / "own" / "b", "bar", 3)
    given = ["--data", str(tmp_path / "own"), "--to", str(tmp_path)]
    # What a Mac leaves beside each file.
    (tmp_path / "own" / "a" / "._0.png").write_bytes(b"Mac OS X")
    (tmp_path / "own" / "__MACOSX" / "a").mkdir(parents=True)
    (tmp_path / "own" / "__MACOSX" / "a" / "._0.png").write_bytes(b"Mac OS X")
    (tmp_path / "own" / ".ipynb_checkpoints").mkdir()
    assert run(["init", "one", *given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unread"] == ""
    draw(tmp_path / "own" / "a" / "more", "disc", 3)
    (tmp_path / "own" / "b" / "1.heic").write_bytes(b"ftypheic")
    (tmp_path / "own" / "b" / "list").write_text("1\n")
    assert run(["init", "two", *given, "--json"]) == 0
    unread = json.loads(capsys.readouterr().out)["unread"]
    assert unread == "2 files of other kinds (.heic, no ending), 1 folder within class folders"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["init", *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    return told


def test_a_wrong_folder_or_name_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good"
    draw(good / "a", "disc", 3)
    draw(good / "b", "bar", 3)
    to = ["--to", str(tmp_path)]
    for name in ("a/b", "..", "", "ü", "a b", "-x.toml"):
        assert "NAME" in refused(capsys, "--data", str(good), *to, "--", name)
    assert "nothing there" in refused(capsys, "x", "--data", str(tmp_path / "absent"), *to)
    (tmp_path / "empty").mkdir()
    assert "one folder a class" in refused(capsys, "x", "--data", str(tmp_path / "empty"), *to)
    draw(tmp_path / "one" / "a", "disc", 3)
    assert "2 to 1000 class folders, got 1" in refused(capsys, "x", "--data", str(tmp_path / "one"), *to)
    draw(tmp_path / "odd" / "a", "disc", 3)
    draw(tmp_path / "odd" / "b\tc", "bar", 3)
    assert "printable" in refused(capsys, "x", "--data", str(tmp_path / "odd"), *to)
    draw(tmp_path / "parts" / "train" / "a", "disc", 3)
    draw(tmp_path / "parts" / "train" / "b", "disc", 3)
    draw(tmp_path / "parts" / "test" / "a", "disc", 3)
    assert "test/b" in refused(capsys, "x", "--data", str(tmp_path / "parts"), *to)
    draw(tmp_path / "parts" / "test" / "b", "disc", 3)
    draw(tmp_path / "parts" / "test" / "c", "disc", 3)
    assert "test/c" in refused(capsys, "x", "--data", str(tmp_path / "parts"), *to)
    assert "--to" in refused(capsys, "x", "--data", str(good), "--to", str(tmp_path / "absent"))
    (good / "a" / "broken.png").write_bytes(b"no picture")
    assert "broken.png" in refused(capsys, "x", "--data", str(good), *to)
    assert not list(tmp_path.glob("*.toml"))


def test_a_config_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "own" / "a", "disc", 3)
    draw(tmp_path / "own" / "b", "bar", 3)
    (tmp_path / "mine.toml").write_text("# by hand\n")
    given = ["mine", "--data", str(tmp_path / "own"), "--to", str(tmp_path)]
    assert "--force" in refused(capsys, *given)
    assert (tmp_path / "mine.toml").read_text() == "# by hand\n"
    assert run(["init", *given, "--force"]) == 0
    assert load_config(str(tmp_path / "mine.toml")).data.labels == ["a", "b"]
