"""What the report's parts share: frozen models without unknown keys, and the types of their figures."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _plain(value: Any) -> Any:
    """A numpy scalar or array as Python numbers, in dicts and lists too."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _told(value: Any) -> Any:
    """A measured figure that is no number stays readable: JSON has no NaN and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _below_folder(value: str) -> str:
    parts = value.split("/")
    if not value or "\\" in value or ":" in value or any(part in ("", ".", "..") for part in parts):
        raise ValueError("a path below the report's folder, with forward slashes")
    return value


Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[int | float, Field(ge=0)]
Deviation = Annotated[float | None, BeforeValidator(_finite_or_none)]
Figure = Annotated[int | float | str | bool, BeforeValidator(_told)]
RelativePath = Annotated[str, AfterValidator(_below_folder)]
Size = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Part(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_numpy(cls, value: Any) -> Any:
        return _plain(value)
