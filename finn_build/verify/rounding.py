"""Brevitas against QONNX: equal but for near-ties, where float rounding carries a value over a quantiser's edge.

Both compute in float32, in different orders, so an activation within a rounding error of the edge between two codes may
land on either side. Such a flip then changes much of what follows: in a 17-layer network at 224×224 one of 20 million
activations flips and a sixth of the tap's values differ. A limit on the outputs alone would therefore say little. So
every layer is also computed from the reference's values of the layers before it: there no flip spreads, and their
number is what is limited. A wrong weight, stride, scale or rounding mode changes a channel of its own layer at least,
a hundred times the limit.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from finn_build.errors import CheckFailed
from finn_build.report.schema import Check, Verification, check
from finn_build.verify.compare import Array, Arrays, named_alike

MOST_FLIPS = 1e-4
"""Largest fraction of a layer's values that may flip (one may in any; measured: 1e-6; a channel of 128: 8e-3)."""

NEAR_TIE = 0.05
"""Two logits count as tied within this fraction of the image's range of logits (flips moved them by up to 0.035)."""

LOGIT_ROUNDING = 1e-5
"""Two logits of the same tap are equal within this fraction of the image's largest: float32 sums of 10^5 products."""

_STAGE = "qonnx"
_REMEDY = "the exported graph does not compute what Brevitas does"


def require_close(
    reference: Arrays, forced: Arrays, free: Arrays, steps: Mapping[str, float], tap: str, logits: str
) -> tuple[list[Verification], list[Check]]:
    """Compares quantised activations and logits.

    Args:
        reference: Brevitas' activations (scale · code, batch first) and logits [N, classes], by name.
        forced: QONNX's, each layer computed from the reference's values of the layers before it.
        free: QONNX's tap and logits, computed from the image.
        steps: the step of one code, for every activation.
        tap: the name of the last activation.
        logits: the name of the logits.

    Returns:
        rows `activations` (flips; forced), the tap's and the logits' (free; mismatches are allowed in images with a
        flip), and the checks on flips and on the class.

    Raises:
        CheckFailed: more flips in a layer than `MOST_FLIPS`, one by more than one code, logits that do not follow from
            the tap, a difference in an image without flips, or another class where the logits are not nearly tied.
    """
    named_alike(_STAGE, {name: reference[name] for name in (*steps, logits)}, forced, _REMEDY)
    named_alike(_STAGE, {name: reference[name] for name in (tap, logits)}, free, _REMEDY)
    flipped = np.zeros(len(reference[logits]), bool)
    values = flips = allowed = 0
    for name, step in steps.items():
        apart = _codes_apart(name, reference[name], forced[name], step)
        own = _require_few(name, apart, reference[name], forced[name])
        values, flips, allowed = values + apart.size, flips + own, allowed + _allowed(apart.size)
        flipped |= (apart > 0).reshape(len(flipped), -1).any(axis=1)
    far = _logits_apart(reference[logits], forced[logits])
    if far.any():
        raise CheckFailed(_STAGE, _first(logits, far, reference[logits], forced[logits]), _REMEDY)
    rows = [
        _row("activations", values, flips, float(flips > 0), allowed),
        _free_row(tap, _codes_apart(tap, reference[tap], free[tap], steps[tap]), reference, free, flipped),
        _free_row(logits, _logits_apart(reference[logits], free[logits]), reference, free, flipped),
    ]
    others = _other_classes(logits, reference[logits], free[logits])
    detail = f"{np.count_nonzero(flipped)} of {len(flipped)} images hold a flip"
    checks = [
        check("activations that flip", flips, "<=", allowed, unit=f"of {values}", detail=detail),
        check("classes that differ", others, "==", 0, unit="images", detail="near-ties of two logits left out"),
    ]
    return rows, checks


def _allowed(values: int) -> int:
    return max(1, int(MOST_FLIPS * values))


def _require_few(name: str, apart: NDArray[np.float64], reference: Array, got: Array) -> int:
    """The number of flips of a layer, once there are few and each is by one code."""
    flips = int(np.count_nonzero(apart))
    if apart.max() > 1:
        raise CheckFailed(_STAGE, f"{_first(name, apart > 1, reference, got)}, {apart.max():g} codes apart", _REMEDY)
    if flips > _allowed(apart.size):
        what = f"{_first(name, apart > 0, reference, got)}; {flips} of {apart.size} values flip"
        raise CheckFailed(_STAGE, f"{what}, at most {_allowed(apart.size)} may", _REMEDY)
    return flips


def _codes_apart(name: str, reference: Array, got: Array, step: float) -> NDArray[np.float64]:
    """Distance in codes of every value.

    Raises:
        CheckFailed: a value is no multiple of the step, or no number.
    """
    codes = []
    for values in (reference, got):
        scaled = np.asarray(values, np.float64) / step
        rounded = np.rint(scaled)
        off = ~(np.abs(scaled - rounded) < 0.01)
        if off.any():
            at = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
            raise CheckFailed(_STAGE, f"output {name} at {list(at)}: {values[at]} is no multiple of {step}", _REMEDY)
        codes.append(rounded)
    return np.asarray(np.abs(codes[0] - codes[1]), np.float64)


def _logits_apart(reference: Array, got: Array) -> NDArray[np.bool_]:
    """Whether logits differ by more than rounding; one that is no number does."""
    apart = np.abs(np.asarray(reference, np.float64) - np.asarray(got, np.float64))
    return np.asarray(~(apart <= LOGIT_ROUNDING * np.abs(reference).max(axis=1, keepdims=True)))


def _free_row(name: str, apart: Array, reference: Arrays, free: Arrays, flipped: NDArray[np.bool_]) -> Verification:
    wrong = (apart > 0) & ~flipped.reshape(-1, *[1] * (apart.ndim - 1))
    if wrong.any():
        raise CheckFailed(_STAGE, _first(name, wrong, reference[name], free[name]), _REMEDY)
    largest = float(np.abs(np.asarray(reference[name], np.float64) - free[name]).max())
    allowed = int(np.count_nonzero(flipped)) * apart[0].size
    return _row(name, apart.size, int(np.count_nonzero(apart)), largest, allowed)


def _other_classes(name: str, reference: Array, got: Array) -> int:
    """Images of another class, leaving out those whose two best logits lie within `NEAR_TIE` of the range.

    Raises:
        CheckFailed: there is one.
    """
    ranked = np.sort(reference, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > NEAR_TIE * (ranked[:, -1] - ranked[:, 0])
    wrong = clear & (reference.argmax(axis=1) != got.argmax(axis=1))
    if wrong.any():
        image = int(wrong.argmax())
        classes = f"expected class {reference[image].argmax()}, got {got[image].argmax()}"
        raise CheckFailed(_STAGE, f"output {name} of image {image}: {classes}", _REMEDY)
    return 0


def _first(name: str, wrong: NDArray[np.bool_], reference: Array, got: Array) -> str:
    at = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
    return f"output {name} at {list(at)}: expected {reference[at]}, got {got[at]}"


def _row(output: str, values: int, mismatches: int, largest: float, allowed: int) -> Verification:
    return Verification(
        stage=_STAGE, output=output, values=values, mismatches=mismatches, max_abs_diff=largest, allowed=allowed
    )
