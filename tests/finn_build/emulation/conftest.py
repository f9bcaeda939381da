"""The package of a small network on the emulated board; one process of the board serves a whole test."""

from pathlib import Path

import pytest
from board_helpers import Board

from finn_build.emulation.board import BOARD_PYTHON


@pytest.fixture
def emulated(place: Path, tmp_path: Path) -> Board:
    """The small network's package, unpacked from its zip alone."""
    if not BOARD_PYTHON.is_file():
        pytest.skip("no .venv-board; run: make setup-board")
    return Board(place / "build" / "tiny", tmp_path)
