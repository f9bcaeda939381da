"""An accelerator that ends in the tap: its packaged driver on the emulated board, and what becomes of its taps."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_helpers import Board
from PIL import Image

from cam_postproc.arithmetic import run_cam
from cam_postproc.hostside import pack_stream
from finn_build.board.bundle import Bundle
from finn_build.board.errors import BoardError, BrokenPackage, WrongAnswer
from finn_build.board.hostcam import TapStream
from finn_build.cli.app import run
from finn_build.emulation.board import BOARD_PYTHON
from finn_build.emulation.run import FAULTS, faults_of, self_tests, without_frame
from finn_build.errors import ToolFailed
from finn_build.package.verify import verify_package

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def emulated(tapped: Path, tmp_path: Path) -> Board:
    """The package, unpacked from its zip alone."""
    if not BOARD_PYTHON.is_file():
        pytest.skip("no .venv-board; run: make setup-board")
    return Board(tapped / "build" / "tiny", tmp_path)


def test_the_package_says_what_leaves_and_the_dma_moves_just_that(tapped: Path) -> None:
    built = tapped / "build" / "tiny"
    manifest = verify_package(built / "tiny-deploy.zip")
    assert manifest.tap is not None
    assert manifest.tap.model_dump() == {
        "bytes": 128, "height": 4, "width": 4, "channels": 16, "bits": 4, "lanes": 2,
    }  # fmt: skip
    assert [dma.bytes for dma in manifest.dmas] == [192, 128]
    assert (manifest.packet, manifest.cam_block, manifest.registers, manifest.weights) == (None, None, (), None)
    # Of values of fewer than 8 bits FINN would have the DMA count bits, and not the bytes of their beats.
    for index, count in enumerate((192, 128)):
        code = (built / "codegen" / "nodes" / f"IODMA_hls_{index}" / f"top_IODMA_hls_{index}.cpp").read_text()
        assert f"#define NumBytes1 {count}\n" in code
    readme = (built / "deploy" / "README.md").read_text()
    assert "One tap of 128 bytes an image: UINT4 [4 × 4 × 16], channels innermost. 2 values" in readme
    assert "# python3 -m cam_board taps pictures/" in readme
    assert "Weight memory" not in readme
    assert not (built / "deploy" / "hardware" / "cam").exists()


def test_the_self_test_passes_from_the_zip_alone_and_every_fault_has_its_name(emulated: Board) -> None:
    names = faults_of(emulated.board.manifest)
    assert set(FAULTS) - set(names) == {"corrupt-weights"}
    whole, *spoilt = self_tests(emulated.board, emulated.work, [None, *names])
    assert whole.passed, whole
    assert whole.images >= 16
    for found in spoilt:
        assert found.fault is not None
        assert found.passed, (found, emulated.board.told())
        assert "\n" not in found.errors[0]["message"]
    said = {found.fault: found.errors[0]["message"] for found in spoilt}
    assert said["dma-hang"].startswith("odma0: ")
    assert "so taps are missing" in said["dma-hang"]
    assert "got 15 whole ones" in said["short-transfer"] or "taps of 128 bytes" in said["short-transfer"]
    assert "golden image 0, tap [0, 0, 15]: expected" in said["wrong-values"]
    assert "expected build id" in said["wrong-bitfile"]
    assert "Traceback" not in emulated.board.told()


API = """
import numpy as np
from cam_board import CamAccelerator
from cam_board.errors import Refused, WrongAnswer

images = np.load(work + "/images.npy")
found = {}
with CamAccelerator(bitfile, package=package, batch=4, timeout_s=30) as accelerator:
    found["taps"] = accelerator.taps(images)
    found["packets"] = accelerator.packets(images)
    found["chosen"] = accelerator.packets(images, class_id=2)
    accelerator.set_gate(10**6)
    found["gated"] = accelerator.packets(images[:3])
    accelerator.set_gate(None)
    found["after"] = accelerator.packets_of(found["taps"])
    weights = np.load(work + "/weights.npy")
    accelerator.load_classes(weights, ["a", "b", "c"])
    found["other"] = accelerator.packets(images)
    assert accelerator.predict(images[0]).label in "abc"
    for wrong in (
        lambda: accelerator.taps(images.astype(np.float32)),
        lambda: accelerator.load_classes(weights[:2], ["a", "b"]),
        lambda: accelerator.load_classes(weights.astype(np.int32), ["a", "b", "c"]),
        lambda: accelerator.load_classes(np.full_like(weights, 127), ["a", "b", "c"]),
        lambda: accelerator.load_classes(weights, ["a", "b", "c"], np.array([1, 2, 3], np.int32)),
        lambda: accelerator.predict(images, class_id=3),
    ):
        try:
            wrong()
            raise SystemExit("a mistake was not refused")
        except Refused as error:
            assert "\\n" not in str(error)
    # The weights that were loaded outlive a reset.
    board.set_fault("short-transfer")
    try:
        accelerator.taps(images)
        raise SystemExit("short-transfer was not noticed")
    except Exception as error:
        assert error.name == "short-transfer", error
    board.set_fault(None)
    found["kept"] = accelerator.packets(images[:4])
    assert found["kept"][:, 12:16].view("<u4").ravel().tolist() == [0, 1, 2, 3], "frames are counted anew"
