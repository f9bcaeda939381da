"""`finn-cam doctor`: what this machine has of what the project uses, and what to do about the rest."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from finn_build.cache.key import tool_versions
from finn_build.cli.build import JsonOption
from finn_build.cli.console import standard_output
from finn_build.emulation.board import BOARD_PYTHON
from finn_build.environment import data_folder, default_build_folder, deps_folder
from finn_build.errors import UserError
from finn_build.vendor.deps import missing
from finn_build.vendor.preflight import FREE_GB
from finn_build.vendor.tools import DISK, EDITION, HOURS, Absent, find_tools

FREE_GB_BUILD = 2
SECONDS_A_TOOL = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. `needed`: the build up to the bitfile does not work without it."""

    name: str
    found: str
    ok: bool
    needed: bool
    remedy: str


def doctor(as_json: JsonOption = False) -> int:
    """Look for everything that the project uses: Python packages, compiler, disk, data, vendor tools."""
    findings = [look() for look in LOOKS]
    healthy = all(finding.ok for finding in findings if finding.needed)
    if as_json:
        print(json.dumps({"healthy": healthy, "findings": [asdict(finding) for finding in findings]}))
        return 0 if healthy else 1
    console = standard_output()
    for finding in findings:
        mark = "✓" if finding.ok else ("✗" if finding.needed else "–")
        style = "green" if finding.ok else ("red" if finding.needed else "yellow")
        remedy = "" if finding.ok else f"; {finding.remedy}"
        console.print(f"{mark} {finding.name:<16} {finding.found}{remedy}", style=style)
    console.print("everything up to the bitfile runs here" if healthy else "what is marked ✗ has to be mended first")
    return 0 if healthy else 1


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", version, (3, 11) <= sys.version_info[:2] <= (3, 12), True, "use Python 3.11 or 3.12")


def _packages() -> Finding:
    versions = tool_versions()
    absent = [name for name, version in versions.items() if version == "absent"]
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "python")
    return Finding("packages", found, not absent, True, f"missing: {', '.join(absent)}; run make setup")


def _tool(name: str, arguments: list[str], needed: bool, remedy: str) -> Callable[[], Finding]:
    def look() -> Finding:
        path = shutil.which(name)
        if path is None:
            return Finding(name, "not found", False, needed, remedy)
        return Finding(name, _first_line([path, *arguments]), True, needed, remedy)

    return look


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_A_TOOL, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"there, but does not answer ({type(error).__name__})"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0].strip() if lines else "there"


def _disk() -> Finding:
    free_gb = shutil.disk_usage(_existing(default_build_folder())).free / 1e9
    return Finding("disk", f"{free_gb:.0f} GB free", free_gb >= FREE_GB_BUILD, True, f"free {FREE_GB_BUILD} GB")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _writable() -> Finding:
    folder = default_build_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return Finding("build folder", str(error), False, True, "correct its permissions, or use --out")
    return Finding("build folder", f"{folder} is writable", True, True, "")


def _data() -> Finding:
    folder = data_folder()
    if folder is not None and folder.is_dir():
        return Finding("data sets", str(folder), True, False, "")
    found = "FINN_CAM_DATA is not set" if folder is None else f"{folder} is no folder"
    remedy = "accuracies are then not measured; finn-cam data cifar10 downloads one, --data DIR names yours"
    return Finding("data sets", found, False, False, remedy)


def _emulated_board() -> Finding:
    if not BOARD_PYTHON.is_file():
        remedy = "finn-cam emulate runs the board's driver in it; run make setup-board"
        return Finding("emulated board", "no .venv-board", False, False, remedy)
    return Finding("emulated board", _first_line([str(BOARD_PYTHON), "--version"]), True, False, "")


def _vendor_tools() -> Finding:
    remedy = f"wanted for the bitfile alone: {EDITION}; {DISK}; a bitfile takes {HOURS}; or make docker-build"
    try:
        found = find_tools()
    except UserError as error:
        return Finding("Vivado, HLS", error.got, False, False, f"expected {error.expected}; {error.remedy}")
    if isinstance(found, Absent):
        return Finding("Vivado, HLS", found.reason, False, False, remedy)
    told = f"{found.version}: {found.vivado}, {found.hls}; {EDITION}; a bitfile takes {HOURS}"
    return Finding("Vivado, HLS", told, True, False, "")


def _vendor_deps() -> Finding:
    folder = deps_folder()
    lacking = missing(folder)
    remedy = f"without {', '.join(lacking)} no bitfile can be made; make vendor-deps fetches them"
    found = str(folder) if not lacking else f"not all in {folder}"
    return Finding("board files", found, not lacking, False, remedy)


def _vendor_disk() -> Finding:
    free_gb = shutil.disk_usage(_existing(default_build_folder())).free / 1e9
    enough = free_gb >= FREE_GB
    return Finding("bitfile's disk", f"{free_gb:.0f} GB free", enough, False, f"free {FREE_GB} GB for a bitfile")


LOOKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _packages,
    _tool("g++", ["--version"], True, "sudo apt-get install g++"),
    _tool("perl", ["-e", "print $^V"], True, "sudo apt-get install perl"),
    _tool("make", ["--version"], True, "sudo apt-get install make"),
    _disk,
    _writable,
    _data,
    _vendor_tools,
    _vendor_deps,
    _emulated_board,
    _vendor_disk,
    _tool("docker", ["--version"], False, "wanted for the Docker flow alone"),
)
