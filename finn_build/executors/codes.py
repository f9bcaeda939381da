"""Quantised outputs as the integers that they are multiples of, so that float executors compare with integer ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from finn_build.executors.base import Array, Executor, Images


@dataclass(frozen=True)
class CodeExecutor:
    """Another executor's outputs divided by their scales and rounded, int64.

    Attributes:
        executor: computes scale · code.
        scales: the step of one code, a number an output; outputs that it does not name are left as they are.
    """

    executor: Executor
    scales: Mapping[str, float]

    def run(self, images: Images) -> dict[str, Array]:
        """Computes the codes; a NaN stays one, so that no comparison passes it."""
        return {name: self._codes(name, values) for name, values in self.executor.run(images).items()}

    def _codes(self, name: str, values: Array) -> Array:
        if name not in self.scales:
            return values
        codes = np.rint(np.asarray(values, np.float64) / self.scales[name])
        return codes.astype(np.int64) if np.isfinite(codes).all() else codes
