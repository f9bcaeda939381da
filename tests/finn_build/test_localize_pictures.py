"""Pictures of every mode and kind: those that can be read, and those that end in one line."""

import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finn_build.cli.app import run
from finn_build.errors import UserError
from finn_build.localise_pictures import MOST_PIXELS, find_pictures, read_picture

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **how: object) -> Path:
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def test_every_mode_becomes_rgb(tmp_path: Path) -> None:
    rgb = Image.fromarray(COLOURS)
    grey = Image.fromarray(COLOURS[:, :, 0])
    as_is = read_picture(saved(tmp_path / "rgb.png", rgb))
    assert (as_is.pixels == COLOURS).all()
    assert as_is.size == (6, 4)
    assert as_is.name == str(tmp_path / "rgb.png")
    assert (read_picture(saved(tmp_path / "grey.png", grey)).pixels == COLOURS[:, :, :1]).all()
    one_bit = grey.point(lambda v: 255 * (v > 127)).convert("1")
    assert set(np.unique(read_picture(saved(tmp_path / "bit.png", one_bit)).pixels)) == {0, 255}
    palette = rgb.quantize(8)
    assert (read_picture(saved(tmp_path / "palette.png", palette)).pixels == np.asarray(palette.convert("RGB"))).all()
    cmyk = read_picture(saved(tmp_path / "cmyk.tif", rgb.convert("CMYK")))
    assert (cmyk.pixels == COLOURS).all()
    first = read_picture(saved(tmp_path / "two.gif", palette, save_all=True, append_images=[palette.rotate(180)]))
    assert (first.pixels == np.asarray(palette.convert("RGB"))).all()


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 24).astype(np.uint16).reshape(6, 4)
    read = read_picture(saved(tmp_path / "deep.png", Image.fromarray(ramp))).pixels
    assert (read[:, :, 0] == np.rint(ramp / 257)).all()
    floats = read_picture(saved(tmp_path / "float.tif", Image.fromarray(np.full((2, 2), 200.4, np.float32))))
    assert (floats.pixels == 200).all()
    # Floats within 0 to 1 are a share of white; what is no number is black.
    share = np.array([[0.0, 0.5], [1.0, np.nan]], np.float32)
    read = read_picture(saved(tmp_path / "share.tif", Image.fromarray(share))).pixels
    assert read[:, :, 0].tolist() == [[0, 128], [255, 0]]


def test_transparency_lies_on_white_and_a_turned_picture_is_upright(tmp_path: Path) -> None:
    clear = np.concatenate([COLOURS, np.zeros((6, 4, 1), np.uint8)], axis=2)
    clear[0, 0, 3] = 255
    read = read_picture(saved(tmp_path / "clear.png", Image.fromarray(clear))).pixels
    assert (read[0, 0] == COLOURS[0, 0]).all()
    assert (read[1:] == 255).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned = read_picture(saved(tmp_path / "turned.png", Image.fromarray(COLOURS), exif=exif))
    assert (turned.pixels == np.rot90(COLOURS, -1)).all()


