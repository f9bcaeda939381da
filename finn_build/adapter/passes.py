"""Applying transformations: quietly, each under a time limit, a set of them until nothing changes."""

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from finn_build.adapter.limits import time_limit
from finn_build.adapter.session import quiet

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.base import Transformation

PASS_SECONDS = 120.0
"""Longest that one transformation may take: the slowest of them needs 2 s on the largest network here."""


def apply_pass(
    model: "ModelWrapper", transformation: "Transformation", seconds: float = PASS_SECONDS
) -> "ModelWrapper":
    """Applies one transformation to a copy of the model.

    Raises:
        TimeLimitReached: it did not come to an end.
    """
    return _apply(copy.deepcopy(model), transformation, seconds)


def apply_passes(model: "ModelWrapper", transformations: Sequence["Transformation"]) -> "ModelWrapper":
    """Applies transformations one after the other, to a copy of the model."""
    model = copy.deepcopy(model)
    for transformation in transformations:
        model = _apply(model, transformation, PASS_SECONDS)
    return model


def _apply(model: "ModelWrapper", transformation: "Transformation", seconds: float) -> "ModelWrapper":
    with quiet(), time_limit(seconds, type(transformation).__name__):
        return model.transform(transformation, make_deepcopy=False, cleanup=False)


def until_unchanged(
    model: "ModelWrapper", passes: Callable[["ModelWrapper"], "ModelWrapper"], most_rounds: int, what: str
) -> tuple["ModelWrapper", int]:
    """Repeats `passes` until the graph no longer changes.

    Returns:
        The model, and the number of rounds, the last of which changed nothing.

    Raises:
        RuntimeError: it still changed after `most_rounds`: two passes undo each other.
    """
    before = _fingerprint(model)
    for rounds in range(1, most_rounds + 1):
        model = passes(model)
        after = _fingerprint(model)
        if after == before:
            return model, rounds
        before = after
    raise RuntimeError(f"{what} still changes the graph after {most_rounds} rounds: two passes undo each other")


def _fingerprint(model: "ModelWrapper") -> bytes:
    """What the passes change: nodes, wiring and constants, but no annotations."""
    graph = model.model.graph
    parts = [node.SerializeToString(deterministic=True) for node in graph.node]
    parts += sorted(tensor.SerializeToString(deterministic=True) for tensor in graph.initializer)
    return b"".join(parts)
