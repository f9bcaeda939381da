"""Recall, precision and confusions against counts worked out by hand, and as the page shows them."""

from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from finn_build.report.classes import class_rows, classes, short_labels
from finn_build.report.html import render_html
from finn_build.report.schema import Accuracy, Report
from models.ship import COPY

LABELS = ["cat", "<i>dog</i>", "emu"]
MATRIX = [[6, 1, 1], [4, 0, 0], [0, 0, 0]]


def test_rows_follow_from_the_counts() -> None:
    cat, dog, emu = class_rows(LABELS, MATRIX)
    assert (cat.images, cat.recall, cat.precision) == (8, 0.75, 0.6)
    # Of two mistakes as frequent the class that comes first.
    assert cat.mistaken == ("<i>dog</i>", 1)
    assert (dog.images, dog.recall, dog.precision, dog.mistaken) == (4, 0.0, 0.0, ("cat", 4))
    assert (emu.images, emu.recall, emu.precision, emu.mistaken) == (0, None, 0.0, None)
    assert dog.told == ("0.00 %", "0.00 %", "cat (4)")
    assert emu.told == ("–", "0.00 %", "–")
    shown = classes(LABELS, MATRIX)
    assert shown is not None
    assert shown["matrix"][0] == ("cat", [(6, 75, True), (1, 12, False), (1, 12, False)])
    assert classes(LABELS, []) is None
    assert short_labels(["airplane", "automobile", "lemon", "lemonade"]) == ["airp", "auto", "2", "3"]


def test_the_page_shows_them_and_escapes_labels(sample: ModuleType, tmp_path: Path) -> None:
    def page(labels: list[str], matrix: list[list[int]]) -> str:
        found = Accuracy(dataset="folder", split="test", images=12, integer=0.5, labels=labels, confusion=matrix)
        return render_html(Report(config="x", accuracy=found, stages=sample.stages()[:2]), tmp_path)

    html = page(LABELS, MATRIX)
    assert "Confusion matrix" in html
    assert "<i>dog" not in html
    assert html.count('class="num right"') == 3
    assert html.count('class="num wrong"') == 6
    assert "60.00 %" in html
    many = [[int(row == column) for column in range(40)] for row in range(40)]
    html = page([f"class {i}" for i in range(40)], many)
    assert "Confusion matrix" not in html
    assert "class 39" in html
    with pytest.raises(ValidationError, match="a row and a column a label"):
        Accuracy(dataset="folder", split="test", images=1, labels=("a",), confusion=((1, 0), (0, 1)))


def test_a_copy_of_a_data_set_is_called_one(sample: ModuleType, tmp_path: Path) -> None:
    def page(note: str) -> str:
        found = Accuracy(dataset="cifar10", split="test", images=8000, integer=0.5, note=note)
        return render_html(Report(config="x", accuracy=found, stages=sample.stages()[:2]), tmp_path)

    told = page(f"{COPY}.")
    assert "cifar10 (a copy), 8,000 test images" in told
    assert f"8,000 images. {COPY}." in told
    assert "a copy" not in page("")
