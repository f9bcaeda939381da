"""What has to hold before the tools start: an hour of place and route is a slow way to learn that a disk is full."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from finn_build.errors import UserError
from finn_build.vendor.deps import require
from finn_build.vendor.design import PART

FREE_GB = 15
"""What the projects and checkpoints of a build take at most, with a margin."""

LONGEST_PATH = 100
"""Characters of the work folder's path: Vivado's own names below it reach 150, and some of its scripts stop at 260."""

_PLAIN = re.compile(r"[A-Za-z0-9_./+@%-]+")


def check_all(work: Path, part: str, deps: Path, variables: Mapping[str, str]) -> None:
    """All of it, the cheapest first.

    Args:
        work: where the projects will lie.
        part: FPGA part of the config.
        deps: FINN's headers and the board files.
        variables: of the environment that name licences.

    Raises:
        UserError: something that the user can put right.
    """
    check_part(part)
    check_path(work)
    check_licence(variables)
    check_disk(work)
    require(deps)


def check_part(part: str) -> None:
    """The block design is the PYNQ-Z2's.

    Raises:
        UserError: another chip or package.
    """
    if part != PART:
        raise UserError("[hardware] part", f"{PART}, the PYNQ-Z2's", part, "correct it, or give --skip vendor")


def check_path(work: Path) -> None:
    """No blanks or signs that Tcl and make take for their own, and short enough.

    Raises:
        UserError: the path does not suit.
    """
    path = str(work)
    if _PLAIN.fullmatch(path) is None:
        remedy = "Vivado's scripts do not quote paths; build in another folder with --out"
        raise UserError(path, "a path of plain letters, digits and _ . / + -", "other signs", remedy)
    if len(path) > LONGEST_PATH:
        remedy = "Vivado adds long names of its own; build in a shorter folder with --out"
        raise UserError(path, f"at most {LONGEST_PATH} characters", str(len(path)), remedy)


def check_licence(variables: Mapping[str, str]) -> None:
    """None is needed for this chip; one that is named has to be there, or the tools wait for it.

    Raises:
        UserError: a licence file that does not exist.
    """
    for name, places in variables.items():
        for place in places.split(":"):
            # port@host is a server, which only the tools can ask.
            if place and "@" not in place and not Path(place).exists():
                remedy = f"correct or unset it: the free edition needs no licence for {PART}"
                raise UserError(name, "a licence file or port@host", f"{place}, which does not exist", remedy)


def check_disk(work: Path) -> None:
    """Room for the projects.

    Raises:
        UserError: too little.
    """
    folder = work
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < FREE_GB:
        raise UserError(str(folder), f"{FREE_GB} GB free", f"{free:.1f} GB", "free some, or build elsewhere with --out")
