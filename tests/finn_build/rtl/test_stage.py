"""The build's short simulation, the rule by which it runs, and what the report shows of it."""

import json

import pytest
from small_accelerator import PACKET_BYTES, golden_set, small_code

from finn_build.conclude import _recorded
from finn_build.config import CamSettings, HardwareSpec
from finn_build.report.html import render_html
from finn_build.report.schema import Report
from finn_build.rtl.record import read_record, write_record
from finn_build.stages.simulate import IMAGES, MOST_CYCLES, simulate_hardware, why_not


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage")
    small_code(folder / "code")
    golden_set(folder / "golden.npz")
    return folder


def simulated(made, out, programs, **changed):
    given = {
        "generated": made / "code" / "graph.onnx", "code": made / "code", "golden": made / "golden.npz",
        "hardware": HardwareSpec(), "cam": CamSettings(backend="rtl"), "fits": True, "cycles_per_image": 2000,
        "programs": programs, "verilator": "5", "out": out, "progress": lambda share: None,
    }  # fmt: skip
    return simulate_hardware(**{**given, **changed})


@pytest.fixture(scope="module")
def result(made, programs, tmp_path_factory):
    return simulated(made, tmp_path_factory.mktemp("out"), programs)


def test_a_build_compares_every_word_of_a_few_images(result):
    (row,) = result.verification
    assert (row.stage, row.values, row.mismatches, row.method) == ("rtl", IMAGES * PACKET_BYTES, 0, "executed")
    found = result.facts["simulation"]
    assert {
        "images", "values", "mismatches", "latency_cycles", "interval_cycles", "fps", "cycles_per_second", "fifos"
    } <= set(found)  # fmt: skip
    assert all(len(layer["first"]) == len(layer["last"]) == IMAGES for layer in found["timeline"])
    assert not any(layer["name"].startswith("StreamingFIFO") for layer in found["timeline"])


def test_the_report_draws_layers_over_cycles(result, tmp_path):
    report = Report.model_validate({"config": "small", "simulation": result.facts["simulation"]})
    page = render_html(report, tmp_path)
    assert "Layers over cycles" in page
    assert "Thresholding_rtl_0, image 2: cycles" in page
    assert "the CAM block&#39;s C++" not in page


def test_why_a_simulation_did_not_run_stands_in_the_report(made, programs, tmp_path):
    found = simulated(made, tmp_path, programs, fits=False)
    assert found.verification == ()
    page = render_html(Report.model_validate({"config": "small", **found.facts}), tmp_path)
    assert "Not run: the accelerator exceeds the chip&#39;s budget; finn-cam simulate runs it all the same." in page


def test_the_rule():
    assert why_not(True, 200_000) == ""
    assert "exceeds the chip's budget" in why_not(False, 1)
    assert f"are more than {MOST_CYCLES:,}" in why_not(True, MOST_CYCLES // 4)


def test_a_node_without_rtl_is_named(made, programs, tmp_path):
    found = simulated(made, tmp_path, programs, hardware=HardwareSpec(head="logits"))
    assert found.facts["simulation"]["not_run"].startswith("a network that ends in logits")


def test_a_record_of_other_code_is_never_shown(tmp_path):
    code = tmp_path / "codegen" / "nodes"
    code.mkdir(parents=True)
    (code / "memblock.dat").write_text("1\n")
    path = write_record(tmp_path, "simulation", {"images": 100})
    assert read_record(tmp_path, "simulation") == {"images": 100}
    assert read_record(tmp_path, "synthesis") is None
    (code / "memblock.dat").write_text("2\n")
    assert read_record(tmp_path, "simulation") is None
    (code / "memblock.dat").write_text("1\n")
    path.write_text(json.dumps(["damaged"]))
    assert read_record(tmp_path, "simulation") is None


def test_the_longer_simulation_is_shown_and_a_record_of_another_version_is_not(result, tmp_path):
    (tmp_path / "codegen").mkdir()
    short = result.facts
    assert _recorded(tmp_path, short) == {}
    write_record(tmp_path, "simulation", {**short["simulation"], "images": 100})
    assert _recorded(tmp_path, short)["simulation"].images == 100
    write_record(tmp_path, "simulation", {**short["simulation"], "images": IMAGES})
    assert _recorded(tmp_path, short) == {}
    write_record(tmp_path, "simulation", {**short["simulation"], "images": 100, "colour": "blue"})
    assert _recorded(tmp_path, short) == {}
