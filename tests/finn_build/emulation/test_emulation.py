"""The packaged driver, as it lies in the zip, on the emulated board: self-test, faults, and what it can do."""

import json
from pathlib import Path

import numpy as np
import pytest
from board_helpers import Board
from PIL import Image

from cam_postproc.arithmetic import run_cam
from finn_build.emulation.board import run_on_board
from finn_build.emulation.run import FAULTS, compare_packets, localize_on_board, self_tests, without_frame
from finn_build.errors import ToolFailed
from finn_build.localise import read_packets, seen_by_network
from finn_build.localise_pictures import read_picture

pytestmark = pytest.mark.timeout(900)


def test_the_self_test_passes_from_the_zip_alone_and_every_fault_has_its_name(emulated: Board) -> None:
    whole, *spoilt = self_tests(emulated.board, emulated.work, [None, *FAULTS])
    assert whole.passed, whole
    assert whole.images >= 16
    for found in spoilt:
        assert found.fault is not None
        assert [error["name"] for error in found.errors] == [FAULTS[found.fault]], found
        assert found.usable, found
        assert found.passed, found
        assert "\n" not in found.errors[0]["message"]
        if found.fault == "dma-hang":
            assert found.errors[0]["message"].startswith("odma0: ")
    log = emulated.board.told()
    assert "Traceback" not in log, log


API = """
import threading
import numpy as np
from cam_board import BoardError, CamAccelerator
from cam_board.bundle import read_arrays
from cam_board.errors import DmaTimeout, Refused, ShortTransfer
from cam_board.measure import latency, power, throughput

images = np.load(work + "/images.npy")
found = {}
with CamAccelerator(bitfile, package=package, batch=4, timeout_s=30) as accelerator:
    found["packets"] = accelerator.packets(images)
    found["chosen"] = accelerator.packets(images, class_id=2)
    accelerator.set_gate(10**6)
    found["gated"] = accelerator.packets(images[:3])
    accelerator.set_gate(None)

    # The same object goes on after a fault.
    accelerator.timeout_s = 1.5
    for fault, kind in (("dma-hang", DmaTimeout), ("short-transfer", ShortTransfer)):
        board.set_fault(fault)
        try:
            accelerator.predict(images[:6])
            raise SystemExit(f"{fault} was not noticed")
        except kind as error:
            assert fault != "dma-hang" or error.dma == "odma0", error.dma
        board.set_fault(None)
        accelerator.timeout_s = 30
        assert len(accelerator.predict(images[:6])) == 6

    # Threads take turns, and each gets its own answers.
    results = {}
    def work_on(part):
        results[part] = accelerator.packets(images[part : part + 5])
    threads = [threading.Thread(target=work_on, args=(part,)) for part in (0, 5)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    found["threads"] = np.concatenate([results[0], results[5]])

    # Other classes without another bitfile.
    weights = np.load(work + "/weights.npy")
    accelerator.load_classes(weights, ["a", "b", "c"])
    found["other"] = accelerator.packets(images)
    assert accelerator.predict(images[0]).label in "abc"
    board.set_fault("corrupt-weights")
    before = accelerator.labels
    try:
        accelerator.load_classes(weights[::-1].copy(), ["x", "y", "z"])
        raise SystemExit("corrupt weights were not noticed")
    except BoardError as error:
        assert error.name == "corrupt-weights", error
    board.set_fault(None)
    assert accelerator.labels == before
    found["kept"] = accelerator.packets(images[:4])

    for wrong in (
        lambda: accelerator.predict(images.astype(np.float32)),
        lambda: accelerator.predict(images, class_id=3),
        lambda: accelerator.load_classes(weights[:2], ["a", "b"]),
        lambda: accelerator.load_classes(weights.astype(np.int32), ["a", "b", "c"]),
        lambda: accelerator.set_gate(1 << 40),
    ):
        try:
            wrong()
            raise SystemExit("a mistake was not refused")
        except Refused as error:
            assert "\\n" not in str(error)
    rate, delay = throughput(accelerator, 0.05), latency(accelerator, 2)
    assert rate["fps"] > 0 and rate["batch"] == 4 and delay["median_ms"] > 0
    assert power() is None
    assert len(board.memory.regions) == 4, "two buffers each way"
assert not board.memory.regions, "the context manager frees its buffers"
try:
    accelerator.predict(images)
    raise SystemExit("a closed accelerator answered")
except Refused:
    pass
np.savez(work + "/found.npz", **found)
"""


def test_the_driver_does_all_that_it_says(emulated: Board) -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    head = emulated.head
    limit = 1 << (emulated.model.block.spec.weight_bits - 1)
    weights = rng.integers(-limit + 1, limit, head.fc_weight.shape).astype(np.int8)
    np.save(emulated.work / "images.npy", images)
    np.save(emulated.work / "weights.npy", weights)
    try:
        emulated.script(API)
    except ToolFailed as error:
        pytest.fail(f"{error}\n{emulated.board.told()}")
    with np.load(emulated.work / "found.npz") as file:
        found = dict(file)

    spec, tap = emulated.model.block.spec, emulated.model.tap(images)

    def same(got: np.ndarray, **options: object) -> bool:
        wanted = run_cam(spec, tap[: len(got)], options.pop("weights", head.fc_weight), head.bias, **options)  # type: ignore[arg-type]
        return bool((without_frame(got) == without_frame(wanted.packet)).all())

    assert same(found["packets"])
    assert same(found["threads"])
    assert same(found["chosen"], select=2)
    assert same(found["gated"], gate=10**6)
    assert same(found["other"], weights=weights)
    assert same(found["kept"], weights=weights)
    assert not same(found["other"])


