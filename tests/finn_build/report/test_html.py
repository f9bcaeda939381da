"""The page: complete, self-contained, escaped, repeatable, and readable when parts are missing."""

import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from finn_build.errors import UserError
from finn_build.report.hardware import Resources
from finn_build.report.html import render_html, write_html
from finn_build.report.schema import Example, Report, Score, Stage, Verification, check
from finn_build.report.words import compact, duration, percent, size_in_bytes

VOID = {"meta", "link", "img", "br", "path", "use", "rect"}
HOSTILE = "<script>alert('x')</script> & \"$\\alpha$\""


class Page(HTMLParser):
    """Collects text, ids and references, and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} has a handler"
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href"):
                self.references.append(value or "")

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def html(report: Report, folder: Path) -> str:
    return render_html(report, folder)


def test_it_needs_nothing_but_itself(html: str) -> None:
    page = Page(html)
    assert "script" not in page.tags
    assert "iframe" not in page.tags
    for reference in page.references:
        assert reference.startswith(("#", "data:")), reference
    for reference in page.references:
        if reference.startswith("#"):
            assert reference[1:] in page.ids, reference
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"url\((?!#|data:)", html)
    assert "@import" not in html
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert not re.search(r"https?://", without_namespaces)


def test_the_same_report_gives_the_same_bytes(html: str, report: Report, folder: Path) -> None:
    assert render_html(report, folder) == html


def test_it_says_what_the_report_says(html: str, report: Report) -> None:
    words = Page(html).words
    assert "Every check passed: 16 checks, 56 comparisons" in words
    assert "678 FPS" in words
    assert "86.51 %" in words
    assert "0 mismatches" in words
    assert "0.71 level off float64" in words
    assert "Fits PYNQ-Z2 by estimate; LUT and FF are lower bounds" in words
    assert report.hardware is not None
    for layer in report.hardware.layers:
        assert layer.name in words
    for stage in report.stages:
        assert stage.name in words
    assert "bottleneck MVAU_1: 147,456" in words
    assert "peak 80, 38 · box 56, 14 to 104, 68" in words
    assert "23 allowed" in words
    assert "Timing: whether the placed and routed design meets the clock" in words


def test_colours_follow_the_page(html: str) -> None:
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        assert "var(--series-0)" in svg
        assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", svg)
    css = html[html.index("<style>") : html.index("</style>")]
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    for variable in set(re.findall(r"var\(--([\w-]+)\)", html)) - {"share"}:
        assert f"--{variable}:" in light, variable
        assert f"--{variable}:" in dark[: dark.index("* {")], variable


def test_strings_of_users_are_escaped(report: Report, folder: Path) -> None:
    example = report.examples[0].model_copy(
        update={"label": HOSTILE, "image": HOSTILE, "top": (Score(label=HOSTILE, score=1.0),), "truth": HOSTILE}
    )
    assert report.hardware is not None
    first = report.hardware.layers[0].model_copy(update={"name": f"{HOSTILE}0"})
    hardware = report.hardware.model_copy(update={"layers": (first, *report.hardware.layers[1:])})
    stage = Stage(name=HOSTILE, seconds=1, checks=(check(HOSTILE, 2, "<=", 1, detail=HOSTILE),))
    changed = report.model_copy(
        update={
            "config": HOSTILE,
            "examples": (example,),
            "hardware": hardware,
            "stages": (stage,),
            "command": HOSTILE,
            "versions": {HOSTILE: HOSTILE},
        }
    )
    text = render_html(changed, folder)
    page = Page(text)
    assert "script" not in page.tags
    assert page.words.count("alert('x')") >= 9


def test_what_failed_is_said_and_opened(report: Report, folder: Path) -> None:
    row = Verification(stage="lower", output="tap", values=100, mismatches=3, max_abs_diff=1)
    assert report.hardware is not None
    hardware = report.hardware.model_copy(update={"resources": Resources(LUT=1_203_440, DSP=12)})
    stages = (
        Stage(name="lower", seconds=1, checks=(check("values that differ", 3, "==", 0, detail="tap at [0, 1, 2, 3]"),)),
        Stage(name="estimate", seconds=1, checks=(check("LUT", 1_203_440, "<=", 42_560),)),
    )
    failed = report.model_copy(update={"stages": stages, "verification": (row,), "hardware": hardware})
    text = render_html(failed, folder)
    words = Page(text).words
    assert "3 of 3 checks and comparisons failed" in words
    assert "lower: values that differ is 3, limit = 0 (tap at [0, 1, 2, 3])" in words
    assert "Does not fit PYNQ-Z2: over the budget in LUT by 1,160,880" in words
    assert "≥ 1,203,440 of 53,200, 2262%" in words
    assert text.count('<details open class="">') == 2
    assert 'class="verdict fail"' in text


def test_many_failures_are_counted_not_listed(report: Report, folder: Path) -> None:
    rows = tuple(Verification(stage="rtl", output=f"image {i}", values=1, mismatches=1) for i in range(500))
    words = Page(render_html(report.model_copy(update={"verification": rows}), folder)).words
    assert "500 of 516 checks and comparisons failed" in words
    assert "and 492 more" in words


def test_a_build_that_was_stopped_early_is_no_success(folder: Path, sample: ModuleType) -> None:
    early = Report(config="ntu_resnet8_5w5a", until="streamline", stages=sample.stages()[:4])
    text = render_html(early, folder)
    words = Page(text).words
    assert "up to stage streamline, where the build was told to stop" in words
    assert "not measured no data set" in words
    assert "not estimated" in words
    assert 'class="verdict part"' in text
    assert "finn-cam build ntu_resnet8_5w5a --until streamline" in words
    assert "<svg" not in text


def test_a_report_of_nothing_says_so(folder: Path) -> None:
    assert "Nothing was checked" in Page(render_html(Report(config="a"), folder)).words


def test_long_graphs_and_many_classes(report: Report, folder: Path, sample: ModuleType) -> None:
    assert report.cam is not None
    cam = report.cam.model_copy(update={"classes": 1000, "map": (14, 14), "output": (224, 224)})
    label = "Siberian husky, Alaskan malamute, Eskimo dog, sled dog"
    example = report.examples[0].model_copy(update={"class_": 999, "label": label, "box": None, "peak": None})
    large = report.model_copy(update={"hardware": sample.hardware(4, True), "cam": cam, "examples": (example,)})
    text = render_html(large, folder)
    words = Page(text).words
    assert "176 converters and FIFOs" in words
    assert "the slowest 48 of 176 layers on a narrow screen" in words
    assert "1,000 classes" in words
    assert label in words
    assert "no peak, the map is constant" in words
    assert len(text) < 1_500_000


def test_layers_without_estimates_are_dashes(report: Report, folder: Path) -> None:
    assert report.hardware is not None
    bare = [layer.model_copy(update={"cycles": None, "LUT": None}) for layer in report.hardware.layers]
    resources = Resources(LUT=None, FF=None, BRAM18=None, DSP=None, slices=None)
    hardware = report.hardware.model_copy(update={"layers": tuple(bare), "resources": resources})
    text = render_html(report.model_copy(update={"hardware": hardware, "layers": ()}), folder)
    assert "<svg" not in text
    assert "–" in Page(text).words


def test_no_column_stays_empty(report: Report, folder: Path) -> None:
    assert "operator" in Page(render_html(report, folder)).words
    layers = tuple(layer.model_copy(update={"op": ""}) for layer in report.layers)
    assert "operator" not in Page(render_html(report.model_copy(update={"layers": layers}), folder)).words


def test_a_missing_picture_is_told(report: Report, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"examples/example.png: expected a picture of the report, got No such file"):
        render_html(report, tmp_path)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/example.png").write_bytes(b"<svg onload=alert(1)>")
    with pytest.raises(UserError, match="expected a PNG file"):
        render_html(report, tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.png", "a/../../b.png", "C:a.png", "a\\b.png", ""])
def test_pictures_stay_below_the_report(path: str) -> None:
    with pytest.raises(ValueError, match="below the report"):
        Example(image="a", class_=0, label="a", score=0.5, picture=path)


def test_it_is_written_beside_its_pictures(html: str, report: Report, folder: Path) -> None:
    write_html(report, folder / "report.html")
    assert (folder / "report.html").read_text(encoding="utf-8") == html


def test_figures_in_words() -> None:
    assert [duration(s) for s in (0.0004, 0.034, 0.96, 12.34, 125, 7260)] == [
        "0 ms",
        "34 ms",
        "1.0 s",
        "12.3 s",
        "2 min 05 s",
        "2 h 01 min",
    ]
    assert [compact(n) for n in (9_999, 12_300, 49_100_000, 2_300_000_000)] == ["9,999", "12.3 k", "49.1 M", "2.3 G"]
    assert [percent(0.86514), percent(None)] == ["86.51 %", "–"]
    assert [size_in_bytes(n) for n in (512, 48_000, 1_480_222)] == ["512 bytes", "48 kB", "1.5 MB"]