np.savez(work + "/found.npz", **found)
"""


def test_the_driver_reads_taps_and_does_the_cam_blocks_part(emulated: Board) -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    head, spec = emulated.head, emulated.model.block.spec
    limit = 1 << (spec.weight_bits - 1)
    weights = rng.integers(-limit + 1, limit, head.fc_weight.shape).astype(np.int8)
    np.save(emulated.work / "images.npy", images)
    np.save(emulated.work / "weights.npy", weights)
    try:
        emulated.script(API)
    except ToolFailed as error:
        pytest.fail(f"{error}\n{emulated.board.told()}")
    with np.load(emulated.work / "found.npz") as file:
        found = dict(file)
    tap = emulated.model.tap(images)
    assert found["taps"].dtype == np.uint8
    assert np.array_equal(found["taps"], tap)
    assert len(np.unique(tap)) > 4

    def same(got: np.ndarray, **options: object) -> bool:
        wanted = run_cam(spec, tap[: len(got)], options.pop("weights", head.fc_weight), head.bias, **options)  # type: ignore[arg-type]
        return bool((without_frame(got) == without_frame(wanted.packet)).all())

    assert same(found["packets"])
    assert same(found["chosen"], select=2)
    assert same(found["gated"], gate=10**6)
    assert same(found["after"])
    assert same(found["other"], weights=weights)
    assert same(found["kept"], weights=weights)
    assert not same(found["other"])


def test_taps_of_the_board_draw_the_decoders_maps(
    tapped: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not BOARD_PYTHON.is_file():
        pytest.skip("no .venv-board; run: make setup-board")
    rng = np.random.default_rng(6)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, size in (("a.png", (30, 21)), ("b.png", (8, 8)), ("c.png", (70, 9))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(pictures / name)
    config, out = str(tapped / "tiny.toml"), str(tapped / "build")
    assert run(["emulate", config, str(pictures), "--out", out, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["mismatches"], told["first_difference"]) == (0, None)
    assert told["images"] >= 16 + 3
    assert np.load(told["taps"]).shape == (3, 4, 4, 16)
    common = ["localize", str(pictures), "--config", config, "--build", out, "--method", "fcam-tap", "--json"]
    said = []
    for name, more in (("board", ["--taps", told["taps"]]), ("graph", [])):
        assert run([*common, "--out", str(tmp_path / name), *more]) == 0
        said.append(json.loads(capfd.readouterr().out))
    assert said[0] == said[1]
    assert [(row["class"], row["score"]) for row in said[0]] == [
        (row["class"], row["score"]) for row in told["predictions"]
    ]
    names = sorted(path.name for path in (tmp_path / "board").iterdir())
    assert "a_heatmap.npy" in names
    for name in names:
        assert (tmp_path / "board" / name).read_bytes() == (tmp_path / "graph" / name).read_bytes(), name
    # A decoder's map follows the tap: another picture's gives another.
    taps = np.load(told["taps"])
    np.save(tmp_path / "turned.npy", taps[::-1])
    assert run([*common, "--out", str(tmp_path / "turned"), "--taps", str(tmp_path / "turned.npy")]) == 0
    assert json.loads(capfd.readouterr().out) != said[0]


def test_what_the_command_line_says(emulated: Board, tapped: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(5).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    work = emulated.work
    np.save(work / "images.npy", images)
    np.save(work / "flat.npy", images[0])
    np.savez(work / "archive.npz", images=images)
    (work / "archive.npz").rename(work / "archive.npy")
    (work / "cut.npy").write_bytes((work / "images.npy").read_bytes()[:300])
    taps = ["taps", str(work / "images.npy"), "--out"]
    runs = (
        [*taps, str(work / "taps.npy"), "--json"],
        [*taps, str(work / "taps.txt")],
        [*taps, str(work / "none" / "taps.npy")],
        ["taps", str(work / "more.png"), *taps[1:], str(work / "x.npy")],
        ["taps", str(work / "flat.npy")],
        ["taps", str(work / "archive.npy")],
        ["taps", str(work / "cut.npy")],
        ["taps", str(work / "absent.npy")],
    )
    ended = emulated.board.run(*({"argv": list(run)} for run in runs))
    told = emulated.board.told()
    assert [run.exit_code for run in ended] == [0] + [2] * (len(runs) - 1), told
    lines = told.strip().splitlines()
    assert json.loads(lines[0])["shape"] == [3, 4, 4, 16]
    assert np.array_equal(np.load(work / "taps.npy"), emulated.model.tap(images))
    assert len(lines) == len(runs)
    for line, words in zip(
        lines[1:],
        (
            "a name that ends in .npy", "a file that can be written", "pictures or one .npy of images, got both",
            "got uint8 [8, 8, 3]", "got an archive", "cannot reshape", "No such file",
        ),
        strict=True,
    ):  # fmt: skip
        assert line.startswith("cam_board: refused: ")
        assert words in line
    assert run(["emulate", str(tapped / "tiny.toml"), "--fault", "corrupt-weights"]) == 2
    assert "expected an accelerator with a weight memory, got head = tap" in capfd.readouterr().err


@pytest.mark.parametrize(("bits", "lanes"), [(1, 1), (5, 1), (5, 2), (3, 8), (8, 1), (8, 4), (5, 16), (7, 3)])
def test_every_form_of_a_stream_is_read_back(bits: int, lanes: int) -> None:
    rng = np.random.default_rng(bits * lanes)
    stream = TapStream(3, 2, 48, bits, lanes)
    taps = rng.integers(0, 1 << bits, (4, *stream.shape)).astype(np.uint8)
    rows = pack_stream(taps, bits, lanes)
    assert rows.shape == (4, stream.length)
    assert np.array_equal(stream.read(rows, "odma0"), taps)
    if bits * lanes % 8:
        rows[2, 3 * stream.beat_bytes - 1] |= 0x80
        message = rf"odma0: expected values of {bits} bits, 0 to {2**bits - 1}, got more in beat 2 of tap 2 \(1 of 4"
        with pytest.raises(WrongAnswer, match=message) as caught:
            stream.read(rows, "odma0")
        assert (caught.value.images, caught.value.mismatches) == (4, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: made["tap"].update(lanes=0), "sizes above 0"),
        (lambda made: made["tap"].update(bits=9), "at most 8 bits"),
        (lambda made: made["tap"].update(lanes=3), "lanes that divide the channels"),
        (lambda made: made["tap"].update(bits="4"), "sizes above 0"),
        (lambda made: made["tap"].update(lanes=1), "manifest.json contradicts itself"),
        (lambda made: made["tap"].pop("height"), "'height'"),
        (lambda made: made.update(tap=None), "manifest.json or cam.json"),
        (lambda made: made.update(head="logits"), "expected an accelerator with head = cam or tap, got 'logits'"),
    ],
)
def test_a_manifest_that_cannot_be_is_one_line(
    change: Callable[[dict[str, Any]], None], words: str, tapped: Path, tmp_path: Path
) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(tapped / "build" / "tiny" / "deploy", deploy)
    made = json.loads((deploy / "manifest.json").read_text())
    change(made)
    (deploy / "manifest.json").write_text(json.dumps(made))
    with pytest.raises(BoardError) as caught:
        Bundle(deploy)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_a_broken_package(tapped: Path, tmp_path: Path) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(tapped / "build" / "tiny" / "deploy", deploy)
    assert Bundle(deploy).host_cam() is not None
    with np.load(deploy / "weights/head.npz") as held:
        arrays = dict(held)
    np.savez(deploy / "weights/head.npz", **arrays | {"fc_weight": arrays["fc_weight"][:, :-1]})
    with pytest.raises(BrokenPackage, match="FC weights: expected shape"):
        Bundle(deploy, verify=False).host_cam()
