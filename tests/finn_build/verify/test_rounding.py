"""Near-ties between Brevitas and QONNX: single flips pass, anything that rounding does not explain stops the build."""

import numpy as np
import pytest

from finn_build.errors import CheckFailed
from finn_build.verify.rounding import MOST_FLIPS, require_close

STEPS = {"stem": 0.25, "branch": 0.125, "tap": 0.5}


def reference() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    layers = {name: (rng.integers(0, 32, (8, 16, 16, 32)) * step).astype(np.float32) for name, step in STEPS.items()}
    logits = np.tile(np.array([-100.0, 3.0, 50.0, 40.0], np.float32), (8, 1))
    return {**layers, "logits": logits}


def compare(forced: dict[str, np.ndarray], free: dict[str, np.ndarray]) -> tuple[list, list]:
    ends = {name: free[name] for name in ("tap", "logits")}
    return require_close(reference(), forced, ends, STEPS, "tap", "logits")


def test_equal_networks() -> None:
    rows, checks = compare(reference(), reference())
    assert [(row.output, row.mismatches, row.allowed > 0) for row in rows] == [
        ("activations", 0, True), ("tap", 0, False), ("logits", 0, False)
    ]  # fmt: skip
    assert all(c.passed for c in checks)


def test_a_flip_is_counted_and_what_follows_from_it_allowed() -> None:
    forced, free = reference(), reference()
    forced["stem"][3, 5, 5, 7] += STEPS["stem"]
    free["tap"][3] = 0.0
    free["logits"][3, 0] = -90.0
    rows, checks = compare(forced, free)
    assert rows[0].mismatches == 1
    assert rows[1].mismatches == np.count_nonzero(reference()["tap"][3])
    assert rows[1].allowed == 16 * 16 * 32
    assert (rows[2].mismatches, rows[2].allowed) == (1, 4)
    assert "1 of 8 images hold a flip" in checks[0].detail


def failure(forced: dict[str, np.ndarray], free: dict[str, np.ndarray] | None = None) -> str:
    with pytest.raises(CheckFailed) as error:
        compare(forced, reference() if free is None else free)
    assert error.value.stage == "qonnx"
    return error.value.what


def test_more_flips_than_rounding_explains() -> None:
    forced = reference()
    values = forced["branch"].size
    flips = int(MOST_FLIPS * values) + 1
    forced["branch"].reshape(-1)[:flips] += STEPS["branch"]
    assert failure(forced).startswith("output branch at [0, 0, 0, 0]: expected ")
    assert f"{flips} of {values} values flip" in failure(forced)
    # The same number, less one, passes.
    forced["branch"].reshape(-1)[0] -= STEPS["branch"]
    compare(forced, reference())


def test_a_flip_by_two_codes() -> None:
    forced = reference()
    forced["tap"][1, 2, 3, 4] += 2 * STEPS["tap"]
    assert failure(forced).startswith("output tap at [1, 2, 3, 4]: expected ")
    assert "2 codes apart" in failure(forced)


@pytest.mark.parametrize("value", [0.1, np.nan])
def test_a_value_that_is_no_code(value: float) -> None:
    forced = reference()
    forced["stem"][0, 0, 0, 1] = value
    assert f"output stem at [0, 0, 0, 1]: {np.float32(value)} is no multiple of 0.25" in failure(forced)


def test_a_scale_that_differs() -> None:
    forced = reference()
    forced["branch"] = forced["branch"] * np.float32(1.02)
    assert "is no multiple of 0.125" in failure(forced)


def test_a_difference_in_an_image_without_flips() -> None:
    free = reference()
    free["tap"][2, 0, 0, 5] += STEPS["tap"]
    assert failure(reference(), free).startswith("output tap at [2, 0, 0, 5]: expected ")


def test_logits_that_do_not_follow_from_the_tap() -> None:
    forced = reference()
    forced["logits"][4, 1] += 0.01
    assert failure(forced) == "output logits at [4, 1]: expected 3.0, got 3.009999990463257"
    forced["logits"][4, 1] = np.nan
    assert failure(forced) == "output logits at [4, 1]: expected 3.0, got nan"


def test_another_class() -> None:
    forced, free = reference(), reference()
    forced["stem"][6, 0, 0, 0] += STEPS["stem"]
    free["logits"][6] = [-100.0, 3.0, 50.0, 52.0]
    assert failure(forced, free) == "output logits of image 6: expected class 2, got 3"


def test_a_layer_that_is_missing() -> None:
    forced = reference()
    del forced["branch"]
    assert failure(forced) == "output branch is missing"
    forced = reference()
    forced["tap"] = forced["tap"][:, :8]
    assert failure(forced).startswith("output tap: expected shape [8, 16, 16, 32], got [8, 8, 16, 32]")
