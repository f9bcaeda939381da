"""What a chip has."""

from collections.abc import Mapping

from finn_build.errors import UserError

KEYS = ("LUT", "FF", "BRAM18", "DSP", "slices")
"""Names of resources, in the order in which they are shown."""

_XC7Z020 = {"LUT": 53200, "FF": 106400, "BRAM18": 280, "DSP": 220, "slices": 13300}
_DEVICES: Mapping[str, Mapping[str, int]] = {"xc7z020": _XC7Z020}


def device(part: str) -> dict[str, int]:
    """Resources of a part.

    Args:
        part: with or without package and speed grade, for instance xc7z020clg400-1.

    Raises:
        UserError: the part is not in the table.
    """
    for name, resources in _DEVICES.items():
        if part.startswith(name):
            return dict(resources)
    raise UserError(f"part {part}", f"one of {', '.join(_DEVICES)}", "another chip", "correct [hardware] part")
