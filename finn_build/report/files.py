"""Reading and writing `report.json`: atomic, the same bytes for the same report, errors in one line."""

import json
from pathlib import Path

from pydantic import ValidationError

from finn_build.cache.store import write_atomically
from finn_build.errors import UserError
from finn_build.report.schema import Report

REMEDY = "make the report anew with `make build`"


def write_report(report: Report, path: Path) -> None:
    """Writes a report as JSON, in the order of the schema's keys; readers see the earlier file or all of the new."""
    data = report.model_dump(mode="json", by_alias=True)
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_report(path: Path) -> Report:
    """Reads a report.

    Raises:
        UserError: there is no such file, it is no JSON, or a key is missing, unknown or of the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are no UTF-8"
        raise UserError(str(path), "a report.json", str(reason), REMEDY) from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(str(path), "JSON", f"{error}", REMEDY) from None
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = f"{path.name}: {_dotted(first['loc'])}" if first["loc"] else str(path)
        if first["type"] == "missing":
            raise UserError(place, "this key", "nothing", REMEDY) from None
        if first["type"] == "extra_forbidden":
            raise UserError(place, "a key of the report", "an unknown one", REMEDY) from None
        got = repr(first["input"])
        raise UserError(place, first["msg"], got if len(got) <= 80 else f"{got[:77]}…", REMEDY) from None


def _dotted(location: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
