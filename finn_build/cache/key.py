"""A stage's key: everything that its result depends on, by name, so that a difference can be told."""

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from finn_build.cache.digest import path_digest, value_digest
from finn_build.cache.source import source_digests

TOOLS = ("brevitas", "finn-plus", "hls4ml", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "qonnx", "torch")

KeyParts = dict[str, str]
"""What a result depends on: a readable name of each part, and the part's digest or value."""


@cache
def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; 'absent' where one is not installed."""
    found = {"python": platform.python_version()}
    for tool in TOOLS:
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            found[tool] = "absent"
    return found


def key_parts(module: str, inputs: Mapping[str, Path], settings: Mapping[str, Any]) -> KeyParts:
    """Everything that the result of a stage depends on.

    Args:
        module: dotted name of the module of the stage's function; all that it imports of this project counts.
        inputs: files and folders that it reads, by argument name: their contents count, their places do not.
        settings: its other arguments: config tables and plain values. Paths within are left out, since the files that
            they name are inputs.
    """
    parts: KeyParts = {f"input {name}": path_digest(path) for name, path in inputs.items()}
    for name, value in settings.items():
        parts.update(_setting_parts(f"setting {name}", value))
    parts.update({f"source {path}": digest for path, digest in source_digests(module).items()})
    parts.update({f"version of {tool}": found for tool, found in tool_versions().items()})
    return parts


def key_of(parts: KeyParts) -> str:
    """The key itself: a digest of all parts."""
    return value_digest(parts)


def changed_parts(before: KeyParts, after: KeyParts) -> list[str]:
    """Names of the parts that differ, came or went, sorted."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _setting_parts(name: str, value: Any) -> KeyParts:
    if isinstance(value, BaseModel):
        parts: KeyParts = {}
        for field in type(value).model_fields:
            parts.update(_setting_parts(f"{name}.{field}", getattr(value, field)))
        return parts
    if isinstance(value, Path):
        return {}
    return {name: repr(value)}