def test_packets_are_compared_and_a_difference_is_told(emulated: Board) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    assert compare_packets(emulated.board, images, emulated.expected, emulated.work) == (0, None)

    def wrong(given: np.ndarray) -> np.ndarray:
        packets = emulated.expected(given)
        packets[3, 20] ^= 1
        return packets

    count, first = compare_packets(emulated.board, images, wrong, emulated.work)
    assert count == 1
    assert first is not None
    assert first.startswith("image 3, byte 20: ")


def test_what_the_command_line_says(emulated: Board, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (21, 13, 3), dtype=np.uint8)).save(picture)
    runs = (
        ["classify", str(picture), "--json"],
        ["selftest", "--json", "--seconds", "0"],
        ["selftest", "--batch", "0"],
        ["throughput", "--seconds", "-1", "--json"],
        ["packets", str(tmp_path / "none.npy"), str(tmp_path / "out.npy")],
    )
    ended = emulated.board.run(*({"argv": list(run)} for run in runs))
    assert [run.exit_code for run in ended] == [2, 0, 1, 2, 2]
    told = emulated.board.told()
    assert "cam_board: missing-module: Pillow: needed for picture files, but not installed" in told
    assert json.loads(told[told.index("{\n") : told.index("\n}\n") + 3])["passed"]
    assert "cam_board: refused: seconds: expected above 0" in told
    assert "Traceback" not in told


CAMERA = """
import threading, time, urllib.request
from cam_board import CamAccelerator
from cam_board.camera import camera
from cam_board.errors import Refused

with CamAccelerator(bitfile, package=package, timeout_s=60, check=False) as accelerator:
    fetched, said = {}, []

    def say(line):
        said.append(line)
        address = line.split()[0]
        def fetch():
            for page in ("", "frame.jpg", "caption"):
                with urllib.request.urlopen(address + page, timeout=30) as answer:
                    fetched[page] = (answer.headers["Content-Type"], answer.read())
            with urllib.request.urlopen(address + "stream", timeout=30) as stream:
                fetched["stream"] = ("", stream.read(200))
            try:
                urllib.request.urlopen(address + "../manifest.json", timeout=30)
            except urllib.error.HTTPError as error:
                fetched["other"] = (str(error.code), b"")
            done.set()
        threading.Thread(target=fetch, daemon=True).start()

    done = threading.Event()
    real = accelerator.predict
    def slowly(picture):
        # The page is read while frames come.
        time.sleep(0.05)
        if done.is_set():
            raise KeyboardInterrupt
        return real(picture)
    accelerator.predict = slowly
    try:
        camera(accelerator, pictures, "127.0.0.1", 0, 2000, say)
    except KeyboardInterrupt:
        pass
    for wrong in (("nowhere", 0), (pictures, 70000)):
        try:
            camera(accelerator, wrong[0], "127.0.0.1", wrong[1], 1, say)
            raise SystemExit("a mistake was not refused")
        except Refused as error:
            assert "\\n" not in str(error)
assert said[0].startswith("http://127.0.0.1:"), said
assert fetched[""][0].startswith("text/html") and b"/stream" in fetched[""][1]
assert fetched["frame.jpg"][1][:2] == b"\\xff\\xd8", "a JPEG"
assert fetched["stream"][1].startswith(b"--frame\\r\\nContent-Type: image/jpeg")
assert fetched["caption"][1] and fetched["other"][0] == "404"
"""


def test_the_camera_page_shows_a_folder(emulated: Board, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(2):
        pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    emulated.script(CAMERA, pictures=str(folder))
    assert "Traceback" not in emulated.board.told()


def test_localize_on_the_board_gives_the_bytes_of_localize(emulated: Board, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    paths = []
    for number, mode in enumerate(("RGB", "L", "RGBA", "P")):
        pixels = rng.integers(0, 256, (9 + 40 * number, 70 - 9 * number, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{mode}.png")
        Image.fromarray(pixels).convert(mode).save(paths[-1])
    seen = [seen_by_network(read_picture(path), 8) for path in paths]
    packets = emulated.expected(np.stack([picture.pixels for picture in seen]))
    wanted = read_packets(packets, emulated.model.block.spec.layout, emulated.head, 0.5, seen)
    rows, wrong, first = localize_on_board(emulated.board, paths, wanted, emulated.work)
    assert (len(rows), wrong, first) == (4, 0, None)
    assert (emulated.work / "localize" / "RGBA_overlay.png").is_file()


def test_a_crash_of_the_driver_is_told_with_its_last_line(emulated: Board) -> None:
    script = emulated.work / "crash.py"
    script.write_text("raise RuntimeError('out of order')\n")
    with pytest.raises(ToolFailed, match="RuntimeError: out of order"):
        run_on_board([{"script": str(script)}], emulated.board.package, emulated.model, 192, emulated.work)
