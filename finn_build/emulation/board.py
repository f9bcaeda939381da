"""Starts the emulated board: the packaged driver in `.venv-board`, the model in this process."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finn_build.emulation.model import Accelerator
from finn_build.emulation.server import ModelServer
from finn_build.environment import ROOT
from finn_build.errors import ToolFailed, UserError

BOARD_PYTHON = ROOT / ".venv-board" / "bin" / "python"
START = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('board_side', run_name='__main__')"
LINES_SHOWN, LENT = 3, "lent"


@dataclass(frozen=True)
class Ended:
    """How a run on the board ended: exit code, and buffers that were not freed."""

    exit_code: int
    buffers: int


def require_board_environment() -> None:
    """Checks that the board's environment is there.

    Raises:
        UserError: it is not.
    """
    if not BOARD_PYTHON.is_file():
        raise UserError(str(BOARD_PYTHON), "the board's Python environment", "none", "run: make setup-board")


def run_on_board(
    runs: Sequence[dict[str, Any]],
    package: Path,
    model: Accelerator,
    image_bytes: int,
    work: Path,
    seconds: float = 3600,
) -> list[Ended]:
    """Runs commands of the packaged driver one after another in one process.

    Args:
        runs: each `argv` of the driver, or `script`: a file that uses it; `fault`: what the board does wrong; and
            `pillow`: whether that can be imported, as it can on the board's image.
        package: the folder that holds `cam_board/`.
        model: answers behind the DMAs.
        image_bytes: of an image.
        work: gets plan, report and log.
        seconds: after which the process is ended.

    Raises:
        UserError: there is no board environment.
        ToolFailed: the process ended by itself, which the driver never does.
    """
    require_board_environment()
    work.mkdir(parents=True, exist_ok=True)
    lend_pillow(work / LENT)
    report, log = work / "runs.json", work / "board.log"
    report.unlink(missing_ok=True)
    with ModelServer(model, image_bytes) as server:
        plan = {"socket": server.address, "package": str(package), "runs": list(runs), "report": str(report)}
        plan["lent"] = str(work / LENT)
        (work / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        command = [str(BOARD_PYTHON), "-I", "-B", "-c", START, str(Path(__file__).parent), str(work / "plan.json")]
        with log.open("w", encoding="utf-8") as file:
            try:
                done = subprocess.run(
                    command, cwd=work, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, timeout=seconds,
                    check=False,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                done = -1
    if done or not report.is_file():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:]
        raise ToolFailed("the emulated board", done, log, lines)
    return [Ended(**entry) for entry in json.loads(report.read_text(encoding="utf-8"))]


def lend_pillow(folder: Path) -> None:
    """Makes a folder that holds Pillow alone, which the board's image has and its environment here has not."""
    import PIL

    home = Path(PIL.__file__).parent
    folder.mkdir(exist_ok=True)
    # The wheel's own libraries lie beside it.
    for name in (home.name, "pillow.libs"):
        link, target = folder / name, home.parent / name
        if target.exists() and not link.is_symlink():
            link.symlink_to(target)


def told(work: Path) -> str:
    """What the runs wrote to standard output and error."""
    return (work / "board.log").read_text(encoding="utf-8", errors="replace")
