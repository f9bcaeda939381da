"""Ctrl-C ends a command even where a library swallows it, and nothing that came of it is kept."""

import builtins
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from build_helpers import Quiet

from finn_build import interruption
from finn_build.cache.store import Store
from finn_build.cli import app, main
from finn_build.runner import Runner
from finn_build.stages.result import Progress, StageResult


def swallowing(out: Path, progress: Progress) -> StageResult:
    """A stage in which a library takes Ctrl-C for a missing optional package."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        (out / "result").write_text("without the package")
    return StageResult()


def run_swallowing(folder: Path) -> Runner:
    runner = Runner(Store(folder), Quiet())
    nothing: Mapping[str, Any] = {}
    runner.stage("model", "a stage", swallowing, nothing, nothing)
    return runner


def test_a_result_that_swallowed_ctrl_c_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), interruption.remembered():
        run_swallowing(tmp_path)
    assert Store(tmp_path).kept("model") is None
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("swallowed_into", [None, RuntimeError, OSError])
def test_it_is_told_as_one_line(
    swallowed_into: type[Exception] | None,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def command(*arguments: Any, **options: Any) -> int:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if swallowed_into is None:
                raise
            raise swallowed_into("module 'numbers' has no attribute 'one'") from None
        return 0

    monkeypatch.setattr(app.typer.main, "get_command", lambda _: type("Command", (), {"main": staticmethod(command)}))
    assert app.run(["doctor", "--json"]) == 2
    told = capfd.readouterr()
    assert told.err == f"finn-cam: {app.INTERRUPTED}\n"
    assert '"exit_code": 2' in told.out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_another_kind_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*arguments: Any, **options: Any) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(app.typer.main, "get_command", lambda _: type("Command", (), {"main": staticmethod(command)}))
    with pytest.raises(RuntimeError, match="a bug"):
        app.run(["doctor"])


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruption.remembered():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_that_an_import_swallows_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    original = builtins.__import__

    def swallowing(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "finn_build.cli.app":
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        return original(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", swallowing)
    monkeypatch.setattr(sys, "argv", ["finn-cam", "doctor"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capfd.readouterr() == ("", "finn-cam: interrupted before it began\n")


def test_what_was_asked_of_the_outer_command_is_not_forgotten() -> None:
    with interruption.remembered():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with interruption.remembered():
            assert interruption.requested()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
