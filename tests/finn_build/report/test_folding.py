"""The report's section on folding: both foldings, the proof, the limits and the picture."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from finn_build.report.folded import Folded
from finn_build.report.html import render_html
from finn_build.report.schema import Report
from finn_build.report.terminal import render

DEVICE = {"LUT": 53200, "FF": 106400, "BRAM18": 280, "DSP": 220, "slices": 13300}


def node(name: str, op: str, cycles: int, other: int, **more: object) -> dict[str, object]:
    took = {"LUT": 400, "FF": 300, "BRAM18": 0, "DSP": 0} | more
    return {"node": name, "op": op, "cycles": cycles, "folding": "4×36 lut block", "error": {"LUT": 0.09, "FF": None},
            "heuristic": {"cycles": other, "folding": "8×6"}, **took}  # fmt: skip


@pytest.fixture
def facts() -> dict[str, object]:
    whole = {"LUT": 30000, "FF": 22000, "BRAM18": 224, "DSP": 162, "slices": 10000}
    return {
        "config": "a", "folding": {"MVAU_rtl_0": {"PE": 4}}, "seconds": 18.3, "total_seconds": 40.0,
        "part": "xc7z020clg400-1", "clock_mhz": 100.0, "fps": 1525.88, "cycles_per_image": 65536,
        "bottleneck": "MVAU_rtl_0", "resources": whole, "resources_error": {"LUT": 0.09, "FF": 0.08}, "share": 0.8,
        "budget": {key: int(0.8 * value) for key, value in DEVICE.items()}, "device": DEVICE,
        "optimal": True, "gap": 0.0, "area_gap": 0.0, "limit_fps": 10767.74, "chip_fps": 2034.5,
        "wanted_fps": None, "with_fifos": None,
        "heuristic": {"fps": 508.63, "cycles_per_image": 196608, "resources": {**whole, "LUT": 24613}},
        "next_step": {"fps": 1808.45, "limited_by": ["DSP", "slices"]},
        "memories": [{"node": "MVAU_rtl_1", "bits": 46080, "BRAM18": 20, "efficiency": 0.125}],
        "nodes": [node("MVAU_rtl_0", "MVAU", 65536, 98304), node("<b>&", "FMPadding", 3468, 3468),
                  node("MVAU_rtl_1", "MVAU", 65536, 196608, BRAM18=20)],
        "error": {"Thresholding": {"points": 11, "LUT": 0.117, "FF": 0.035}, "FMPadding": {"points": 3}},
        "published": [{"name": "another's", "LUT": 40593, "FF": 63355, "BRAM36": 76}],
        "evidence": {
            "synthesis": None,
            "simulation": {"images": 8, "values": 8640, "mismatches": 0, "interval_cycles": 66147, "cam": "C++",
                           "latency_cycles": 96732, "predicted": {"interval_cycles": 66146}, "added later": 1},
        },
    }  # fmt: skip


def shown(report: Report, folder: Path, folded: Folded | None) -> tuple[str, str]:
    """The page, and the words of its section on folding."""
    text = render_html(report.model_copy(update={"folding": folded, "examples": (), "layers": ()}), folder)
    found = re.search(r'<section id="folding">.*?</section>', text, re.DOTALL)
    return text, "" if found is None else " ".join(re.sub(r"<[^>]*>", " ", found[0]).split())


def test_both_foldings_the_proof_and_the_limits_are_shown(
    report: Report, folder: Path, facts: dict[str, object]
) -> None:
    text, words = shown(report, folder, Folded.of(facts))
    assert "FPS 509 1,526" in words
    assert "LUT 24,613 30,000 ±9% 42,560 53,200" in words
    assert "no legal folding within the budget is faster, and none as fast is smaller; searched for 18 s" in words
    assert "3.00 times its rate" in words
    assert "1,808 FPS, for which it wants more DSP or slices" in words
    assert "no folding within 100 % of it reaches more than 2,034 FPS" in words
    assert "MVAU_rtl_0 and 1 more" in words
    assert "MVAU_rtl_1 46,080 20 12%" in words
    assert "66,147 cycles, 66,146 by the stream model, 0.9% above the optimum" in words
    assert "another's: 40,593 LUT" in words.replace("&#39;", "'")
    assert "Synthesised as it is" not in words
    assert text.count('aria-label="Cycles of each node') == 2
    assert "MVAU_rtl_1: 65,536 cycles (4×36 lut block), SetFolding 196,608 (8×6)" in text
    assert "<b>&</b>" not in text
    assert "<b>&" not in text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_a_gap_is_told_and_what_is_missing_is_left_out(report: Report, folder: Path, facts: dict[str, object]) -> None:
    facts |= {"optimal": False, "gap": 0.031, "heuristic": None, "next_step": None, "memories": [], "evidence": None}
    facts |= {
        "wanted_fps": 500.0,
        "with_fifos": {"budget": 0.78, "fps": 1511.8, "cycles_per_image": 66146, "resources": {"LUT": 31000}},
    }
    facts["nodes"] = [{**one, "heuristic": None} for one in facts["nodes"]]  # type: ignore[attr-defined]
    _, words = shown(report, folder, Folded.of(facts))
    assert "not complete: at most 3.1% fewer cycles are possible" in words
    assert "The smallest accelerator for 500 frames a second" in words
    assert "FPS 1,526 1,512 LUT" in words
    assert "LUT 30,000 ±9% 31,000 42,560 53,200" in words
    assert "FINN's SetFolding" not in words.replace("&#39;", "'").split("Balance")[1]
    assert "next step up" not in words
    assert "Weights in block RAM" not in words
    facts |= {"gap": 0.0, "area_gap": 0.02}
    assert "none is faster; one as fast might be 2.0% smaller" in shown(report, folder, Folded.of(facts))[1]


def test_a_report_without_a_search_has_no_such_section(report: Report, folder: Path) -> None:
    text, words = shown(report, folder, None)
    assert words == ""
    assert "#folding" not in text


def test_evidence_of_synthesis_stands_beside_its_prediction(
    report: Report, folder: Path, facts: dict[str, object]
) -> None:
    amounts = {"BRAM18": 211, "DSP": 158, "FF": 19411, "LUT": 28404}
    error = {"BRAM18": 0.0284, "DSP": 0.0, "FF": 0.0266, "LUT": -0.0176}
    found = {"resources": amounts, "predicted": {**amounts, "LUT": 27904}, "error": error, "modules": 137}
    facts["evidence"] = {"synthesis": found, "simulation": None}
    words = shown(report, folder, Folded.of(facts))[1]
    assert "LUT 27,904 28,404 -1.8% FF 19,411 19,411 +2.7% BRAM18 211 211 +2.8% DSP 158 158 +0.0%" in words
    assert "Simulated as it is" not in words


def test_the_terminal_has_it_in_a_line(report: Report, facts: dict[str, object]) -> None:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    console.print(render(report.model_copy(update={"folding": Folded.of(facts)})))
    assert isinstance(console.file, io.StringIO)
    (line,) = [line for line in console.file.getvalue().splitlines() if line.startswith("  folding")]
    assert line.split(None, 1)[1] == "proven optimal; SetFolding 509 FPS; 1,808 FPS wants more DSP or slices"
