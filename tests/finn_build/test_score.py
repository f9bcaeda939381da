"""`finn-cam score`: figures that can be worked out by hand, and how it ends when a file is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from finn_build.cli.app import run

SIZE = 224
BOXES = {"a/one.JPEG": (56, 56, 111, 111), "two.png": (0, 0, 223, 111), "three.png": (10, 10, 20, 20)}


def box_map(box: tuple[int, int, int, int], level: float) -> np.ndarray:
    """1 at one pixel of the box, `level` in the rest of it, 0 elsewhere; its box is right below τ = level."""
    scores = np.zeros((SIZE, SIZE))
    x0, y0, x1, y1 = box
    # The protocol's boxes end one pixel beyond the contour.
    scores[y0:y1, x0:x1] = level
    scores[y0, x0] = 1.0
    return scores


@pytest.fixture
def place(tmp_path: Path) -> Path:
    metadata, maps = tmp_path / "metadata", tmp_path / "maps"
    metadata.mkdir()
    (maps / "a").mkdir(parents=True)
    (metadata / "image_ids.txt").write_text("".join(f"{name}\n" for name in BOXES))
    (metadata / "class_labels.txt").write_text("".join(f"{name},{i}\n" for i, name in enumerate(BOXES)))
    (metadata / "image_sizes.txt").write_text("".join(f"{name},{SIZE},{SIZE}\n" for name in BOXES))
    lines = [f"{name},{','.join(map(str, box))}\n" for name, box in BOXES.items()]
    (metadata / "localization.txt").write_text("".join(lines))
    np.save(maps / "a" / "one.JPEG.npy", box_map(BOXES["a/one.JPEG"], 0.8))
    np.save(maps / "two.npy", box_map(BOXES["two.png"], 0.4).astype(np.float32))
    np.save(maps / "three.png.npy", np.full((7, 7), np.nan))
    return tmp_path


def arguments(place: Path, *more: str) -> list[str]:
    return ["score", "--scoremaps", str(place / "maps"), "--metadata", str(place / "metadata"), *more]


def test_the_figures(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(place, "--json")) == 0
    found = json.loads(capfd.readouterr().out)
    assert list(found) == ["images", "MaxBoxAcc", "MaxBoxAccV2", "best_threshold", "curve", "ious"]
    assert found["images"] == 3
    # The map of NaN becomes zeros, whose box is (0, 0, 0, 0): wrong at every threshold.
    assert found["MaxBoxAcc"] == found["MaxBoxAccV2"] == pytest.approx(2 / 3)
    curve = dict(zip(found["curve"]["threshold"], found["curve"]["accuracy"], strict=True))
    assert len(curve) == 1000
    assert found["best_threshold"] == 0.0
    assert curve[0.3] == pytest.approx(2 / 3)
    assert curve[0.6] == pytest.approx(1 / 3)
    assert curve[0.9] == 0


def test_a_stricter_overlap_and_a_coarser_grid(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shifted = (BOXES["two.png"][0], 0, 223, 67)
    np.save(place / "maps" / "two.npy", box_map(shifted, 0.4))
    assert run(arguments(place, "--json", "--iou", "0.7", "--step", "0.1")) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["MaxBoxAcc"] == pytest.approx(1 / 3)
    assert found["ious"] == {"0.3": pytest.approx(2 / 3), "0.5": pytest.approx(2 / 3), "0.7": pytest.approx(1 / 3)}
    assert len(found["curve"]["threshold"]) == 10


def test_maps_of_any_size_and_without_json(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save(place / "maps" / "two.npy", np.array([[900, 900], [-5, -5]]))
    np.save(place / "maps" / "three.png.npy", np.ones((1, 1)))
    assert run(arguments(place)) == 0
    told = capfd.readouterr()
    assert "MaxBoxAcc, IoU 0.5" in told.out
    assert "66.67 %" in told.out


def test_masks(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    (place / "masks").mkdir()
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, :112] = 255
    for name in ("mask.png", "ignore.png"):
        Image.fromarray(mask if name == "mask.png" else np.zeros_like(mask)).save(place / "masks" / name)
    (place / "metadata" / "localization.txt").write_text("".join(f"{name},mask.png,ignore.png\n" for name in BOXES))
    for name in ("a/one.JPEG.npy", "two.npy", "three.png.npy"):
        np.save(place / "maps" / name, (mask > 0).astype(np.float32))
    assert run(arguments(place, "--json")) == 2
    assert "masks" in capfd.readouterr().err
    assert run(arguments(place, "--json", "--masks", str(place / "masks"))) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["images"] == 3
    assert found["PxAP"] == pytest.approx(1.0)


def spoil_map(place: Path, values: object) -> None:
    np.save(place / "maps" / "two.npy", values)  # type: ignore[arg-type]


MISTAKES = {
    "no map": (lambda p: (p / "maps" / "two.npy").unlink(), ["two.png.npy"]),
    "no map at all": (lambda p: [f.unlink() for f in (p / "maps").rglob("*.npy")], ["one.JPEG.npy"]),
    "no folder": (lambda p: (p / "maps").rename(p / "elsewhere"), ["--scoremaps", "a folder"]),
    "three axes": (lambda p: spoil_map(p, np.zeros((2, 2, 3))), ["two.npy", "[height, width]", "(2, 2, 3)"]),
    "no pixel": (lambda p: spoil_map(p, np.zeros((0, 4))), ["two.npy", "(0, 4)"]),
    "words": (lambda p: spoil_map(p, np.array([["a"]])), ["two.npy"]),
    "objects": (lambda p: spoil_map(p, np.array([[{}]], dtype=object)), ["two.npy"]),
    "cut": (lambda p: (p / "maps" / "two.npy").write_bytes(b"\x93NUMPY"), ["two.npy"]),
    "no array": (lambda p: (p / "maps" / "two.npy").write_text("map"), ["two.npy"]),
    "no metadata": (lambda p: [f.unlink() for f in (p / "metadata").iterdir()], ["image_ids.txt"]),
    "no image": (lambda p: (p / "metadata" / "image_ids.txt").write_text("\n"), ["at least one image"]),
    "unknown id": (lambda p: (p / "metadata" / "image_ids.txt").write_text("four.png\n"), ["four.png"]),
    "outside": (
        lambda p: [(p / "metadata" / f"{n}.txt").write_text(t) for n, t in OUTSIDE.items()],
        ["../x.png", "a path inside"],
    ),
    "a letter": (lambda p: (p / "metadata" / "localization.txt").write_text("two.png,0,0,x,9\n"), ["'x'"]),
}
OUTSIDE = {
    "image_ids": "../x.png\n",
    "class_labels": "../x.png,0\n",
    "image_sizes": "../x.png,9,9\n",
    "localization": "../x.png,0,0,1,1\n",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_line(place: Path, mistake: str, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, words = MISTAKES[mistake]
    spoil(place)
    assert run(arguments(place, "--json")) == 2
    told = capfd.readouterr()
    assert len(told.err.strip().splitlines()) == 1, told.err
    assert all(word in told.err for word in words), told.err
    assert json.loads(told.out)["exit_code"] == 2


@pytest.mark.parametrize("option", [["--iou", "0"], ["--iou", "50"], ["--step", "0"], ["--step", "nan"]])
def test_settings_out_of_range(place: Path, option: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(place, *option)) == 2
    assert option[0] in capfd.readouterr().err