def huge_png(path: Path, width: int, height: int) -> Path:
    """A PNG whose header promises more pixels than it holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in ("cut.png", "cut.jpg"):
        whole = saved(tmp_path / f"whole-{name}", noise).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        (tmp_path / f"whole-{name}").unlink()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    huge_png(tmp_path / "huge.png", 20_000, MOST_PIXELS // 20_000 + 1)
    huge_png(tmp_path / "vast.png", 60_000, 60_000)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "notes.txt").write_text("no picture")
    (tmp_path / "nothing" / "._a.png").write_text("a Mac's notes on a.png")
    (tmp_path / "only.d").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("cut.png", "a whole picture"),
        ("cut.jpg", "a whole picture"),
        ("text.jpg", "a file of another kind"),
        ("empty.png", "a file of another kind"),
        ("huge.png", f"at most {MOST_PIXELS:,} pixels"),
        ("vast.png", f"at most {MOST_PIXELS:,} pixels"),
        ("absent.png", "no such file"),
        ("nothing", "a folder with pictures"),
        ("words", "a folder with pictures"),
        ("*.webp", "a pattern that files match"),
        ("only.*", "a pattern that files match"),
        ("words/*", "a file of another kind"),
        ("pipe.png", "a pipe or a device"),
    ],
)
def test_what_cannot_be_read_is_one_line(broken: Path, name: str, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    out = broken / "out"
    assert run(["localize", str(broken / name), "--out", str(out), "--build", str(broken / "build")]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1, told.err
    assert word in told.err
    assert name.split("/")[0] in told.err
    # It is found before anything is built or written.
    assert not out.exists()
    assert not (broken / "build").exists()


def test_overlays_do_not_become_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "own.png", Image.fromarray(COLOURS))
    assert run(["localize", str(tmp_path), "--out", f"{tmp_path}/../{tmp_path.name}"]) == 2
    assert "expected a folder of its own, got the pictures' folder" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["own.png"]


def test_settings_that_cannot_be(broken: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments, word in (
        ([], "--camera N"),
        (["cut.png", "--camera", "0"], "both"),
        (["cut.png", "--executor", "board"], "integer, csim, float"),
        (["cut.png", "--config", "nonsense"], "nonsense"),
        (["--camera", "93"], "--camera 93: expected a camera"),
    ):
        assert run(["localize", *arguments, "--build", str(broken / "build")]) == 2
        told = capfd.readouterr().err
        assert len(told.strip().splitlines()) == 1, told
        assert word in told


def test_finding_pictures(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c.txt", "[x].png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub.png").mkdir()
    found = find_pictures([str(tmp_path), str(tmp_path / "*.jpg"), str(tmp_path / "[x].png")])
    assert [path.name for path in found] == ["[x].png", "a.jpg", "b.PNG"]
    assert [path.name for path in find_pictures([str(tmp_path / "*.*g")])] == ["[x].png", "a.jpg"]
    with pytest.raises(UserError, match="none in it"):
        find_pictures([str(tmp_path / "sub.png")])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(np.zeros((1, 8, 8, 128), np.uint8)))


def objects(path: Path) -> None:
    np.save(path, np.array([[[[print]]]], dtype=object), allow_pickle=True)


def cut(path: Path) -> None:
    np.save(path, np.zeros((1, 8, 8, 128), np.uint8))
    path.write_bytes(path.read_bytes()[:1000])


def cut_header(path: Path) -> None:
    np.save(path, np.zeros((1, 8, 8, 128), np.uint8))
    path.write_bytes(path.read_bytes()[:40])


def broken_header(path: Path) -> None:
    np.save(path, np.zeros((1, 8, 8, 128), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(1, 8, 8", b"(1, 8,(8"))


def promising(path: Path) -> None:
    header = str({"descr": "|u1", "fortran_order": False, "shape": (1, 1 << 20, 1 << 20, 1 << 20)}).encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, taps=np.zeros((1, 8, 8, 128), np.uint8))


def cut_archive(path: Path) -> None:
    archive(path)
    path.write_bytes(path.read_bytes()[:500])


def array(*shape: int, dtype: str = "uint8", value: float = 0) -> Callable[[Path], None]:
    return lambda path: np.save(path, np.full(shape, value, dtype))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (pickled, "expected an .npy file, got another file"),
        (objects, "that cannot be read (Object arrays cannot be loaded"),
        (cut, "(file seems not fully written?)"),
        (cut_header, "expected a whole .npy file of numbers"),
        (broken_header, "expected a whole .npy file of numbers"),
        (promising, "expected a whole .npy file of numbers"),
        (archive, "got a zip archive"),
        (cut_archive, "got a zip archive"),
        (Path.touch, "got an empty file"),
        (Path.mkdir, "got a folder"),
        (os.mkfifo, "got a pipe or a device"),
        (lambda path: None, "got no such file"),
        (array(8, 8, 128), "expected uint8 [1, h, w, C], a tap for each picture, got uint8 [8, 8, 128]"),
        (array(0, 8, 8, 128), "got uint8 [0, 8, 8, 128]"),
        (array(2, 8, 8, 128), "got uint8 [2, 8, 8, 128]"),
        (array(1, 8, 8, 128, dtype="int8"), "got int8 [1, 8, 8, 128]"),
        (array(1, 8, 8, 128, dtype="float32", value=np.nan), "got float32 [1, 8, 8, 128]"),
        (array(1, 8, 8, 128, dtype="bool"), "got bool [1, 8, 8, 128]"),
    ],
)
def test_taps_that_are_none_are_one_line(
    write: Callable[[Path], None], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "cat.png", Image.fromarray(COLOURS))
    write(tmp_path / "taps.npy")
    given = ["--taps", str(tmp_path / "taps.npy"), "--build", str(tmp_path / "build"), "--out", str(tmp_path / "out")]
    assert run(["localize", str(path), *given]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1, told.err
    assert words in told.err
    assert str(tmp_path / "taps.npy") in told.err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "build").exists()
