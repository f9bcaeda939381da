"""The overview on a terminal: short, complete, without colour or escape codes where there is no terminal."""

import io
from types import ModuleType

from rich.console import Console

from finn_build.report.hardware import Implementation, Resources
from finn_build.report.schema import Report, Stage, Verification, check
from finn_build.report.terminal import render


def shown(report: Report, width: int = 100, terminal: bool = False, encoding: str = "utf-8") -> list[str]:
    """The lines that a console prints."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=stream, width=width, force_terminal=terminal, highlight=False, markup=False, soft_wrap=True)
    console.print(render(report))
    return raw.getvalue().decode(encoding).rstrip("\n").split("\n")


def test_it_is_short_and_says_what_matters(report: Report) -> None:
    lines = shown(report)
    text = "\n".join(lines)
    assert len(lines) <= 40
    for words in (
        "✓ Every check passed: 16 checks, 56 comparisons",
        "678 FPS",
        "86.51 %",
        "0 mismatches",
        "Fits PYNQ-Z2 by estimate",
        "94 / 176",
        "147,456  MVAU_rtl_1",
        "example.png: cat 94.21 %, box 56, 14 to 104, 68",
        "without bitfile",
        "9 ran in 19.4 s, 3 reused",
    ):
        assert words in text
    assert "\x1b" not in text


def test_vivados_figures_are_shown(report: Report) -> None:
    used = Resources(LUT=21543, FF=29876, BRAM18=123, DSP=12, slices=8912)
    found = Implementation(
        tool="Vivado 2024.2", state="routed", used=used, accelerator=used, clock_mhz=100.0, highest_mhz=103.6,
        setup_ns=0.343, hold_ns=0.016, pulse_ns=3.75, failing=0, endpoints=92471,
    )  # fmt: skip
    text = "\n".join(shown(report.model_copy(update={"implementation": found})))
    assert "routed, slack 0.343 ns at 100 MHz" in text
    assert "LUT 21,543, FF 29,876, BRAM18 123, DSP 12, slices 8,912" in text


def test_a_terminal_gets_colour_and_lines_that_fit(report: Report) -> None:
    lines = shown(report, width=72, terminal=True)
    assert any("\x1b[" in line for line in lines)
    plain = shown(report.model_copy(update={"examples": ()}), width=72)
    assert any(len(line) > 72 for line in plain), "what goes to a file is not cut"
    console = Console(width=72, force_terminal=True, file=io.StringIO(), color_system=None)
    console.print(render(report))
    assert all(len(line) <= 72 for line in console.file.getvalue().split("\n"))  # type: ignore[attr-defined]


def test_failures_come_first_and_are_limited(report: Report) -> None:
    rows = tuple(Verification(stage="rtl", output=f"image {i}", values=1, mismatches=1) for i in range(50))
    stage = Stage(name="estimate", seconds=1, checks=(check("LUT", 60_000, "<=", 42_560),))
    assert report.hardware is not None
    hardware = report.hardware.model_copy(update={"resources": Resources(LUT=60_000)})
    lines = shown(report.model_copy(update={"verification": rows, "stages": (stage,), "hardware": hardware}))
    assert lines[1] == "✗ 51 of 51 checks and comparisons failed"
    assert lines[2] == "  estimate: LUT is 60,000, limit ≤ 42,560"
    assert "  and 45 more" in lines
    assert "Does not fit PYNQ-Z2: over the budget in LUT by 17,440" in "\n".join(lines)
    assert len(lines) <= 40


def test_a_partial_build_and_an_empty_report_are_shown(sample: ModuleType) -> None:
    early = Report(config="a", until="tidy", stages=sample.stages()[:3])
    text = "\n".join(shown(early))
    assert "· Every check passed up to stage tidy" in text
    assert "not measured" in text
    assert "Nothing was checked" in "\n".join(shown(Report(config="a")))


def test_the_largest_report_stays_short(report: Report, sample: ModuleType) -> None:
    rows = tuple(Verification(stage="rtl", output=f"image {i}", values=1, mismatches=1) for i in range(500))
    large = report.model_copy(
        update={"hardware": sample.hardware(5, True), "verification": rows, "examples": report.examples * 9}
    )
    assert len(shown(large)) <= 40


def test_names_cannot_steer_the_terminal(report: Report) -> None:
    example = report.examples[0].model_copy(update={"image": "a\x1b[2J\r\n.png", "label": "[red]\x9b31mcat"})
    lines = shown(report.model_copy(update={"examples": (example,)}))
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "a?[2J?.png: [red]?31mcat" in text


def test_plain_ascii_where_there_is_no_more(report: Report) -> None:
    lines = shown(report, encoding="ascii")
    assert lines[1] == "+ Every check passed: 16 checks, 56 comparisons"
    assert "> 12,690 / 42,560" in "\n".join(lines)
