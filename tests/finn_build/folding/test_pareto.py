"""The front of rate against area: rising, within the chip, and the same in the table as in the picture."""

import csv
from pathlib import Path

import pytest
from graph_helpers import PART, chain

from finn_build.folding.fold import Target, fold
from finn_build.folding.pareto import FrontPoint, draw, front, undominated, write_csv
from finn_build.graph.specialise import specialise


def test_a_faster_point_takes_more_and_stays_within_the_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finn_build.folding.pareto.STEPS", 4)
    target, told = Target(PART, 100.0, 0.8), []
    found = fold(specialise(chain().generic, PART)[0], target, "rtl", fps=None, seconds=20.0)
    points = front(found, target, told.append)
    assert len(points) >= 4
    assert told[-1] == 1

    def area(index: int) -> float:
        return sum(amount / target.device[name] for name, amount in points[index].amounts.items())

    for index, point in enumerate(points):
        assert all(amount <= target.device[name] for name, amount in point.amounts.items())
        if index:
            assert point.fps > points[index - 1].fps
    assert area(0) < area(len(points) - 1)
    assert any(point.cycles <= found.solution.cycles for point in points)

    write_csv(points, tmp_path / "pareto.csv")
    with (tmp_path / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cycles"]) for row in rows] == [point.cycles for point in points]
    assert [int(row["DSP"]) for row in rows] == [round(point.amounts["DSP"]) for point in points]
    for name, first in (("pareto.png", b"\x89PNG"), ("pareto.svg", b"<?xml")):
        draw(points, target, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(first)


def test_a_point_that_another_beats_is_left_out() -> None:
    def point(cycles: int) -> FrontPoint:
        return FrontPoint(cycles, 1e8 / cycles, {}, 0.0)

    # As fast and larger, slower and larger, slower and as large: a solver's gap, or a folding faster than was asked.
    given = [(point(9), 1.0), (point(8), 2.0), (point(8), 2.0), (point(7), 2.0), (point(6), 3.0), (point(6), 3.1)]
    given += [(point(10), 1.5)]
    assert [kept.cycles for kept in undominated(given)] == [9, 7, 6]
