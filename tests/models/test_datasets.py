import os
import pickle
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from models.datasets import load_dataset
from models.datasets.cifar10 import CLASSES, RECORD_BYTES
from models.datasets.load import find_root
from models.datasets.pictures import read_picture
from models.errors import ModelError

REAL = Path(os.environ.get("FINN_CAM_DATA", "absent"))


def write_binary(folder: Path, counts: dict[str, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate(counts.items()):
        rng = np.random.default_rng(seed)
        records = rng.integers(0, 256, (count, RECORD_BYTES), dtype=np.uint8)
        records[:, 0] = np.arange(count) % 10
        (folder / name).write_bytes(records.tobytes())


def test_binary_cifar10_keeps_planes_order_and_labels(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    write_binary(folder, {"data_batch_1.bin": 12, "data_batch_2.bin": 3, "test_batch.bin": 5})
    train = load_dataset("cifar10", tmp_path, "train", 32, 10)
    assert train.images.shape == (15, 32, 32, 3)
    assert train.names == CLASSES
    assert train.labels[:12].tolist() == [*range(10), 0, 1]
    raw = np.frombuffer((folder / "data_batch_1.bin").read_bytes(), np.uint8).reshape(-1, RECORD_BYTES)
    # Record 2, green plane (the second), row 3, column 4.
    assert train.images[2, 3, 4, 1] == raw[2, 1 + 1024 + 3 * 32 + 4]
    assert len(load_dataset("cifar10", folder, "test", 32, 10)) == 5


def python_batch(data: object, labels: object, protocol: int = 2) -> bytes:
    return pickle.dumps({"batch_label": "x", "labels": labels, "data": data, "filenames": ["a"]}, protocol=protocol)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_python_cifar10_is_read_without_numpys_power(tmp_path: Path, protocol: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
    (tmp_path / "data_batch_1").write_bytes(python_batch(pixels, [3, 1, 9, 0], protocol))
    data = load_dataset("cifar10", tmp_path, "train", 32, 10)
    assert data.labels.tolist() == [3, 1, 9, 0]
    assert np.array_equal(data.images, pixels.reshape(4, 3, 32, 32).transpose(0, 2, 3, 1))


class Runs:
    """What a hostile batch would hold: unpickling it calls a function."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.marker,)


class Evaluates:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return eval, ("1+1",)


@pytest.mark.parametrize("where", ["data", "labels", "besides"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, where: str) -> None:
    marker = tmp_path / "ran"
    batch = {"data": np.zeros((1, 3072), np.uint8), "labels": [0], where: Runs(marker)}
    payload = pickle.dumps(batch)
    pickle.loads(payload)  # noqa: S301 - the payload works where nothing is restricted
    assert marker.exists()
    marker.unlink()
    (tmp_path / "data_batch_1").write_bytes(payload)
    with pytest.raises(ModelError, match="which no batch needs"):
        load_dataset("cifar10", tmp_path, "train", 32, 10)
    assert not marker.exists()


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps({"data": Evaluates(), "labels": [0]}),
        pickle.dumps({"data": np.zeros((1, 3072), np.float64), "labels": [0]}),
        pickle.dumps({"data": np.array([object()]), "labels": [0]}),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": ["0"]}),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10**30]}),
        pickle.dumps({"labels": [0]}),
        pickle.dumps([1, 2]),
        python_batch(np.zeros((1, 3072), np.uint8), [0])[:-500],
        b"\x80\x02K\x01",
        b"",
    ],
)
def test_a_wrong_python_batch_is_one_line(tmp_path: Path, payload: bytes) -> None:
    (tmp_path / "data_batch_1").write_bytes(payload)
    with pytest.raises(ModelError) as caught:
        load_dataset("cifar10", tmp_path, "train", 32, 10)
    assert "data_batch_1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_cifar10_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing there"):
        load_dataset("cifar10", tmp_path / "absent", "train", 32, 10)
    with pytest.raises(ModelError, match="no such file"):
        load_dataset("cifar10", tmp_path, "train", 32, 10)
    write_binary(tmp_path, {"data_batch_1.bin": 11})
    with pytest.raises(ModelError, match="test split"):
        load_dataset("cifar10", tmp_path, "test", 32, 10)
    path = tmp_path / "data_batch_1.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelError, match=r"data_batch_1\.bin.*3073.*33802 bytes"):
        load_dataset("cifar10", tmp_path, "train", 32, 10)
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(ModelError, match=r"labels 0 to 9, got 10"):
        load_dataset("cifar10", tmp_path, "train", 32, 10)
    path.write_bytes(whole)
    with pytest.raises(ModelError, match="32 for CIFAR-10, got 64"):
        load_dataset("cifar10", tmp_path, "train", 64, 10)
    with pytest.raises(ModelError, match="expected 3 classes, got 10"):
        load_dataset("cifar10", tmp_path, "train", 32, 3)


def picture(path: Path, size: tuple[int, int] = (20, 10), mode: str = "RGB", value: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).convert(mode).save(path)


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    picture(tmp_path / "train/dog/1.png", mode="L")
    picture(tmp_path / "train/cat/1.PNG", (7, 30), "P")
    picture(tmp_path / "train/cat/2.png", mode="RGBA")
    Image.fromarray(np.full((9, 9), 0x8000, np.uint16)).save(tmp_path / "train/cat/3.png")
    (tmp_path / "train/cat/notes.txt").write_text("no picture")
    picture(tmp_path / "val/cat/1.png")
    picture(tmp_path / "val/dog/1.png")
    train = load_dataset("folder", tmp_path, "train", 16, 2)
    assert train.names == ["cat", "dog"]
    assert train.labels.tolist() == [0, 0, 0, 1]
    assert train.images.shape == (4, 16, 16, 3)
    assert (train.images[1, 8, 8] == [200, 0, 0]).all()
    assert (train.images[2] == 0x80).all()
    assert len(set(train.images[3, 8, 8].tolist())) == 1
    assert len(load_dataset("folder", tmp_path, "test", 16, 2)) == 2


def test_a_wrong_folder_is_one_line(tmp_path: Path) -> None:
    picture(tmp_path / "train/cat/1.png")
    picture(tmp_path / "train/cat/2.png")
    (tmp_path / "train/dog").mkdir()
    with pytest.raises(ModelError, match=r"train/dog.*pictures of the class"):
        load_dataset("folder", tmp_path, "train", 16, 2)
    good = (tmp_path / "train/cat/1.png").read_bytes()
    for damaged in (good[:40], b"no picture", good[:30] + b"\xff" * 8 + good[38:]):
        for name in ("bad.png", "worse.png"):
            (tmp_path / "train/dog" / name).write_bytes(damaged)
        with pytest.raises(ModelError, match=r"train/dog/(bad|worse)\.png"):
            load_dataset("folder", tmp_path, "train", 16, 2)
    (tmp_path / "empty/train").mkdir(parents=True)
    with pytest.raises(ModelError, match=r"empty/train.*pictures of the class"):
        load_dataset("folder", tmp_path / "empty", "train", 16, 2)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ModelError, match="one folder a class"):
        load_dataset("folder", tmp_path / "nothing", "train", 16, 2)
    picture(tmp_path / "tests/test/cat/1.png")
    with pytest.raises(ModelError, match="a folder train with class folders"):
        load_dataset("folder", tmp_path / "tests", "train", 16, 1)
    picture(tmp_path / "one/cat/1.png")
    with pytest.raises(ModelError, match=r"two or more pictures of the class.*got 1"):
        load_dataset("folder", tmp_path / "one", "test", 16, 1)


@pytest.mark.parametrize("below", ["", "train"])
def test_without_a_test_part_a_fifth_of_each_class_is_one(tmp_path: Path, below: str) -> None:
    for name, count in (("train", 40), ("bus", 7)):
        for i in range(count):
            picture(tmp_path / below / name / f"{i}.png", value=i)
    (tmp_path / ".cache").mkdir()
    assert find_root("folder", tmp_path) == tmp_path
    parts = {split: load_dataset("folder", tmp_path, split, 8, 2) for split in ("train", "test")}
    assert parts["train"].names == parts["test"].names == ["bus", "train"]
    assert np.bincount(parts["test"].labels).tolist() == [1, 8]
    assert np.bincount(parts["train"].labels).tolist() == [6, 32]
    levels = {split: {(n, x[4, 4, 0]) for n, x in zip(p.labels, p.images, strict=True)} for split, p in parts.items()}
    assert len(levels["train"] | levels["test"]) == 47, "no picture is in both"
    # One more picture changes what is tested with by no more than one.
    picture(tmp_path / below / "train" / "more.png", value=99)
    again = load_dataset("folder", tmp_path, "test", 8, 2)
    after = {(n, x[4, 4, 0]) for n, x in zip(again.labels, again.images, strict=True)}
    assert len(after ^ levels["test"]) <= 2


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 10, 10))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    pixels, width, height = read_picture(tmp_path / "a.png", 16)
    assert (width, height) == (10, 20)
    assert pixels[2, 8].tolist() == [0, 0, 255]
    assert pixels[14, 8].tolist() == [255, 0, 0]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    root = tmp_path / "tiny-imagenet-200"
    for wnid in ("n2", "n1"):
        for i in range(2):
            picture(root / f"train/{wnid}/images/{wnid}_{i}.JPEG", (64, 64))
        boxes = [f"{wnid}_0.JPEG\t0\t1\t63\t31", f"{wnid}_1.JPEG\t2\t2\t3\t3"]
        (root / f"train/{wnid}/{wnid}_boxes.txt").write_text("\n".join(boxes))
        picture(root / f"val/images/val_{wnid}.JPEG", (64, 64), "L")
    (root / "wnids.txt").write_text("n2\nn1\n")
    (root / "words.txt").write_text("n1\tant, pismire\nn2\tbee\nn3\tcat\n")
    (root / "val/val_annotations.txt").write_text("val_n1.JPEG\tn1\t0\t0\t63\t63\nval_n2.JPEG\tn2\t10\t20\t30\t40\n")
    return root


def test_tiny_imagenet_follows_its_lists(tiny: Path) -> None:
    train = load_dataset("tiny-imagenet", tiny.parent, "train", 32, 2)
    assert train.names == ["bee", "ant"]
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert train.boxes is not None
    # Half the size: pixels 0…63 become 0…31.
    assert train.boxes[0].tolist() == [0, 0.5, 31, 15]
    val = load_dataset("tiny-imagenet", tiny, "test", 64, 2)
    assert val.labels.tolist() == [1, 0]
    assert val.boxes is not None
    assert val.boxes[1].tolist() == [10, 20, 30, 40]


def test_wrong_tiny_imagenet_files_are_named(tiny: Path) -> None:
    annotations = tiny / "val/val_annotations.txt"
    good = annotations.read_text()
    for bad, match in [
        (good.replace("\tn1\t", "\tn9\t"), "line 1.*got n9"),
        (good.replace("20\t30", "20"), "line 2.*x0, y0, x1, y1"),
        (good.splitlines()[0], "images of class n2"),
        (good.replace("val_n1", "val_absent"), "val_absent"),
    ]:
        annotations.write_text(bad)
        with pytest.raises(ModelError, match=match):
            load_dataset("tiny-imagenet", tiny, "test", 64, 2)
    annotations.unlink()
    with pytest.raises(ModelError, match=r"val_annotations\.txt.*No such file"):
        load_dataset("tiny-imagenet", tiny, "test", 64, 2)
    for path in (tiny / "train/n1/images").iterdir():
        path.unlink()
    with pytest.raises(ModelError, match="pictures of class n1"):
        load_dataset("tiny-imagenet", tiny, "train", 64, 2)
    (tiny / "wnids.txt").write_text("")
    with pytest.raises(ModelError, match="empty file"):
        load_dataset("tiny-imagenet", tiny, "train", 64, 2)


def test_a_layout_is_found_in_the_folder_or_just_below(tiny: Path, tmp_path: Path) -> None:
    assert find_root("tiny-imagenet", tmp_path) == tiny
    assert find_root("tiny-imagenet", tiny) == tiny
    assert find_root("cifar10", tmp_path) is None
    assert find_root("cifar10", tmp_path / "absent") is None
    assert find_root("folder", tiny) is None
    write_binary(tmp_path / "cifar-10-batches-bin", {"test_batch.bin": 1})
    assert find_root("cifar10", tmp_path) == tmp_path / "cifar-10-batches-bin"
    picture(tmp_path / "own/train/a/1.png")
    assert find_root("folder", tmp_path / "own") == tmp_path / "own"


def test_the_real_images_have_their_published_shape() -> None:
    root = find_root("cifar10", REAL)
    if root is None:
        pytest.skip("FINN_CAM_DATA names no folder with CIFAR-10")
    train = load_dataset("cifar10", root, "train", 32, 10)
    assert train.images.shape == (50_000, 32, 32, 3)
    assert np.bincount(train.labels).tolist() == [5000] * 10


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_that_was_not_learnt_is_one_line(tmp_path: Path, split: Literal["train", "test"]) -> None:
    for name in ("train/cat", "train/dog", "test/cat", "test/dog", "test/yak"):
        picture(tmp_path / name / "1.png")
    with pytest.raises(ModelError, match=r"test/yak: expected a class of train \(cat, dog\), got yak; add") as caught:
        load_dataset("folder", tmp_path, split, 16, 2)
    assert "\n" not in str(caught.value)
    (tmp_path / "test/yak/1.png").unlink()
    assert load_dataset("folder", tmp_path, split, 16, 2).names == ["cat", "dog"]
