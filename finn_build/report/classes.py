"""Which class is taken for which: recall, precision and the confusion matrix, for the page and the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finn_build.report.words import percent

MOST_SHOWN = 30
"""More classes than this make no matrix that one can read; the table shows them all."""
MOST_KEPT = 100
"""More classes than this make a matrix too large for the report."""

Matrix = Sequence[Sequence[int]]


@dataclass(frozen=True)
class ClassRow:
    """One class, as fractions of images.

    Attributes:
        label: its name.
        images: how many there are.
        recall: of its images, how many are recognised; None without images.
        precision: of the images that are said to be it, how many are; None without any.
        mistaken: the class that it is most often taken for, and how often; None if never.
    """

    label: str
    images: int
    recall: float | None
    precision: float | None
    mistaken: tuple[str, int] | None

    @property
    def told(self) -> tuple[str, str, str]:
        """Recall, precision and the most frequent mistake, in words."""
        mistake = "–" if self.mistaken is None else f"{self.mistaken[0]} ({self.mistaken[1]})"
        return percent(self.recall), percent(self.precision), mistake


def class_rows(labels: Sequence[str], matrix: Matrix) -> list[ClassRow]:
    """Every class of a confusion matrix, whose rows are the truth and whose columns the answers."""
    answers = [sum(column) for column in zip(*matrix, strict=True)]
    found = []
    for index, (label, row) in enumerate(zip(labels, matrix, strict=True)):
        images, hits = sum(row), row[index]
        wrong = [(count, -other) for other, count in enumerate(row) if other != index and count]
        worst = max(wrong, default=None)
        found.append(
            ClassRow(
                label,
                images,
                hits / images if images else None,
                hits / answers[index] if answers[index] else None,
                None if worst is None else (labels[-worst[1]], worst[0]),
            )
        )
    return found


def classes(labels: Sequence[str], matrix: Matrix) -> dict[str, Any] | None:
    """What the page shows: the rows, and a matrix with the shade of each cell (its share of the row, in percent)."""
    if not matrix:
        return None
    cells = [
        [(count, round(100 * count / max(1, sum(row))), index == other) for other, count in enumerate(row)]
        for index, row in enumerate(matrix)
    ]
    return {
        "labels": list(labels),
        "rows": class_rows(labels, matrix),
        "matrix": list(zip(labels, cells, strict=True)) if len(matrix) <= MOST_SHOWN else [],
    }


def short_labels(labels: Sequence[str], width: int = 4) -> list[str]:
    """The first letters of each label, or its number where several begin alike."""
    cut = [label[:width] for label in labels]
    return [str(index) if cut.count(name) > 1 else name for index, name in enumerate(cut)]
