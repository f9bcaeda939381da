"""Exact comparison: whatever differs stops the build with its name, place and values."""

import numpy as np
import pytest

from finn_build.errors import CheckFailed
from finn_build.verify.compare import require_equal

TAP = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
LOGITS = np.array([[-5, 0, 70_000]], np.int32)
REFERENCE = {"tap": TAP, "logits": LOGITS}


def test_rows_of_equal_outputs() -> None:
    rows = require_equal("lower", REFERENCE, {"logits": LOGITS.astype(np.float32), "tap": TAP.astype(np.int64)})
    assert [(r.stage, r.output, r.values, r.mismatches, r.max_abs_diff, r.method) for r in rows] == [
        ("lower", "tap", 48, 0, 0.0, "executed"),
        ("lower", "logits", 3, 0, 0.0, "executed"),
    ]


def failure(got: dict[str, np.ndarray], **options: object) -> str:
    with pytest.raises(CheckFailed) as error:
        require_equal("hardware", REFERENCE, got, **options)
    assert error.value.stage == "hardware"
    return error.value.what


def changed(name: str, index: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    got = {key: values.astype(np.float64) for key, values in REFERENCE.items()}
    got[name][index] = value
    return got


def test_the_first_difference_is_named() -> None:
    got = changed("tap", (0, 2, 1, 0), 30)
    got["tap"][0, 3, 3, 2] = 9
    expected = "output tap at [0, 2, 1, 0]: expected 27, got 30.0 (2 of 48 values differ, by up to 38)"
    assert failure(got) == expected


def test_every_output_is_compared() -> None:
    assert failure(changed("logits", (0, 1), 1)).startswith("output logits at [0, 1]: expected 0, got 1.0 (1 of 3")


@pytest.mark.parametrize("value", [27.5, 27.0000001, np.nan, np.inf])
def test_what_is_no_integer_differs(value: float) -> None:
    assert failure(changed("tap", (0, 2, 1, 0), value)).startswith("output tap at [0, 2, 1, 0]: expected 27, got ")


def test_a_reference_that_is_no_integer_agrees_with_nothing() -> None:
    half = {"tap": np.array([0.5])}
    with pytest.raises(CheckFailed, match=r"output tap at \[0\]"):
        require_equal("lower", half, half)


def test_unsigned_values_do_not_wrap() -> None:
    with pytest.raises(CheckFailed, match="by up to 255"):
        require_equal("lower", {"x": np.zeros(1, np.uint8)}, {"x": np.full(1, 255, np.uint8)})


def test_names_and_shapes_have_to_agree() -> None:
    assert failure({"tap": TAP}) == "output logits is missing"
    assert failure({**REFERENCE, "packet": TAP}) == "output packet is unknown"
    turned = {**REFERENCE, "tap": TAP.transpose(0, 3, 1, 2)}
    assert failure(turned) == "output tap: expected shape [1, 4, 4, 3], got [1, 3, 4, 4]"
    assert failure({**REFERENCE, "logits": LOGITS > 0}) == "output logits: expected numbers, got bool"


def test_nothing_to_compare_is_no_agreement() -> None:
    with pytest.raises(CheckFailed, match="no output to compare"):
        require_equal("lower", {}, {})
    with pytest.raises(CheckFailed, match="output tap"):
        require_equal("lower", {"tap": TAP[:0]}, {"tap": TAP[:0]})


def test_values_have_to_fit_their_type() -> None:
    rows = require_equal("lower", REFERENCE, REFERENCE, limits={"tap": (0, 47)})
    assert len(rows) == 2
    assert failure(REFERENCE, limits={"tap": (0, 31)}) == "output tap at [0, 2, 2, 2]: expected 0 to 31, got 32"
