"""FINN's RTL as it lies in the wheel, and what must be mended in it for Verilator and slang.

A mend is applied to a copy at build time. Each names the text that it replaces, and fails when that text is not found
as often as expected: another finn-plus then says so instead of being simulated unmended. Written for finn-plus 1.6.1.
"""

from importlib.util import find_spec
from pathlib import Path

from finn_build.errors import UserError


def rtl_library() -> Path:
    """The folder of FINN's SystemVerilog, finn-rtllib.

    Raises:
        UserError: finn-plus is not installed, or came without it.
    """
    found = find_spec("finn")
    for place in (found.submodule_search_locations or []) if found is not None else []:
        library = Path(place) / "finn-rtllib"
        if library.is_dir():
            return library
    raise UserError("finn-rtllib", "FINN's RTL in the finn-plus wheel", "none", "run make setup")
