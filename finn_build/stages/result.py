"""What a stage tells of itself: its checks, its verification rows and the facts that the report shows."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

Progress = Callable[[float], None]
"""Called by a stage with the fraction of its work that is done, 0 to 1."""


class Check(BaseModel):
    """One check of a stage: what was measured, against which limit, and whether it held.

    `measured` and `limit` are short texts as a person reads them, with units.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    measured: str
    limit: str
    passed: bool


class StageResult(BaseModel):
    """A stage's checks, verification rows (as in report.json) and facts (plain JSON values, by name)."""

    model_config = ConfigDict(frozen=True)

    checks: list[Check] = []
    verification: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}


def exact(name: str, mismatches: int, values: int) -> Check:
    """A check that no value differs."""
    return Check(name=name, measured=f"{mismatches} of {values:,} differ", limit="0", passed=mismatches == 0)
