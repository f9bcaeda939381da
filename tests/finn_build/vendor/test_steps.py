"""Steps are kept in place: the marker comes last, and what was spoilt or depends on something else runs again."""

from pathlib import Path

import pytest

from finn_build.errors import ToolFailed
from finn_build.vendor.steps import Steps


def write(folder: Path) -> None:
    (folder / "made").write_text("made")


def test_a_step_runs_once(tmp_path: Path) -> None:
    first, second = Steps(tmp_path), Steps(tmp_path)
    place = first.run("a", {"part": "1"}, ["made"], write)
    assert second.run("a", {"part": "1"}, ["made"], write) == place
    assert (first.ran, second.ran, second.reused) == (["a"], [], ["a"])


@pytest.mark.parametrize("spoil", ["key", "file", "missing", "marker", "moved"])
def test_a_step_runs_again_when_something_changed(tmp_path: Path, spoil: str) -> None:
    here = tmp_path / "here"
    Steps(here).run("a", {"part": "1"}, ["made"], write)
    if spoil == "file":
        (here / "a" / "made").write_text("other")
    elif spoil == "missing":
        (here / "a" / "made").unlink()
    elif spoil == "marker":
        (here / ".steps" / "a.json").write_text("{")
    elif spoil == "moved":
        here = here.rename(tmp_path / "there")
    again = Steps(here)
    again.run("a", {"part": "2" if spoil == "key" else "1"}, ["made"], write)
    assert again.ran == ["a"]


def test_what_a_killed_step_left_is_cleared_away(tmp_path: Path) -> None:
    def killed(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Steps(tmp_path).run("a", {}, ["made"], killed)
    assert not (tmp_path / ".steps").exists()
    place = Steps(tmp_path).run("a", {}, ["made"], write)
    assert [path.name for path in place.iterdir()] == ["made"]


def test_a_step_that_ends_well_but_leaves_nothing_has_failed(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="left no made"):
        Steps(tmp_path).run("a", {}, ["made"], lambda folder: None)
    assert not (tmp_path / ".steps").exists()
