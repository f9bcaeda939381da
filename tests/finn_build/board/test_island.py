"""The driver is an island: standard library, numpy and pynq, Python 3.10, and the project's shared file alone."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cam_postproc.hostside
import finn_build.board
from finn_build.board.answer import Prediction
from finn_build.board.control import CamRegisters
from finn_build.board.errors import MissingModule, Refused
from finn_build.board.overlay import draw, png
from finn_build.board.pictures import find_pictures, read_picture
from finn_build.cache.source import source_digests
from finn_build.emulation.board import BOARD_PYTHON
from finn_build.environment import ROOT
from finn_build.package.driver import LIBRARY, MODULES, driver_files

FOLDER = Path(finn_build.board.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))


def imported(content: str) -> set[str]:
    """Top-level packages that a source imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def test_the_package_holds_only_standard_library_and_numpy_imports() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy"}
    for head in ("cam", "tap"):
        packed = driver_files("tiny", head)
        # What of the project's own a package with head = tap imports lies in it.
        own = {LIBRARY} if head == "tap" else set()
        for name, content in packed.items():
            if name.endswith(".py"):
                names = imported(content.decode())
                assert names <= allowed | own, (name, names - allowed)
        modules = {
            node.module
            for content in (c for name, c in packed.items() if name.endswith(".py"))
            for node in ast.walk(ast.parse(content))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY)
        }
        assert {f"{module.replace('.', '/')}.py" for module in modules if module} <= packed.keys()
    # What is looked up by name when it is first used: pynq always, the others for pictures and cameras.
    late = {
        node.args[0].value
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "import_module"
        and isinstance(node.args[0], ast.Constant)
    }
    assert late <= {"pynq", "cv2"}


def test_every_file_parses_as_python_3_10() -> None:
    for name, content in {**driver_files("tiny"), **driver_files("tiny", "tap")}.items():
        if name.endswith(".py"):
            ast.parse(content.decode(), name, feature_version=(3, 10))


def test_the_packed_shared_file_is_the_projects() -> None:
    packed = driver_files("tiny")["cam_board/hostside.py"]
    assert packed == Path(cam_postproc.hostside.__file__).read_bytes()
    # The checkout's stand-in offers just what the driver takes from it.
    wanted = {
        alias.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module == "hostside"
        for alias in node.names
    }
    assert wanted <= set(dir(cam_postproc.hostside))


def test_the_package_stage_depends_on_every_file_of_the_driver() -> None:
    known = source_digests("finn_build.stages.package")
    library = [Path(cam_postproc.hostside.__file__).with_name(f"{name}.py") for name in MODULES if name != "__init__"]
    for path in [*FILES, *(ROOT / "finn_build/package/files").iterdir(), *library]:
        assert str(path.relative_to(ROOT)) in known, path


def test_install_sh_is_a_script_of_bash() -> None:
    script = driver_files("tiny")["install.sh"].decode()
    assert "@" not in script.replace('"$@"', "")
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-n"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    linter = shutil.which("shellcheck")
    if linter is not None:
        checked = subprocess.run([linter, "-"], input=script, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("head", ["cam", "tap"])
def test_the_driver_imports_on_the_boards_numpy(head: str, tmp_path: Path) -> None:
    if not BOARD_PYTHON.is_file():
        pytest.skip("no .venv-board; run: make setup-board")
    for name, content in driver_files("tiny", head).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import cam_board.cli, numpy; assert numpy.__version__ < '2'"
    code += "; import cam_postproc.arithmetic" if head == "tap" else ""
    done = subprocess.run(
        [str(BOARD_PYTHON), "-I", "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_overlays_are_pngs_that_others_read(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(2)
    for size in ((20, 31), (1, 300), (2500, 40)):
        picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        heatmap = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        zeros = np.zeros(2)
        box = (0, 0, size[1] - 1, size[0] - 1)
        answer = Prediction(
            0,
            "cat",
            0.5,
            zeros,
            zeros.astype(np.int32),
            0,
            heatmap,
            (3, 0),
            box,
            size,
            False,
        )
        drawn = draw(picture, answer)
        file = tmp_path / "overlay.png"
        file.write_bytes(png(drawn))
        with Image.open(file) as read:
            assert read.mode == "RGB"
            assert np.array_equal(np.asarray(read), drawn)
        assert max(drawn.shape) <= max(2048, *size)
        assert (drawn == 255).all(axis=2).any(), "a line of the box or of the peak"


def test_pictures_that_cannot_be_read_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    (tmp_path / "empty").mkdir()
    for call in (
        lambda: read_picture(tmp_path / "none.png"),
        lambda: read_picture(tmp_path / "broken.png"),
        lambda: find_pictures([str(tmp_path / "empty")]),
    ):
        with pytest.raises(Refused) as caught:
            call()
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingModule, match=r"Pillow: .* pip install pillow"):
        read_picture(tmp_path / "none.png")


def test_a_block_without_registers_refuses_what_needs_them() -> None:
    bare = CamRegisters(None, {}, None)
    assert bare.build_id() is None
    bare.select(0xFFFFFFFF)
    bare.gate(-(1 << 31))
    for call in (lambda: bare.select(1), lambda: bare.gate(0), lambda: bare.load(np.zeros(1, np.uint32))):
        with pytest.raises(Refused):
            call()
