"""What a stage tells of itself: its checks, its verification rows and the parts of the report that it fills."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from finn_build.errors import CheckFailed
from finn_build.report.schema import Check, Verification
from finn_build.report.verdict import told_check

Progress = Callable[[float], None]
"""Called by a stage with the fraction of its work that is done, 0 to 1."""


class StageResult(BaseModel):
    """A stage's checks, verification rows and facts.

    `facts` holds parts of the report as plain JSON, by the report's own keys (`network`, `layers`, `hardware`, …).
    """

    model_config = ConfigDict(frozen=True)

    checks: tuple[Check, ...] = ()
    verification: tuple[Verification, ...] = ()
    facts: dict[str, Any] = {}


def required(stage: str, found: Check, remedy: str) -> Check:
    """A check without which the build does not go on; others, as what fits the chip, are told at its end.

    Raises:
        CheckFailed: it did not pass.
    """
    if not found.passed:
        raise CheckFailed(stage, told_check(found), remedy)
    return found
