"""`finn-cam localize` and `evaluate --localisation` on a small network and pictures in Tiny-ImageNet's layout."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cam_postproc.metrics.annotations import Annotation, read_tiny_imagenet
from finn_build.cli.app import run
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.executors.brevitas import BrevitasExecutor
from finn_build.localise import seen_by_network
from finn_build.localise_pictures import read_picture
from models.checkpoint import CheckpointFacts, save_checkpoint
from models.network import Arithmetic, build_network, initialise_untrained

CONFIG = """
[model]
groups = { blocks = [1, 1], channels = [8, 16], strides = [1, 2] }
weight_bit_width = 4
act_bit_width = 4
first_bit_width = 4
last_bit_width = 4
checkpoint = "small.safetensors"

[input]
size = 16

[data]
dataset = "tiny-imagenet"
classes = 3
labels = ["disc", "bar", "corner, top"]

[cam]
output = 16
"""
CLASSES = ("n1", "n2", "n3")


def picture(seed: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """64×64 noise with a bright square in it, and the square's box."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 100, (64, 64, 3), dtype=np.uint8)
    x, y, side = *rng.integers(0, 32, 2).tolist(), int(rng.integers(16, 32))
    pixels[y : y + side, x : x + side] += np.uint8(120)
    return pixels, (x, y, x + side - 1, y + side - 1)


def write_data(root: Path, train: int, val: int) -> None:
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(CLASSES) + "\n")
    (root / "words.txt").write_text("".join(f"{wnid}\tword {wnid}\n" for wnid in CLASSES))
    lines = []
    for label, wnid in enumerate(CLASSES):
        (root / "train" / wnid / "images").mkdir(parents=True)
        boxes = []
        for i in range(train):
            pixels, box = picture(1000 + 10 * label + i)
            Image.fromarray(pixels).save(root / "train" / wnid / "images" / f"{wnid}_{i}.png")
            boxes.append("\t".join(map(str, (f"{wnid}_{i}.png", *box))))
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("\n".join(boxes) + "\n")
        for i in range(val):
            pixels, box = picture(10 * label + i)
            Image.fromarray(pixels).save(root / "val" / "images" / f"val_{wnid}_{i}.png")
            lines.append("\t".join(map(str, (f"val_{wnid}_{i}.png", wnid, *box))))
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.toml").write_text(CONFIG)
    config = load_config(str(folder / "small.toml"))
    torch.manual_seed(0)
    network = build_network(config.model, config.data.classes)
    initialise_untrained(network, 0, config.input.size)
    facts = CheckpointFacts(
        labels=config.labels,
        size=config.input.size,
        dataset="none",
        train_images=0,
        held_out_images=0,
        test_images=0,
        recipe={},
        hardware="none",
        seconds=0.0,
        held_out_accuracy=None,
        test_accuracy={},
    )
    save_checkpoint(folder / "small.safetensors", network, facts)
    write_data(folder / "data", train=4, val=4)
    return folder


@pytest.fixture(scope="module")
def built(place: Path) -> Path:
    """The folder of the finished build."""
    arguments = ["build", str(place / "small.toml"), "--until", "streamline", "--out", str(place / "build")]
    assert run(arguments) == 0
    return place / "build" / "small"


def size_of(path: Path) -> tuple[int, int]:
    """(width, height)"""
    with Image.open(path) as image:
        return image.size


def localize(place: Path, out: Path, executor: str, *images: str) -> int:
    arguments = ["localize", *images, "--config", str(place / "small.toml"), "--executor", executor, "--json"]
    return run([*arguments, "--out", str(out), "--build", str(place / "build")])


