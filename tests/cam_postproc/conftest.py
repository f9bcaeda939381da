"""Random heads and taps for a specification: values from the whole of their types."""

from types import SimpleNamespace

import numpy as np
import pytest


def random_head(spec, seed):
    rng = np.random.default_rng(seed)
    half = 1 << (spec.weight_bits - 1)
    weight = rng.integers(-half, half, (spec.classes, spec.channels)).astype(np.int8)
    if not spec.bias_bits:
        return weight, None
    bias_half = 1 << (spec.bias_bits - 1)
    return weight, rng.integers(-bias_half, bias_half, spec.classes).astype(np.int32)


def random_tap(spec, seed, frames):
    shape = (frames, spec.map_height, spec.map_width, spec.channels)
    return np.random.default_rng(seed + 1000).integers(0, 1 << spec.tap_bits, shape).astype(np.uint8)


def extreme_case(spec):
    """Weights of class 0 at their lowest, of the others at their highest; a tap of zeros but for one full pixel."""
    half = 1 << (spec.weight_bits - 1)
    weight = np.full((spec.classes, spec.channels), half - 1, dtype=np.int8)
    weight[0] = -half
    tap = np.zeros((2, spec.map_height, spec.map_width, spec.channels), dtype=np.uint8)
    tap[0, -1, 0] = (1 << spec.tap_bits) - 1
    tap[1] = (1 << spec.tap_bits) - 1
    tap[1, 0, 0] = 0
    return weight, tap


@pytest.fixture(scope="session")
def synthetic():
    return SimpleNamespace(head=random_head, tap=random_tap, extreme=extreme_case)
