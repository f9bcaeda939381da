"""The bars of the board's side: driver and emulated board equal the integer graph, byte for byte."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finn_build.config import load_config
from finn_build.emulation.board import BOARD_PYTHON
from finn_build.emulation.images import expected_packets
from finn_build.emulation.model import IntegerModel
from finn_build.emulation.run import EmulatedBoard
from finn_build.environment import ROOT
from finn_build.localise import Picture, read_packets, seen_by_network
from finn_build.localise_pictures import read_picture
from finn_build.package.build import archive_name

pytestmark = [
    pytest.mark.verify,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not BOARD_PYTHON.is_file(), reason="no .venv-board; run: make setup-board"),
]

CONFIG = "resnet8_5w5a"
INPUTS = [ROOT / "configs" / f"{CONFIG}.toml"]
IMAGES, PICTURES = 1000, 100
MODES = ("RGB", "L", "RGBA", "P", "CMYK", "LA", "1", "I;16", "F", "YCbCr")


def emulate(out: Path, *options: str) -> tuple[int, dict[str, Any]]:
    command = [str(ROOT / ".venv/bin/finn-cam"), "emulate", CONFIG, "--out", str(out), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("board")


def test_a_thousand_images_equal_the_integer_graph(out: Path, bar: Any) -> None:
    code, found = emulate(out, "--images", str(IMAGES))
    bar(f"{CONFIG} on the emulated board: images", found["images"], ">=", IMAGES, INPUTS)
    bar(f"{CONFIG} on the emulated board: images that differ", found["mismatches"], "==", 0, INPUTS)
    assert code == 0, found


@pytest.mark.parametrize(
    "fault", ["dma-hang", "wrong-bitfile", "missing-flush", "corrupt-weights", "short-transfer", "truncated-package"]
)
def test_every_fault_has_its_name_and_leaves_the_driver_usable(out: Path, fault: str) -> None:
    code, found = emulate(out, "--fault", fault)
    assert (code, found["passed"], found["usable"]) == (0, True, True), found


def random_picture(rng: np.random.Generator, number: int, folder: Path) -> Path:
    """A picture file of a random size and a mode that Pillow has."""
    mode = MODES[number % len(MODES)]
    height, width = (int(size) for size in rng.integers(1, 500, 2))
    smooth = rng.integers(0, 256, (max(1, height // 9), max(1, width // 7), 3), dtype=np.uint8)
    base = Image.fromarray(smooth).resize((width, height))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(base.convert("L")).astype(np.uint16) * 257)
    elif mode in ("RGBA", "LA"):
        image = base.convert(mode)
        image.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)))
    else:
        image = base.convert(mode)
    suffix = {"CMYK": "jpg", "YCbCr": "jpg", "F": "tiff"}.get(mode, "png")
    path = folder / f"{number:03d}.{suffix}"
    image.save(path)
    return path


PREDICT = """
import json
import numpy as np
from pathlib import Path
from cam_board import CamAccelerator
with CamAccelerator(bitfile, package=package, timeout_s=60) as accelerator:
    names = sorted(Path(folder).glob("*.npy"))
    answers = accelerator.predict([np.load(name) for name in names])
rows = [answer.row(name.stem) for name, answer in zip(names, answers)]
Path(folder, "rows.json").write_text(json.dumps(rows))
np.save(Path(folder, "heatmaps"), np.stack([answer.heatmap for answer in answers]))
"""


def test_pictures_of_any_size_and_mode_give_the_same_bytes(out: Path, tmp_path: Path, bar: Any) -> None:
    emulate(out)
    config = load_config(CONFIG)
    folder = out / CONFIG
    model = IntegerModel(folder, config.cam_output, config.cam.sampling)
    rng = np.random.default_rng(11)
    pixels = tmp_path / "pixels"
    pixels.mkdir()
    pictures = []
    for number in range(PICTURES):
        # The driver reads files by the same code, but the board's environment here has no Pillow.
        picture = read_picture(random_picture(rng, number, tmp_path))
        pictures.append(Picture(f"{number:03d}", picture.pixels))
        np.save(pixels / f"{number:03d}.npy", picture.pixels)
    work = tmp_path / "work"
    work.mkdir()
    board = EmulatedBoard(folder / "package" / archive_name(CONFIG), model, work)
    script = tmp_path / "predict.py"
    values = {"bitfile": str(board.bitfile), "package": str(board.package), "folder": str(pixels)}
    script.write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()) + PREDICT)
    board.run({"script": str(script)})

    seen = [seen_by_network(picture, config.input.size) for picture in pictures]
    packets = expected_packets(folder, config, model.head)(np.stack([entry.pixels for entry in seen]))
    answers = read_packets(packets, model.block.spec.layout, model.head, config.cam.threshold, seen)
    from finn_build.localise_write import row_of

    rows = json.loads((pixels / "rows.json").read_text())
    heatmaps = np.load(pixels / "heatmaps.npy")
    differing = sum(
        json.dumps(row_of(answer)) != json.dumps(row) or not np.array_equal(answer.heatmap, heatmap)
        for answer, row, heatmap in zip(answers, rows, heatmaps, strict=True)
    )
    bar("pictures of random size and mode that differ from localize", differing, "==", 0, INPUTS)
