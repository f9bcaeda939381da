"""What a stage tells of itself: its checks, its verification rows and the parts of the report that it fills."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from finn_build.report.schema import Check, Verification, check

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


def exact(name: str, mismatches: int, detail: str = "") -> Check:
    """A check that no value differs."""
    return check(name, mismatches, "==", 0, unit="values differ", detail=detail)
