"""The bars of the board's side: driver and emulated board equal the integer graph, byte for byte."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finn_build.config import load_config
from finn_build.emulation.board import BOARD_PYTHON
from finn_build.environment import ROOT

pytestmark = [
    pytest.mark.verify,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not BOARD_PYTHON.is_file(), reason="no .venv-board; run: make setup-board"),
]

CONFIG = "resnet8_5w5a"
INPUTS = [ROOT / "configs" / f"{CONFIG}.toml"]
IMAGES, PICTURES = 1000, 100
MODES = ("RGB", "L", "RGBA", "P", "CMYK", "LA", "1", "I;16", "F", "YCbCr")


def emulate(out: Path, *options: str, name: str = CONFIG) -> tuple[int, dict[str, Any]]:
    command = [str(ROOT / ".venv/bin/finn-cam"), "emulate", name, "--out", str(out), "--json", *options]
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
    "fault",
    [
        "dma-hang",
        "wrong-bitfile",
        "missing-flush",
        "corrupt-weights",
        "short-transfer",
        "wrong-values",
        "truncated-package",
    ],
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


def test_pictures_of_any_size_and_mode_give_the_same_bytes(out: Path, tmp_path: Path, bar: Any) -> None:
    rng = np.random.default_rng(11)
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [random_picture(rng, number, folder) for number in range(PICTURES)]
    code, found = emulate(out, *map(str, paths))
    # Rows and heatmaps of the driver's `localize` against those of `finn-cam localize`, bit for bit.
    bar("pictures of random size and mode: compared", len(found["predictions"]), ">=", PICTURES, INPUTS)
    bar("pictures of random size and mode that differ from localize", found["mismatches"], "==", 0, INPUTS)
    assert code == 0, found


TAP = "resnet8_loc_5w5a_tap"


def test_taps_of_the_board_draw_the_maps_of_the_graph(tmp_path: Path, bar: Any) -> None:
    """The whole way of a board user: package, driver, taps.npy, decoder's maps; on the emulated board."""
    config = load_config(TAP)
    assert config.model.checkpoint is not None
    decoders = config.model.checkpoint.with_suffix(".fcam.safetensors")
    inputs = [config.file, config.model.checkpoint, decoders]
    rng = np.random.default_rng(12)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        random_picture(rng, number, folder)
    shutil.copytree(ROOT / "finn_build" / "samples", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py*"))
    program, out = str(ROOT / ".venv/bin/finn-cam"), str(tmp_path / "build")

    def told(*arguments: str) -> Any:
        done = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    sent = told("emulate", TAP, str(folder), "--out", out)
    bar(f"{TAP} on the emulated board: pictures whose tap or answer differs", sent["mismatches"], "==", 0, inputs)
    common = ["localize", str(folder), "--config", TAP, "--build", out, "--method", "fcam-tap"]
    board = told(*common, "--out", str(tmp_path / "board"), "--taps", sent["taps"])
    graph = told(*common, "--out", str(tmp_path / "graph"))
    files = sorted(path.name for path in (tmp_path / "graph").iterdir())
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == files
    wrong = [
        name for name in files if (tmp_path / "board" / name).read_bytes() != (tmp_path / "graph" / name).read_bytes()
    ]
    assert board == graph
    bar(f"{TAP}: files of the decoder's maps compared, with taps of the board", len(files), ">=", 2 * 24, inputs)
    bar(f"{TAP}: files of the decoder's maps that differ, with taps of the board", len(wrong), "==", 0, inputs)
    code, found = emulate(Path(out), "--images", str(PICTURES), name=TAP)
    bar(f"{TAP} on the emulated board: images that differ", found["mismatches"], "==", 0, inputs)
    assert code == 0, found
    for fault in ("dma-hang", "missing-flush", "short-transfer", "wrong-values"):
        code, found = emulate(Path(out), "--fault", fault, name=TAP)
        assert (code, found["passed"], found["usable"]) == (0, True, True), found
