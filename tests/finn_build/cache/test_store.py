"""A kept result is used again only when it is whole and everything that it depends on is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finn_build.cache.key import changed_parts, key_of, key_parts
from finn_build.cache.store import Store
from finn_build.config import load_config
from finn_build.errors import UserError


def keep(store: Store, stage: str = "tidy", parts: dict[str, str] | None = None, text: str = "graph") -> None:
    def work(out: Path) -> tuple[float, dict[str, object]]:
        (out / "model.onnx").write_text(text)
        return 1.5, {"checks": []}

    store.run(stage, parts or {"input": "a"}, work)


def test_a_whole_result_with_the_same_key_is_reused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.why_not_reused("tidy", {"input": "a"}) == ["no earlier result"]
    keep(store)
    assert store.why_not_reused("tidy", {"input": "a"}) == []
    kept = store.kept("tidy")
    assert kept is not None
    assert kept.seconds == 1.5
    assert (store.place("tidy") / "model.onnx").read_text() == "graph"


def test_a_changed_part_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, parts={"input model": "a", "setting clock_mhz": "100"})
    assert store.why_not_reused("tidy", {"input model": "a", "setting clock_mhz": "50"}) == ["setting clock_mhz"]
    assert changed_parts({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == ["a", "c"]


@pytest.mark.parametrize("spoil", ["change", "remove"])
def test_a_spoilt_file_is_never_reused(tmp_path: Path, spoil: str) -> None:
    store = Store(tmp_path)
    keep(store)
    file = store.place("tidy") / "model.onnx"
    if spoil == "change":
        file.write_text("other")
    else:
        file.unlink()
    assert store.why_not_reused("tidy", {"input": "a"}) == ["file tidy/model.onnx is not as it was written"]


@pytest.mark.parametrize("kind", ["file", "link", "below"])
def test_a_file_that_was_added_is_no_part_of_a_result(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path, {"tidy": frozenset({"golden.npz"})})
    keep(store)
    place = store.place("tidy")
    (place / "golden.npz").write_text("put there by another stage")
    assert store.why_not_reused("tidy", {"input": "a"}) == []
    added = place / "nodes" / "more.v" if kind == "below" else place / "more.v"
    added.parent.mkdir(exist_ok=True)
    if kind == "link":
        added.symlink_to(tmp_path)
    else:
        added.write_text("module more; endmodule")
    name = added.relative_to(tmp_path)
    assert store.why_not_reused("tidy", {"input": "a"}) == [f"file {name} was added"]
    keep(store)
    assert not added.exists()
    assert store.why_not_reused("tidy", {"input": "a"}) == []


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("name", ["tidy", ".stages", ".partial"])
def test_what_stands_where_a_folder_belongs_is_one_line(tmp_path: Path, kind: str, name: str) -> None:
    store = Store(tmp_path / "build")
    (tmp_path / "build").mkdir()
    (tmp_path / "mine").mkdir()
    taken = tmp_path / "build" / name
    if kind == "file":
        taken.write_text("mine")
    else:
        taken.symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=rf"{name}: expected a folder of results, or nothing, got a {kind}; delete it"):
        keep(store)
    assert taken.is_symlink() or taken.read_text() == "mine"
    taken.unlink()
    keep(store)
    assert store.why_not_reused("tidy", {"input": "a"}) == []


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"format": 1}', '{"format": 99, "parts": {}}'])
def test_a_broken_manifest_counts_as_none(tmp_path: Path, manifest: str) -> None:
    store = Store(tmp_path)
    keep(store)
    (tmp_path / ".stages" / "tidy.json").write_text(manifest)
    assert store.why_not_reused("tidy", {"input": "a"}) == ["no earlier result"]


def test_a_stage_that_fails_leaves_the_earlier_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store)

    def work(out: Path) -> tuple[float, dict[str, object]]:
        (out / "model.onnx").write_text("half")
        raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        store.run("tidy", {"input": "b"}, work)
    assert store.why_not_reused("tidy", {"input": "a"}) == []
    assert not (tmp_path / ".partial").exists()


KILLED = """
import sys, time
from pathlib import Path
from finn_build.cache.store import Store

store = Store(Path(sys.argv[1]))
for turn in range(10000):
    def work(out):
        for part in range(3):
            (out / f"{part}.txt").write_text(str(turn) * 1000)
        return 0.0, {"turn": turn}
    store.run("tidy", {"turn": str(turn)}, work)
    print(turn, flush=True)
"""


def test_killed_at_any_moment_it_never_promises_what_is_not_there(tmp_path: Path) -> None:
    for delay in (0.0, 0.003, 0.007, 0.012, 0.02):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
        store = Store(tmp_path)
        kept = store.kept("tidy")
        if kept is None:
            continue
        assert store.why_not_reused("tidy", kept.parts) == []
        turn = str(kept.report["turn"])
        assert all((store.place("tidy") / f"{part}.txt").read_text() == turn * 1000 for part in range(3))


def test_the_key_holds_contents_settings_sources_and_versions(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_text("one")
    config = load_config("ntu_resnet8_5w5a")
    parts = key_parts("finn_build.config", {"model": model}, {"hardware": config.hardware, "untrained": False})
    assert parts["setting hardware.clock_mhz"] == "100.0"
    assert "source models/spec.py" in parts
    assert "version of finn-plus" in parts
    model.write_text("two")
    other = key_parts("finn_build.config", {"model": model}, {"hardware": config.hardware, "untrained": True})
    assert changed_parts(parts, other) == ["input model", "setting untrained"]
    assert key_of(parts) != key_of(other)


def test_the_key_does_not_hold_places(tmp_path: Path) -> None:
    parts = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "data.bin").write_bytes(b"same")
        parts.append(key_parts("finn_build.config", {"data": folder}, {"path": folder}))
    assert parts[0] == parts[1]


@pytest.mark.parametrize("damage", [{"parts": 5}, {"files": 5}, {"files": {"a": 1}}, {"seconds": "x"}, {"report": []}])
def test_a_damaged_manifest_is_no_result(tmp_path: Path, damage: dict[str, object]) -> None:
    store = Store(tmp_path)
    keep(store)
    manifest = tmp_path / ".stages" / "tidy.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | damage))
    assert store.kept("tidy") is None
    assert store.why_not_reused("tidy", {}) == ["no earlier result"]
