"""Coefficients of the cost models, fitted to the calibration points, and how far off they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls  # type: ignore[import-untyped]

from finn_build.errors import UserError
from finn_build.folding.costs.cost import Cost
from finn_build.folding.costs.forms import Form, Size, form

FILE = Path(__file__).with_name("calibration.json")
SMALL = 30.0
"""LUTs or flip-flops below which an error counts no more: of a module of 5, 4 is as good."""
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """One unit's coefficients.

    Attributes:
        points: calibrated on.
        lut: coefficients of the terms of its LUTs.
        ff: likewise of its flip-flops.
        lut_error: root mean square of the relative error at points that were left out of the fit: one at a time, or
            where they are too few for that, those held out; None without either.
        ff_error: likewise.
        exact_errors: points at which block RAMs or DSPs are others than predicted.
    """

    points: int
    lut: tuple[float, ...]
    ff: tuple[float, ...]
    lut_error: float | None
    ff_error: float | None
    exact_errors: int


@dataclass(frozen=True)
class Calibrated:
    """A synthesised module and its form."""

    kind: str
    size: Mapping[str, Any]
    form: Form
    took: Mapping[str, int]
    held_out: bool = False


@cache
def calibration() -> tuple[Calibrated, ...]:
    """The stored points.

    Raises:
        UserError: the file is missing or no calibration.
    """
    try:
        rows = json.loads(FILE.read_text(encoding="utf-8"))["points"]
    except (OSError, ValueError, KeyError) as error:
        remedy = "python -m finn_build.folding.costs.calibrate makes it again"
        raise UserError(str(FILE), "calibration points of the cost models", str(error), remedy) from None
    found = []
    for row in rows:
        size = {key: value for key, value in row.items() if key not in ("kind", "took", "seconds", "held_out")}
        made = form(row["kind"], size)
        found.append(Calibrated(row["kind"], size, made, row["took"], row.get("held_out", False)))
    return tuple(found)


@cache
def fits() -> Mapping[str, Fit]:
    """The fit of every unit."""
    units: dict[str, list[Calibrated]] = {}
    for point in calibration():
        units.setdefault(point.form.unit, []).append(point)
    return {unit: _fit(points) for unit, points in units.items()}


def predict(kind: str, size: Size) -> Cost:
    """What a module takes.

    Raises:
        UserError: no point of its unit was calibrated.
    """
    found = form(kind, size)
    unit = fits().get(found.unit)
    if unit is None:
        remedy = "python -m finn_build.folding.costs.calibrate makes them"
        raise UserError(f"cost model {found.unit}", "calibration points", "none", remedy)
    lut, ff = (float(np.dot(terms, by)) for terms, by in ((found.lut, unit.lut), (found.ff, unit.ff)))
    return Cost(lut, ff, found.bram18, found.dsp)


def _fit(points: list[Calibrated]) -> Fit:
    fitted, held_out = ([p for p in points if p.held_out == kept] for kept in (False, True))
    found: dict[str, tuple[tuple[float, ...], float | None]] = {}
    for key in ("LUT", "FF"):
        left, right = _system(fitted, key)
        by = _solve(left, right)
        found[key] = tuple(by), _error(left, right) if not held_out else _relative(by, *_system(held_out, key))
    wrong = sum(p.took["BRAM18"] != p.form.bram18 or p.took["DSP"] != p.form.dsp for p in points)
    return Fit(len(fitted), found["LUT"][0], found["FF"][0], found["LUT"][1], found["FF"][1], wrong)


def _system(points: list[Calibrated], key: str) -> tuple[Array, Array]:
    terms = [point.form.lut if key == "LUT" else point.form.ff for point in points]
    return np.array(terms, np.float64), np.array([point.took[key] for point in points], np.float64)


def _relative(by: Array, terms: Array, took: Array) -> float:
    """Root mean square of the relative errors of coefficients at points that they were not fitted to."""
    return float(np.sqrt(np.mean(np.square((terms @ by - took) / np.maximum(took, SMALL)))))


def _solve(terms: Array, took: Array) -> Array:
    """Least squares of relative errors, no coefficient negative."""
    weight = 1.0 / np.maximum(took, SMALL)
    found: Array = nnls(terms * weight[:, None], took * weight)[0]
    return found


def _error(terms: Array, took: Array) -> float | None:
    """Root mean square of the relative errors, each point predicted from the others."""
    if len(took) <= terms.shape[1] + 1:
        return None
    errors = []
    for index in range(len(took)):
        others = np.arange(len(took)) != index
        predicted = float(terms[index] @ _solve(terms[others], took[others]))
        errors.append((predicted - took[index]) / max(took[index], SMALL))
    return float(np.sqrt(np.mean(np.square(errors))))
