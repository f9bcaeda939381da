"""Exact comparison of a stage's outputs with the golden reference.

Integers are what is compared, in whatever type they come: a value that is no integer, or no number, differs from
everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from finn_build.errors import CheckFailed
from finn_build.report.schema import Verification, VerifiedStage

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Limits = Mapping[str, tuple[int, int]]
"""Lowest and highest value that an output's data type holds."""

Method = Literal["executed", "structural"]


@dataclass(frozen=True)
class Difference:
    """How two arrays of one shape differ.

    Attributes:
        differs: bool, of their shape.
        largest: the largest absolute difference where both are numbers; infinite if one is none.
    """

    differs: NDArray[np.bool_]
    largest: float

    @property
    def count(self) -> int:
        """How many values differ."""
        return int(np.count_nonzero(self.differs))

    @property
    def first(self) -> tuple[int, ...]:
        """Index of the first difference in row-major order."""
        return tuple(int(i) for i in np.unravel_index(int(self.differs.argmax()), self.differs.shape))


def require_equal(
    stage: VerifiedStage,
    reference: Arrays,
    got: Arrays,
    *,
    limits: Limits | None = None,
    method: Method = "executed",
    remedy: str = "the passes of this stage changed what the network computes",
) -> list[Verification]:
    """Compares every output with the reference and stops at the first that differs.

    Args:
        stage: the stage that gave `got`.
        reference: integers, one array an output.
        got: the stage's outputs under the same names and no others, integers in any type.
        limits: what the outputs' data types hold, for those it names; a value outside is a mismatch.
        method: how `got` came about.
        remedy: for the error.

    Returns:
        one row an output, in the reference's order, without a mismatch.

    Raises:
        CheckFailed: an output is missing, unknown or of another shape, or a value differs; it names stage, output,
            index and both values.
    """
    rows = []
    for name, expected in named_alike(stage, reference, got, remedy):
        found = got[name]
        difference = difference_of(expected, found)
        if difference.count:
            raise CheckFailed(stage, describe(name, expected, found, difference), remedy)
        if limits is not None and name in limits:
            require_within(stage, name, found, limits[name], remedy)
        rows.append(
            Verification(stage=stage, output=name, values=expected.size, mismatches=0, max_abs_diff=0.0, method=method)
        )
    return rows


def named_alike(stage: str, reference: Arrays, got: Arrays, remedy: str) -> list[tuple[str, Array]]:
    """The reference's names and arrays, once names and shapes are known to agree.

    Raises:
        CheckFailed: they do not, or there is nothing to compare.
    """
    if not reference:
        raise CheckFailed(stage, "no output to compare", remedy)
    for name in [*reference, *got]:
        if name not in got or name not in reference:
            raise CheckFailed(stage, f"output {name} is {'missing' if name in reference else 'unknown'}", remedy)
    for name, expected in reference.items():
        if expected.shape != got[name].shape or not expected.size:
            shapes = f"expected shape {list(expected.shape)}, got {list(got[name].shape)}"
            raise CheckFailed(stage, f"output {name}: {shapes}", remedy)
        for array in (expected, got[name]):
            if array.dtype.kind not in "iuf":
                raise CheckFailed(stage, f"output {name}: expected numbers, got {array.dtype}", remedy)
    return list(reference.items())


def difference_of(expected: Array, got: Array) -> Difference:
    """Compares two arrays of one shape as integers."""
    if expected.dtype.kind in "iu" and got.dtype.kind in "iu":
        wide = np.asarray(expected, np.int64), np.asarray(got, np.int64)
        apart = np.abs(wide[0] - wide[1])
        return Difference(np.asarray(apart != 0), float(apart.max()))
    # float64 holds every integer that a float32 or an int32 does, and no wider ones meet floats here.
    a, b = np.asarray(expected, np.float64), np.asarray(got, np.float64)
    with np.errstate(invalid="ignore"):
        integers = np.isfinite(a) & np.isfinite(b) & (a == np.floor(a)) & (b == np.floor(b))
        apart = np.abs(a - b)
    largest = float(apart.max()) if np.isfinite(apart).all() else float("inf")
    return Difference(~integers | (apart != 0), largest)


def describe(name: str, expected: Array, got: Array, difference: Difference) -> str:
    """The first difference in words."""
    at = difference.first
    first = f"output {name} at {list(at)}: expected {expected[at]}, got {got[at]}"
    return f"{first} ({difference.count} of {expected.size} values differ, by up to {difference.largest:g})"


def require_within(stage: str, name: str, values: Array, limits: tuple[int, int], remedy: str) -> None:
    """Checks that an output's data type holds all its values.

    Args:
        stage: for the error.
        name: the output's.
        values: any shape.
        limits: the lowest and the highest value of the type.
        remedy: for the error.

    Raises:
        CheckFailed: a value lies outside.
    """
    low, high = limits
    outside = ~((values >= low) & (values <= high))
    if outside.any():
        at = tuple(int(i) for i in np.unravel_index(int(outside.argmax()), outside.shape))
        raise CheckFailed(stage, f"output {name} at {list(at)}: expected {low} to {high}, got {values[at]}", remedy)
