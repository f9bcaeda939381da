"""What `finn-cam fold` found stands in the report of a build with that folding, and in no other."""

import json
from pathlib import Path
from typing import Any

import pytest
from build_helpers import TINY, again
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.cli.app import run
from finn_build.folding.evidence import without_depths
from finn_build.folding.record import read_folded, refresh_report


def report_of(built: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((built / "report.json").read_text())
    return told


def test_it_is_shown_for_that_folding_alone(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config, built = copy / "tiny.toml", copy / "build" / "tiny"
    arguments = [str(config), "--untrained", "--out", str(copy / "build"), "--json"]
    before = report_of(built)
    assert run(["fold", *arguments, "--write"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert report_of(built) == before
    assert before["folding"] is None

    file = copy / "tiny.folding.json"
    config.write_text(TINY.replace("target_fps = 1000.0", f'file = "{file.name}"'))
    again(copy, until="specialise")
    told = report_of(built)
    assert told["folding"]["fps"] == found["fps"]
    assert told["folding"]["heuristic"]["fps"] == found["heuristic"]["fps"]
    assert told["folding"]["fps"] <= told["folding"]["chip_fps"] <= told["folding"]["limit_fps"]
    assert max(node["cycles"] for node in told["folding"]["nodes"]) == found["cycles_per_image"]
    assert '<section id="folding">' in (built / "report.html").read_text()
    _converters_are_those_of_the_graph(told["hardware"], ModelWrapper(str(built / "specialise" / "connected.onnx")))

    # Another clock is another search, and another network too.
    assert read_folded(built, told["hardware"]["part"], 100.0, file) is not None
    assert read_folded(built, told["hardware"]["part"], 50.0, file) is None

    folding = json.loads(file.read_text())
    name = next(name for name in found["folding"] if folding[name].get("PE", 1) > 1)
    folding[name]["PE"] = 1
    file.write_text(json.dumps(folding))
    again(copy, until="specialise")
    assert report_of(built)["folding"] is None
    assert '<section id="folding">' not in (built / "report.html").read_text()

    # A search that finds the build's own folding puts itself into its report.
    record = next((built / "fold").iterdir())
    facts = json.loads(record.read_text())
    facts["folding"] = without_depths(json.loads((built / "specialise" / "folding.json").read_text()))
    from finn_build.folding.record import write_record

    write_record(built, facts)
    assert refresh_report(built, file) == built / "report.html"
    assert report_of(built)["folding"]["fps"] == found["fps"]
    for content in ("", "[]", "{}", '{"part": 1}'):
        for path in (built / "fold").iterdir():
            path.write_text(content)
        assert refresh_report(built, file) is None


def _converters_are_those_of_the_graph(hardware: dict[str, Any], connected: ModelWrapper) -> None:
    names = {node.name for node in connected.graph.node}
    rows = hardware["converters"]
    assert len(rows) == sum(node.op_type.startswith("StreamingDataWidthConverter") for node in connected.graph.node) > 0
    for row in rows:
        assert {row["source"], row["target"]} <= names
        assert not row["source"].startswith("Streaming")
        assert not row["target"].startswith("Streaming")
        assert row["in_bits"] != row["out_bits"]
        assert row["LUT"] > 0
    (note,) = [note for note in hardware["notes"] if "width converter" in note]
    assert f"{sum(row['LUT'] for row in rows):,} LUTs" in note
    assert "\n" not in note


def test_a_folding_for_another_chip_is_not_written_over_the_config_s(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = copy / "tiny.folding.json"
    file.write_text("mine")
    arguments = ["--untrained", "--out", str(copy / "build"), "--board", "KV260", "--write"]
    assert run(["fold", str(copy / "tiny.toml"), *arguments]) == 2
    told = capfd.readouterr().err.splitlines()
    assert told[-1].startswith(
        "finn-cam: --board KV260: expected xc7z020clg400-1, the config's, with --write, got xck26"
    )
    assert file.read_text() == "mine"
