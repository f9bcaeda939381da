import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from graph_helpers import chain
from qonnx.transformation.base import Transformation

from finn_build.adapter import TimeLimitReached, apply_pass, finn_session, quiet, time_limit


class Endless(Transformation):
    """Says for ever that it changed something."""

    def apply(self, model):
        return model, True


def test_a_transformation_without_end_is_stopped() -> None:
    start = time.monotonic()
    with pytest.raises(TimeLimitReached, match=r"Endless took longer than 0.3 s"):
        apply_pass(chain().integer, Endless(), seconds=0.3)
    assert time.monotonic() - start < 20


def test_the_limit_holds_in_any_thread_and_leaves_others_alone() -> None:
    outcome: list[object] = []

    def work() -> None:
        try:
            with time_limit(0.2, "work"):
                while True:
                    time.sleep(0.01)
        except TimeLimitReached as error:
            outcome.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert outcome == ["work took longer than 0.2 s"]


def test_what_ends_in_time_is_not_stopped_later() -> None:
    with time_limit(0.15, "short"):
        pass
    time.sleep(0.3)
    sum(range(1000))


def test_errors_pass_through_the_limit() -> None:
    with pytest.raises(KeyError), time_limit(5, "broken"):
        raise KeyError("x")


def test_warnings_and_logs_are_silenced_and_restored() -> None:
    logger = logging.getLogger("finn_logger")
    level = logger.level
    with quiet():
        warnings.warn("nothing", UserWarning, stacklevel=1)
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.level == level
    with pytest.raises(UserWarning):
        warnings.warn("something", UserWarning, stacklevel=1)


def test_a_session_writes_below_its_folder_and_restores_the_environment(tmp_path: Path) -> None:
    from finn.util.basic import make_build_dir
    from finn.util.settings import get_settings

    before = dict(os.environ)
    for name in ("one", "two"):
        with finn_session(tmp_path / name) as folder:
            made = Path(make_build_dir("x_"))
            assert made.parent == folder == tmp_path / name
            assert get_settings().finn_build_dir == folder
    assert dict(os.environ) == before


def test_finn_leaves_home_alone_and_is_loaded_late(tmp_path: Path) -> None:
    """In a process of its own: what importing loads, and what a session writes."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "import finn_build.adapter, finn_build.folding, finn_build.resources.devices\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('finn', 'qonnx', 'torch', 'onnx')]\n"
        "with finn_build.adapter.finn_session(Path(sys.argv[1]) / 'build'):\n"
        "    from finn.util.basic import make_build_dir\n    make_build_dir('x_')\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=120)
    assert list(home.iterdir()) == []
    assert [path.name[:2] for path in (tmp_path / "build").iterdir()] == ["x_"]
