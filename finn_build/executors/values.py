"""What the batch executor knows of a tensor before it runs: its range, and the type that is exact for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from finn_build.errors import UserError

Precision = Literal["exact", "float64", "float32"]
"""`exact` proves integer arithmetic exact or refuses; the other two compute in that type throughout."""

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
"""All integers up to here, and sums whose partial sums stay below, are exact in that type."""


@dataclass(frozen=True)
class Range:
    """A bound on a tensor's values that holds for every input image.

    Attributes:
        lo: no value is below.
        hi: no value is above.
        integer: whether all values are integers.
    """

    lo: float
    hi: float
    integer: bool

    @property
    def magnitude(self) -> float:
        """The largest absolute value."""
        return max(abs(self.lo), abs(self.hi))

    def union(self, other: "Range") -> "Range":
        """The smallest range that holds both."""
        return Range(min(self.lo, other.lo), max(self.hi, other.hi), self.integer and other.integer)

    @staticmethod
    def of(values: Tensor) -> "Range":
        """The range of a constant."""
        if values.numel() == 0:
            return Range(0.0, 0.0, True)
        wide = values.to(torch.float64)
        return Range(float(wide.min()), float(wide.max()), bool((wide == wide.floor()).all()))


UNKNOWN = Range(-np.inf, np.inf, False)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph while the executor is prepared.

    Attributes:
        name: the tensor's name.
        sample: its value for one image; only its shape counts unless it is constant.
        range: bound on its values.
        constant: whether it is the same for every image.
    """

    name: str
    sample: Tensor
    range: Range
    constant: bool = False

    @property
    def shape(self) -> list[int]:
        """Its shape for a batch of one."""
        return list(self.sample.shape)


Kernel: TypeAlias = Callable[..., Tensor]
"""Computes a node's one output from its variable and constant inputs, in the node's order."""


@dataclass(frozen=True)
class Step:
    """How a node's output comes about.

    Attributes:
        kernel: computes it from the inputs' tensors (None for an absent optional input).
        range: bound on the output.
        folded: whether the output is constant although an input is not (a static shape).
    """

    kernel: Kernel
    range: Range
    folded: bool = False


@dataclass(frozen=True)
class NodeView:
    """A node as the operator modules see it.

    Attributes:
        name: the node's name, or its first output's.
        op: its type.
        attributes: its attributes as Python values.
        inputs: None where an optional input is absent.
        opset: the version of the ONNX operators.
        precision: what the executor was asked for.
        outputs: the names of its outputs.
    """

    name: str
    op: str
    attributes: dict[str, Any]
    inputs: Sequence[Value | None]
    opset: int
    precision: Precision
    outputs: Sequence[str]

    @property
    def place(self) -> str:
        """The node in an error."""
        return f"node {self.name} ({self.op})"

    def value(self, index: int) -> Value:
        """A mandatory input.

        Raises:
            UserError: if the node lacks it.
        """
        if index >= len(self.inputs) or (found := self.inputs[index]) is None:
            raise UserError(self.place, f"an input number {index}", "none", "export the network again")
        return found

    def optional(self, index: int) -> Value | None:
        """An optional input, None if absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int) -> Tensor:
        """A mandatory input that must not depend on the image.

        Raises:
            UserError: if it does.
        """
        found = self.value(index)
        if not found.constant:
            raise UserError(self.place, f"a constant input {found.name}", "a computed one", "fold constants")
        return found.sample

    def ints(self, name: str, default: Sequence[int]) -> list[int]:
        """A list attribute."""
        return [int(v) for v in self.attributes.get(name, default)]

    def number(self, name: str, default: float) -> float:
        """A numeric attribute."""
        return float(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else str(found)

    def refuse(self, expected: str, got: str) -> UserError:
        """The error for a form of this operator that is not executed."""
        return UserError(self.place, expected, got, "execute this graph node by node")


def working_type(node: NodeView, bound: float, *ranges: Range) -> torch.dtype:
    """The type in which a node's arithmetic is done.

    Args:
        node: the node.
        bound: no partial result of it, in whatever order it is summed, exceeds this.
        ranges: of everything that enters and leaves.

    Returns:
        the type of `float64` or `float32` precision; for `exact` the narrower one that is exact.

    Raises:
        UserError: for `exact`, if a value is no integer or the bound is beyond float64.
    """
    if node.precision != "exact":
        return torch.float64 if node.precision == "float64" else torch.float32
    if not all(r.integer for r in ranges):
        raise UserError(
            node.place, "integers throughout", "a value that is no integer", 'run this graph with precision "float64"'
        )
    if not bound < FLOAT64_EXACT:
        raise UserError(
            node.place, "results below 2^53", f"a bound of {bound:.3g}", 'run this graph with precision "float64"'
        )
    return torch.float32 if bound < FLOAT32_EXACT else torch.float64
