"""Runs the packaged driver's own commands, or a script that uses it, on the emulated board.

The plan, a JSON file: `socket` of the model, `package` (the folder that holds `cam_board/`), `runs`: each with `argv`
for the driver's command line or `script` (a file), `fault` or null, and `pillow`: import it from the folder `lent`;
`report` gets [{exit_code, buffers}].
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from .device import EmulatedDevice, plug_in
from .link import Link


def main(plan: dict[str, Any]) -> None:
    """Runs a plan; every run is in this one process, so a fault may leave nothing behind."""
    device = plug_in(Link(plan["socket"]))
    sys.path.insert(0, plan["package"])
    done = []
    for run in plan["runs"]:
        device.set_fault(run.get("fault"))
        if run.get("pillow") and plan["lent"] not in sys.path:
            sys.path.append(plan["lent"])
        done.append({"exit_code": _run(run, device), "buffers": len(device.memory.regions)})
    Path(plan["report"]).write_text(json.dumps(done), encoding="utf-8")


def _run(run: dict[str, Any], device: EmulatedDevice) -> int:
    if "script" in run:
        runpy.run_path(run["script"], init_globals={"board": device})
        return 0
    try:
        return int(importlib.import_module("cam_board.cli").main(run["argv"]))
    except SystemExit as end:
        # How argparse refuses a command line.
        return int(end.code or 0)


main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