def test_what_localize_says_and_writes(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    inside = tmp_path / "pictures"
    inside.mkdir()
    Image.fromarray(rng.integers(0, 256, (40, 90, 3), dtype=np.uint8)).save(inside / "a.png")
    Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(inside / "a.bmp")
    Image.fromarray(np.array([[[9, 200, 30]]], np.uint8)).save(inside / "dot.png")
    Image.fromarray(rng.integers(0, 256, (3, 2500, 3), dtype=np.uint8)).save(inside / "strip.png")
    out = {}
    for executor in ("integer", "csim", "float"):
        assert localize(place, tmp_path / executor, executor, str(inside)) == 0
        out[executor] = json.loads(capfd.readouterr().out)
    assert out["integer"] == out["csim"]
    rows = out["integer"]
    assert [Path(row["image"]).name for row in rows] == ["a.bmp", "a.png", "dot.png", "strip.png"]
    for row in rows:
        assert list(row) == ["image", "class", "label", "score", "peak", "box"]
        assert row["label"] == ["disc", "bar", "corner, top"][row["class"]]
        assert 1 / 3 <= row["score"] <= 1
        width, height = size_of(Path(row["image"]))
        (x, y), (x0, y0, x1, y1) = row["peak"], row["box"]
        assert 0 <= x < width
        assert 0 <= x0 <= x1 < width
        assert 0 <= y < height
        assert 0 <= y0 <= y1 < height
    # Integer and C simulation leave the same bytes, in every file.
    files = sorted(path.name for path in (tmp_path / "integer").iterdir())
    assert files == [
        "a-2_heatmap.npy",
        "a-2_overlay.png",
        "a_heatmap.npy",
        "a_overlay.png",
        "contact_sheet.png",
        "dot_heatmap.npy",
        "dot_overlay.png",
        "results.csv",
        "results.json",
        "strip_heatmap.npy",
        "strip_overlay.png",
    ]
    for name in files:
        assert (tmp_path / "integer" / name).read_bytes() == (tmp_path / "csim" / name).read_bytes(), name
    heatmap = np.load(tmp_path / "integer" / "a_heatmap.npy")
    assert heatmap.shape == (16, 16)
    assert heatmap.dtype == np.uint8
    # A small picture is enlarged by a whole factor, a long one is drawn smaller; each has its caption below.
    assert size_of(tmp_path / "integer" / "a_overlay.png")[0] == 256
    assert size_of(tmp_path / "integer" / "strip_overlay.png")[0] == 2048
    whole = json.loads((tmp_path / "integer" / "results.json").read_text())
    assert [{key: row[key] for key in rows[0]} for row in whole] == rows
    with (tmp_path / "integer" / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for line, row in zip(table, rows, strict=True):
        assert line["label"] == row["label"]
        assert [int(line[name]) for name in ("x0", "y0", "x1", "y1")] == row["box"]
        assert float(line["score"]) == row["score"]


def test_a_constant_map_has_neither_peak_nor_box(place: Path, tmp_path: Path) -> None:
    from finn_build.localise import Picture, Seen, answer
    from finn_build.localise_write import row_of, write_results

    scores = np.array([0.2, 0.8])
    black = Picture("black.png", np.zeros((5, 9, 3), np.uint8))
    seen = Seen(black.name, black.size, np.zeros((4, 4, 3), np.uint8))
    found = answer(seen, scores, np.zeros((4, 4), np.uint8), ["a", "b"], 0.5)
    assert row_of(found) == {"image": "black.png", "class": 1, "label": "b", "score": 0.8, "peak": None, "box": None}
    told: list[float] = []
    assert (
        write_results(tmp_path / "new" / "out", [found] * 97, lambda n: black, told.append)[2] == "black-3_overlay.png"
    )
    assert told[-1] == 1.0
    assert (tmp_path / "new" / "out" / "contact_sheet-2.png").is_file()
    assert ",b,0.8,,,,,,,black_overlay.png," in (tmp_path / "new" / "out" / "results.csv").read_text()
    # A shorter run leaves no page of the longer one, and names differ by more than case.
    page = tmp_path / "new" / "out"
    other = answer(Seen("Black.png", black.size, seen.pixels), scores, np.zeros((4, 4), np.uint8), ["a", "b"], 0.5)
    assert write_results(page, [found, other], lambda n: black, told.append)[1] == "Black-2_overlay.png"
    assert not (page / "contact_sheet-2.png").exists()
    # A saturated map is as large as its picture.
    full = answer(seen, scores, np.full((4, 4), 255, np.uint8), ["a", "b"], 0.5)
    assert (full.peak, full.box) == ((1, 0), (0, 0, 8, 4))


def evaluate(place: Path, *more: str) -> int:
    config, data = str(place / "small.toml"), str(place / "data")
    return run(["evaluate", config, "--localisation", "--data", data, "--out", str(place / "build"), *more])


def test_every_executor_and_method_is_scored(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert evaluate(place, "--json", "--method", "layercam", "--method", "gradcam") == 0
    found = json.loads(capfd.readouterr().out)
    assert json.loads((place / "build" / "small" / "localisation.json").read_text()) == found
    assert (found["images"], found["threshold_images"], found["split"]) == (12, 12, "val")
    rows = {(row["executor"], row["method"]): row for row in found["results"]}
    software = [(form, name) for form in ("float", "quantised") for name in ("cam", "layercam", "gradcam")]
    assert list(rows) == [*software, ("integer", "cam"), ("csim", "cam")]
    for row in rows.values():
        assert row["images"] == 12
        assert row["MaxBoxAcc"] == max(row["curve"]["accuracy"])
        assert row["Top1Loc"] <= min(row["Top1"], row["MaxBoxAcc"])
        assert row["Top5Loc"] == row["MaxBoxAcc"]  # of three classes, each is among the best five
        assert 0 <= row["BoxAcc"] <= row["MaxBoxAcc"]
        assert row["threshold"] in row["curve"]["threshold"]
    # Behind a global pooling and one linear layer Grad-CAM is CAM.
    for form in ("float", "quantised"):
        assert rows[form, "gradcam"]["curve"] == rows[form, "cam"]["curve"]
    assert rows["integer", "cam"]["curve"] == rows["csim", "cam"]["curve"]
    assert [(gap["of"], gap["against"]) for gap in found["differences"]] == [
        ("integer", "float"),
        ("csim", "float"),
        ("integer", "quantised"),
    ]
    gap = found["differences"][0]
    assert gap["MaxBoxAcc"] == pytest.approx(rows["integer", "cam"]["MaxBoxAcc"] - rows["float", "cam"]["MaxBoxAcc"])
    assert gap["interval"][0] <= gap["MaxBoxAcc"] <= gap["interval"][1]
    assert found["exact"] == {"packets": 48, "mismatches": 0}


def test_a_maximum_localises_in_software_alone(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    named = tmp_path / "small.toml"
    named.write_text(CONFIG.replace("[model]", '[model]\npooling = "max"'))
    config = load_config(str(named))
    torch.manual_seed(0)
    network = build_network(config.model, config.data.classes)
    initialise_untrained(network, 0, config.input.size)
    facts = CheckpointFacts(config.labels, config.input.size, "none", 0, 0, 0, {}, "none", 0.0, None, {})
    save_checkpoint(tmp_path / "small.safetensors", network, facts)
    build = str(tmp_path / "build")
    arguments = ["evaluate", str(named), "--localisation", "--method", "gradcam", "--out", build]
    assert run([*arguments, "--data", str(place / "data"), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    rows = [(row["executor"], row["method"]) for row in found["results"]]
    assert rows == [(form, name) for form in ("float", "quantised") for name in ("cam", "gradcam")]
    assert found["exact"]["packets"] == 0
    assert [(sheet["executor"], sheet["method"]) for sheet in found["sheets"]] == [("quantised", "cam")]

    picture = place / "data" / "val" / "images" / "val_n1_0.png"
    localize = ["localize", str(picture), "--config", str(named), "--build", build, "--out", str(tmp_path / "out")]
    assert run([*localize, "--executor", "csim"]) == 2
    assert "pools a maximum" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run([*localize, "--executor", "float", "--json"]) == 0
    (told,) = json.loads(capfd.readouterr().out)
    # Class and score are those of the network, whose logits no map's average gives.
    pixels = seen_by_network(read_picture(picture), 16).pixels[None]
    logits = BrevitasExecutor(network, Arithmetic.FLOAT).run(pixels)["logits"][0].astype(np.float64)
    powers = np.exp(logits - logits.max())
    assert (told["class"], told["score"]) == (logits.argmax(), pytest.approx(powers.max() / powers.sum(), rel=1e-6))


def test_the_maps_are_of_the_images_own_class(place: Path, built: Path) -> None:
    from finn_build.localisation_data import load_boxed
    from finn_build.localisation_maps import Forms

    config = load_config(str(place / "small.toml"))
    boxed = load_boxed(config, place / "data", "val")
    heat = Forms(config, built, ["cam"]).run(boxed, lambda done: None)
    assert heat["integer", "cam"].logits.argmax(axis=1).tolist() != boxed.labels.tolist()
    # Rounding to integers aside, the quantised network's maps are the hardware's: the class is the same.
    assert np.abs(heat["quantised", "cam"].maps - heat["integer", "cam"].maps).max() < 1.0
    assert np.abs(heat["float", "cam"].maps - heat["integer", "cam"].maps).max() > 1.0


def test_a_block_that_differs_from_the_integer_graph_is_found(place: Path, built: Path, tmp_path: Path) -> None:
    import shutil

    from finn_build.errors import CheckFailed
    from finn_build.head import read_head, write_head
    from finn_build.localisation_data import load_boxed
    from finn_build.localisation_maps import Forms

    config = load_config(str(place / "small.toml"))
    shutil.copytree(built, tmp_path / "small")
    path = tmp_path / "small" / "streamline" / "head.npz"
    head = read_head(path)
    head.fc_weight[1, 5] += 1 if head.fc_weight[1, 5] < 0 else -1
    write_head(path, head)
    boxed = load_boxed(config, place / "data", "val")
    with pytest.raises(CheckFailed, match=r"integer: packet's logits at \[\d+, 1\] is .* the integer graph's"):
        Forms(config, tmp_path / "small", ["cam"]).run(boxed, lambda done: None)


def test_decoders_are_trained_scored_and_refused_on_other_weights(
    place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("small.toml", "small.safetensors"):
        (tmp_path / name).write_bytes((place / name).read_bytes())
    common = [str(tmp_path / "small.toml"), "--data", str(place / "data"), "--out", str(place / "build")]
    scored = ["evaluate", *common, "--localisation", "--method", "fcam", "--json"]
    assert run(scored) == 2
    assert "train them first: finn-cam fcam small" in capfd.readouterr().err
    assert run(["fcam", *common, "--epochs", "1", "--threads", "1", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["decoders"] == str(tmp_path / "small.fcam.safetensors")
    assert (told["train_images"], told["epochs"]) == (12, 1)
    assert run(scored) == 0
    found = json.loads(capfd.readouterr().out)
    rows = {(row["executor"], row["method"]): row for row in found["results"]}
    of_decoders = [("quantised", "fcam-skips"), ("quantised", "fcam-tap"), ("integer", "fcam-tap")]
    assert [name for name in rows if name[1].startswith("fcam")] == of_decoders
    # The board's tap is the quantised network's, so its decoder's answer is as well.
    assert rows["integer", "fcam-tap"]["MaxBoxAcc"] == pytest.approx(
        rows["quantised", "fcam-tap"]["MaxBoxAcc"], abs=0.1
    )
    compared = [(gap["of"], gap["method"], gap["against"], gap["against_method"]) for gap in found["differences"]]
    assert ("integer", "fcam-tap", "integer", "cam") in compared
    assert [sheet["method"] for sheet in found["sheets"]] == ["cam", "fcam-skips", "fcam-tap"]


def test_a_decoders_map_is_drawn_from_pictures_and_taps(
    place: Path, built: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from finn_build.executors.cam import PacketExecutor
    from finn_build.fcam_maps import FcamMaps
    from finn_build.head import read_head
    from finn_build.localise import network_input
    from finn_build.localise_pictures import find_pictures, read_picture
    from finn_build.localise_run import read_taps
    from models.checkpoint import load_checkpoint
    from models.fcam.checkpoint import load_decoders

    for name in ("small.toml", "small.safetensors"):
        (tmp_path / name).write_bytes((place / name).read_bytes())
    named, pictures = str(tmp_path / "small.toml"), str(place / "data" / "val" / "images")

    def told(out: str, *more: str) -> list[dict[str, object]]:
        common = ["localize", pictures, "--config", named, "--build", str(place / "build"), "--json"]
        code = run([*common, "--out", str(tmp_path / out), *more])
        said = capfd.readouterr()
        assert code in (0, 2)
        rows: list[dict[str, object]] = json.loads(said.out) if code == 0 else [{"error": said.err}]
        return rows

    assert "train them first: finn-cam fcam small" in str(told("none", "--method", "fcam-tap"))
    assert not (tmp_path / "none").exists()
    learn = ["fcam", named, "--data", str(place / "data"), "--out", str(tmp_path / "state"), "--epochs", "1"]
    assert run([*learn, "--seeds", "gradcam"]) == 2
    assert "--seeds: expected one of cam, layercam, layercam-fused, got 'gradcam'" in capfd.readouterr().err
    assert run([*learn, "--centre", "-1"]) == 2
    assert "--centre: expected 0 to 10, got -1.0" in capfd.readouterr().err
    # The paper's own seeds.
    assert run([*learn, "--seeds", "cam", "--centre", "0", "--threads", "1"]) == 0
    capfd.readouterr()
    config, head = load_config(named), read_head(built / "streamline" / "head.npz")
    images = network_input([read_picture(path) for path in find_pictures([pictures])], config.input.size)
    spec = head.cam_spec(config.cam_output, config.cam.sampling)
    executor = PacketExecutor(built / "streamline" / "model.onnx", head, spec, "integer", tmp_path)
    taps = executor.run(images)["tap"]
    np.save(tmp_path / "taps.npy", taps)

    plain = told("plain")
    found = told("integer", "--method", "fcam-tap")
    assert found == told("csim", "--method", "fcam-tap", "--executor", "csim")
    assert found == told("sent", "--method", "fcam-tap", "--taps", str(tmp_path / "taps.npy"))
    assert plain == told("plain", "--taps", str(tmp_path / "taps.npy"))
    for path in (tmp_path / "integer").iterdir():
        for other in ("csim", "sent"):
            assert path.read_bytes() == (tmp_path / other / path.name).read_bytes(), path.name
    # Class and score are the accelerator's; map, peak and box the decoder's.
    same = [[(row["class"], row["score"]) for row in rows] for rows in (plain, found)]
    assert same[0] == same[1]
    network, _ = load_checkpoint(built / "model" / "network.safetensors", config.model, config.data.classes)
    recipe = load_decoders(tmp_path / "small.fcam.safetensors", network)[1].recipe
    assert (recipe.seeds_from, recipe.centre, recipe.epochs) == ("cam", 0, 1)
    decoders = FcamMaps(tmp_path / "small.fcam.safetensors", network)
    maps = np.rint(decoders.of_taps(images, taps, head.tap_scale)["fcam-tap"]).astype(np.uint8)
    skips = np.rint(decoders.of_images(images)["fcam-skips"]).astype(np.uint8)
    assert told("skips", "--method", "fcam-skips") != found
    for number, row in enumerate(found):
        stem = Path(str(row["image"])).stem
        assert (np.load(tmp_path / "integer" / f"{stem}_heatmap.npy") == maps[number]).all()
        assert (np.load(tmp_path / "skips" / f"{stem}_heatmap.npy") == skips[number]).all()
    areas = []
    for rows in (told("low", "--method", "fcam-tap", "--threshold", "0"), found):
        boxes = [row["box"] for row in rows]
        areas.append(sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in boxes))  # type: ignore[misc]
    assert areas[0] > areas[1]

    np.save(tmp_path / "few.npy", taps[:2])
    np.save(tmp_path / "large.npy", taps[:, :1])
    np.save(tmp_path / "codes.npy", taps + np.uint8(1 << head.tap_bits))
    (tmp_path / "text.npy").write_text("taps")
    for name, expected in (
        ("few.npy", r"expected uint8 \[12, h, w, C\], a tap for each picture, got uint8 \[2, 8, 8, 16\]"),
        ("text.npy", r"expected an \.npy file, got another file"),
        ("absent.npy", r"expected an \.npy file, got no such file"),
    ):
        with pytest.raises(UserError, match=expected):
            read_taps(tmp_path / name, 12)
    for name, got in (("large.npy", "[12, 1, 8, 16]"), ("codes.npy", "[12, 8, 8, 16] up to")):
        wrong = str(told("wrong", "--taps", str(tmp_path / name)))
        assert f"expected [N, 8, 8, 16] up to 15, got {got}" in wrong
    for more, expected in (
        (["--method", "fcam-tap", "--executor", "float"], "expected integer or csim with taps and F-CAM, got float"),
        (["--method", "fcam"], "--method: expected one of cam, fcam-tap, fcam-skips, got 'fcam'"),
        (["--threshold", "1"], "--threshold: expected 0 or more, less than 1, got 1.0"),
        (["--threshold", "nan"], "--threshold: expected 0 or more, less than 1, got nan"),
    ):
        assert expected in str(told("wrong", *more))
    assert not (tmp_path / "wrong").exists()


def wsol_of(boxed: list[Annotation], folder: Path) -> None:
    folder.mkdir(parents=True)
    names = ("image_ids", "class_labels", "image_sizes", "localization")
    lines: dict[str, list[str]] = {name: [] for name in names}
    for one in boxed:
        lines["image_ids"].append(one.image_id)
        lines["class_labels"].append(f"{one.image_id},{one.label}")
        lines["image_sizes"].append(f"{one.image_id},64,64")
        lines["localization"] += [f"{one.image_id},{','.join(map(str, box))}" for box in one.boxes]
    for name in names:
        (folder / f"{name}.txt").write_text("\n".join(lines[name]) + "\n")


def voc_of(boxed: list[Annotation], root: Path, folder: Path, labels: list[str]) -> None:
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for one in boxed:
        name = Path(one.image_id).name
        (folder / "JPEGImages" / name).write_bytes((root / one.image_id).read_bytes())
        x0, y0, x1, y1 = (value + 1 for value in one.boxes[0])
        corners = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        objects = [(labels[one.label], corners), ("person", "<xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>")]
        text = "".join(f"<object><name>{kind}</name><bndbox>{box}</bndbox></object>" for kind, box in objects)
        size = "<size><width>64</width><height>64</height></size>"
        xml = f"<annotation><filename>{name}</filename>{size}{text}</annotation>"
        (folder / "Annotations" / f"{Path(name).stem}.xml").write_text(xml)


def test_the_same_boxes_in_three_formats(
    place: Path, built: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from finn_build.localisation_data import load_boxed

    config, root = load_config(str(place / "small.toml")), place / "data"
    annotations = read_tiny_imagenet(root, "val")
    wsol_of(annotations, tmp_path / "meta" / "test")
    voc_of(annotations, root, tmp_path / "voc", config.labels)
    known = load_boxed(config, root, "val")
    for source, found in (
        ("metadata", load_boxed(config, root, "val", tmp_path / "meta")),
        ("metadata", load_boxed(config, root, "val", tmp_path / "meta" / "test")),
        ("VOC XML", load_boxed(config, tmp_path / "voc", "val")),
    ):
        assert found.source == source
        # Files are read in the order of their names, annotations in theirs.
        order = np.lexsort((found.images.reshape(12, -1).sum(axis=1),))
        wanted = np.lexsort((known.images.reshape(12, -1).sum(axis=1),))
        assert (found.images[order] == known.images[wanted]).all()
        assert (found.labels[order] == known.labels[wanted]).all()
        assert [found.boxes[i].tolist() for i in order] == [known.boxes[i].tolist() for i in wanted]
    capfd.readouterr()
    assert evaluate(place, "--json", "--metadata", str(tmp_path / "meta" / "test")) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["dataset"], told["images"], told["threshold_images"]) == ("metadata", 12, 0)
    # A list of the split, and boxes that choose the threshold.
    (tmp_path / "voc" / "ImageSets" / "Main" / "val.txt").write_text("val_n1_0 1\nval_n2_0\n")
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").write_text("val_n3_0\n")
    assert load_boxed(config, tmp_path / "voc", "val").labels.tolist() == [0, 1]
    assert load_boxed(config, tmp_path / "voc", "train").labels.tolist() == [2]
    wsol_of(annotations[:3], tmp_path / "meta" / "val")
    assert len(load_boxed(config, root, "train", tmp_path / "meta")) == 3


def test_annotations_that_cannot_be_used_are_one_line(place: Path, tmp_path: Path) -> None:
    from finn_build.errors import READABLE
    from finn_build.localisation_data import load_boxed

    config, root = load_config(str(place / "small.toml")), place / "data"
    annotations = read_tiny_imagenet(root, "val")
    voc_of(annotations, root, tmp_path / "voc", ["cat", "dog", "cow"])
    (tmp_path / "empty" / "Annotations").mkdir(parents=True)
    wsol_of(annotations, tmp_path / "gone")
    (tmp_path / "gone" / "image_ids.txt").write_text("val/images/none.png\n")
    for name in ("class_labels", "image_sizes", "localization"):
        path = tmp_path / "gone" / f"{name}.txt"
        path.write_text(path.read_text().replace(annotations[0].image_id, "val/images/none.png"))
    wsol_of(annotations, tmp_path / "masks")
    ids = (tmp_path / "masks" / "image_ids.txt").read_text().split()
    (tmp_path / "masks" / "localization.txt").write_text("".join(f"{name},mask.png,\n" for name in ids))
    wsol_of(annotations, tmp_path / "many")
    (tmp_path / "many" / "class_labels.txt").write_text("".join(f"{name},3\n" for name in ids))
    for folder, metadata, expected in (
        (tmp_path / "voc", None, "objects named disc, bar, corner, top"),
        (tmp_path / "empty", None, "expected XML files, got none"),
        (root, tmp_path / "nothing", "--metadata"),
        (root, tmp_path / "gone", "none.png"),
        (root, tmp_path / "masks", "expected boxes, got masks"),
        (root, tmp_path / "many", "expected 3 classes, got 4 or more"),
    ):
        with pytest.raises(READABLE) as caught:
            load_boxed(config, folder, "val", metadata)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_report_shows_what_was_measured_on_this_build(place: Path, built: Path, tmp_path: Path) -> None:
    from finn_build.localisation_report import read_localisation, refresh_report

    assert evaluate(place) == 0
    page = (built / "report.html").read_text()
    assert '<section id="localisation">' in page
    assert page.count('<img class="sheet" src="data:image/png;base64,') == 1
    assert "the best fixed box in the middle" in page
    told = json.loads((built / "report.json").read_text())["localisation"]
    assert told["images"] == 12
    assert [row["executor"] for row in told["rows"]] == ["float", "quantised", "integer", "csim"]
    # A build keeps it, until the network is another one.
    assert run(["build", str(place / "small.toml"), "--until", "streamline", "--out", str(place / "build")]) == 0
    assert '<section id="localisation">' in (built / "report.html").read_text()
    copy = tmp_path / "small"
    shutil.copytree(built, copy)
    assert read_localisation(copy) is not None
    head = copy / "streamline" / "head.npz"
    head.write_bytes(head.read_bytes() + b"x")
    assert read_localisation(copy) is None
    assert refresh_report(copy) is None
    for content in ("", "[]", "{}"):
        (built.parent / "small" / "localisation.json").write_text(content)
        assert read_localisation(built) is None


def test_mistakes_of_evaluation_are_one_line(
    place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests may have a folder of data named.
    monkeypatch.delenv("FINN_CAM_DATA", raising=False)

    def told(*arguments: str) -> str:
        assert run(["evaluate", *arguments, "--out", str(place / "build")]) == 2
        return capfd.readouterr().err.strip().splitlines()[-1]

    config, data = str(place / "small.toml"), str(place / "data")
    assert "gradcam++" in told(config, "--localisation", "--data", data, "--method", "eyeballs")
    assert "--localisation" in told(config, "--data", data, "--method", "cam")
    assert "--split" in told(config, "--localisation", "--data", data, "--split", "train")
    assert "give --data DIR" in told(config, "--localisation")
    (tmp_path / "small.toml").write_text(CONFIG.replace('"tiny-imagenet"', '"folder"'))
    (tmp_path / "small.safetensors").write_bytes((place / "small.safetensors").read_bytes())
    for split in ("train", "test"):
        for label in range(3):
            (tmp_path / split / str(label)).mkdir(parents=True)
    assert "images with boxes" in told(str(tmp_path / "small.toml"), "--localisation", "--data", str(tmp_path))
    write_data(tmp_path / "bare", train=0, val=1)
    image = tmp_path / "bare" / "val" / "images" / "val_n2_0.png"
    image.write_bytes(image.read_bytes()[:200])
    assert "val_n2_0.png" in told(config, "--localisation", "--data", str(tmp_path / "bare"))
    (tmp_path / "bare" / "wnids.txt").write_text("n1\nn2\nn3\nn4\n")
    (tmp_path / "bare" / "val" / "val_annotations.txt").write_text("val_n1_0.png\tn4\t0\t0\t9\t9\n")
    (tmp_path / "bare" / "train" / "n4").mkdir()
    (tmp_path / "bare" / "train" / "n4" / "n4_boxes.txt").write_text("")
    assert "3 classes, got 4 or more" in told(config, "--localisation", "--data", str(tmp_path / "bare"))


def test_without_training_boxes_no_threshold_is_chosen(place: Path, built: Path, tmp_path: Path) -> None:
    from finn_build.localisation_run import load_sets, measure_localisation

    config = load_config(str(place / "small.toml"))
    write_data(tmp_path / "bare", train=0, val=1)
    found = measure_localisation(config, built, *load_sets(config, tmp_path / "bare"), ["cam"], lambda done: None)
    assert found["threshold_images"] == 0
    assert all(row["BoxAcc"] is None and row["threshold"] is None for row in found["results"])


def test_the_baselines_and_the_interval_by_hand() -> None:
    from cam_postproc.metrics.boxes import BoxIous
    from finn_build.localisation_table import centre_box, centre_gaussian, difference

    middle = np.array([[62, 82, 161, 141]], np.int64)  # 100 × 60 pixels in the middle
    corner = np.array([[0, 0, 9, 9]], np.int64)
    found = centre_box([middle, middle, corner])
    assert found["MaxBoxAcc"] == pytest.approx(2 / 3)
    # A disc's box is square: 77² pixels or so fit a box of 100 × 60 best.
    assert centre_gaussian([middle, corner], None)["MaxBoxAcc"] == 0.5
    square = np.array([[0, 0, 223, 59]], np.int64)
    assert centre_gaussian([square], None)["MaxBoxAcc"] == 0.0
    grid = np.array([0.0, 0.5])
    sure = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    better = BoxIous(grid, sure, sure)
    worse = BoxIous(grid, sure * [[1.0], [0.4], [1.0], [1.0]], sure)
    gap = difference(better, worse)
    assert gap["MaxBoxAcc"] == 0.25
    assert gap["interval"][0] == 0.0
    assert 0.25 < gap["interval"][1] <= 1.0
    assert difference(better, better)["interval"] == [0.0, 0.0]
    assert difference(better, worse) == gap
