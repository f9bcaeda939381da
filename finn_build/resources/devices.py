"""What a chip has, and which chip a board has."""

from collections.abc import Mapping

from finn_build.errors import UserError

KEYS = ("LUT", "FF", "BRAM18", "DSP", "slices")
"""Names of resources, in the order in which they are shown."""

_DEVICES: Mapping[str, Mapping[str, int]] = {
    "xc7z020": {"LUT": 53200, "FF": 106400, "BRAM18": 280, "DSP": 220, "slices": 13300},
    "xczu3eg": {"LUT": 70560, "FF": 141120, "BRAM18": 432, "DSP": 360, "slices": 17640},
    "xck26": {"LUT": 117120, "FF": 234240, "BRAM18": 288, "DSP": 1248, "slices": 29280},
    "xczu7ev": {"LUT": 230400, "FF": 460800, "BRAM18": 624, "DSP": 1728, "slices": 57600},
}
"""From Xilinx' product tables (DS190, DS891, DS987). An UltraScale+ CLB counts as two slices of four LUTs."""

BOARDS: Mapping[str, str] = {
    "PYNQ-Z1": "xc7z020clg400-1",
    "PYNQ-Z2": "xc7z020clg400-1",
    "Ultra96-V2": "xczu3eg-sbva484-1-i",
    "KV260": "xck26-sfvc784-2LV-c",
    "ZCU104": "xczu7ev-ffvc1156-2-e",
}


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


def part_of(board: str) -> str:
    """The FPGA part of a board; capitals and hyphens do not matter.

    Raises:
        UserError: the board is not in the table.
    """
    wanted = board.lower().replace("-", "")
    for name, part in BOARDS.items():
        if name.lower().replace("-", "") == wanted:
            return part
    raise UserError(f"board {board}", f"one of {', '.join(BOARDS)}", "another board", "correct --board")


def multiplier_bits(part: str) -> int:
    """Width of the wide input of the part's multipliers: 25 of a DSP48E1, 27 of a DSP48E2."""
    return 25 if part.startswith("xc7") else 27
