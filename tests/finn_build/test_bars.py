"""A measured figure is shown at its own commit, on its own inputs, and nowhere else."""

from pathlib import Path

import pytest

from finn_build import bars
from finn_build.bars import Measured, digests, holds_still, read_bars, write_bar

COMMIT = "a" * 40


def figure(inputs: dict[str, str], measured: float = 1.0, name: str = "fps") -> Measured:
    return Measured(name, measured, ">=", 1.0, "make verify", COMMIT, inputs)


def test_a_figure_holds_at_its_commit_on_its_inputs(tmp_path: Path) -> None:
    given = tmp_path / "model.onnx"
    given.write_text("one")
    found = figure(digests([given]))
    assert holds_still(found, COMMIT)
    assert not holds_still(found, "b" * 40)
    assert not holds_still(found, None)
    given.write_text("two")
    assert not holds_still(found, COMMIT)


def test_only_what_holds_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "verify.json"
    write_bar(path, figure({}, 0.5))
    write_bar(path, figure({}, 2.0))
    write_bar(path, figure({"requirements.lock": "other"}, name="stale"))
    assert [entry.measured for entry in read_bars(path)] == [2.0, 1.0]
    monkeypatch.setattr(bars, "clean_commit", lambda: COMMIT)
    assert [(bar.name, bar.passed) for bar in bars.bars_to_show(path)] == [("fps", True)]
    monkeypatch.setattr(bars, "clean_commit", lambda: None)
    assert bars.bars_to_show(path) == []


def test_a_broken_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    for text in ("", "[]", '{"figures": [{"name": 1}]}'):
        path.write_text(text)
        assert read_bars(path) == []
