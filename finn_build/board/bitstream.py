"""Whether a bitfile is the package's: its description and the build id in its header, before it is programmed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .bundle import Bundle
from .errors import Refused, WrongBitfile

USER_ID = re.compile(rb"UserID=0X([0-9A-F]{8})", re.IGNORECASE)
HEADER_BYTES = 4096
NONE = 0xFFFFFFFF
"""What Vivado writes where no user id was set."""


def open_overlay(pynq: Any, bitfile: Path, bundle: Bundle) -> Any:
    """The overlay of a bitfile, not yet programmed.

    Args:
        pynq: the module.
        bitfile: the `.bit`, its `.hwh` beside it.
        bundle: the package that it has to fit.

    Raises:
        Refused: there are no such files.
        WrongBitfile: a block is not there, or no register will tell the build id and the header tells another.
    """
    for path in (bitfile, bitfile.with_suffix(".hwh")):
        if not path.is_file():
            raise Refused(f"{path}: expected a bitfile with its .hwh beside it, got no such file; correct the path")
    overlay = pynq.Overlay(str(bitfile), download=False)
    wanted = [*bundle.dmas.values(), *([bundle.cam_block] if bundle.cam_block else [])]
    missing = [name for name in wanted if name not in overlay.ip_dict]
    if missing:
        there = ", ".join(sorted(overlay.ip_dict))
        name = bitfile.with_suffix(".hwh").name
        raise WrongBitfile(f"{name}: expected a block {missing[0]}, got {there}; use the bitfile of this package")
    if "build_id" not in bundle.registers:
        require_build(bitfile, user_id(bitfile), bundle.build_id)
    return overlay


def require_build(bitfile: Path, found: int | None, wanted: int) -> None:
    """Compares a build id, where one was found, with the manifest's.

    Raises:
        WrongBitfile: it is another.
    """
    if found is not None and found != wanted:
        raise WrongBitfile(
            f"{bitfile.name}: expected build id 0x{wanted:08x}, the manifest's, got 0x{found:08x}; use the bitfile of "
            "this package"
        )


def user_id(bitfile: Path) -> int | None:
    """The build id that was set when the bitfile was written; None where there is none."""
    with bitfile.open("rb") as file:
        match = USER_ID.search(file.read(HEADER_BYTES))
    value = NONE if match is None else int(match[1], 16)
    return None if value == NONE else value
