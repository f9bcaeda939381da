"""Which vendor tools this machine has: Vivado and Vitis HLS, by name on PATH, of a version that is known to suit."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from finn_build.errors import UserError

VERSIONS = ("2022.2", "2024.2")
"""The versions that FINN names for this chip."""

EDITION = "the free edition (Standard, without a licence file) covers the XC7Z020"
DISK = "about 60 GB installed with Zynq-7000 alone chosen, twice that during the installation"
HOURS = "one to three hours on four cores and 16 GB of memory"
"""What to reckon with. From AMD's and FINN's users' figures: not measured here, where there are no tools."""

_SECONDS = 120
_VERSION = re.compile(r"\bv?(20\d\d\.\d)(?:\.\d)?\b")


class Tools(BaseModel):
    """Both tools, of one version. Their places do not count where results are kept; the version does."""

    model_config = ConfigDict(frozen=True)

    vivado: Path
    hls: Path
    version: str

    def hls_command(self, script: str) -> list[str]:
        """What runs an HLS script: `vitis_hls` up to 2024.2, `vitis-run` where that alone is left."""
        if self.hls.name == "vitis-run":
            return [str(self.hls), "--mode", "hls", "--tcl", script]
        return [str(self.hls), "-f", script]


@dataclass(frozen=True)
class Absent:
    """Why no tool is started, in words, with which tools an earlier bitfile was made, and what to do for a bitfile."""

    reason: str
    earlier: Tools | None = None
    remedy: str = "use make docker-build, or leave it out"


def find_tools() -> Tools | Absent:
    """Looks for both tools on PATH.

    Raises:
        UserError: they are there, but of a version that does not suit, of two versions, or do not answer.
    """
    vivado = _on_path("vivado")
    hls = _on_path("vitis_hls") or _on_path("vitis-run")
    if vivado is None or hls is None:
        missing = [name for name, found in (("Vivado", vivado), ("Vitis HLS", hls)) if found is None]
        verb = "are" if len(missing) > 1 else "is"
        return Absent(f"{' and '.join(missing)} {' or '.join(VERSIONS)} {verb} not on PATH")
    versions = {name: tool_version(Path(name)) for name in (vivado, hls)}
    for name, version in versions.items():
        if version not in VERSIONS:
            remedy = f"source settings64.sh of one of those ({EDITION}), or give --skip vendor"
            raise UserError(name, f"version {' or '.join(VERSIONS)}", version or "no version", remedy)
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        raise UserError("vendor tools", "one version of both", told, "source one settings64.sh alone")
    return Tools(vivado=Path(vivado), hls=Path(hls), version=versions[vivado] or "")


def _on_path(name: str) -> str | None:
    found = shutil.which(name)
    return None if found is None else str(Path(found).absolute())


def tool_version(tool: Path) -> str | None:
    """The version that a tool says it has, as 2024.2; None where it says none."""
    # vitis-run has no -version: its folder says it, as it does for the others.
    if tool.name != "vitis-run":
        try:
            done = subprocess.run(
                [str(tool), "-version"], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode == 0 and (told := _VERSION.search(done.stdout)):
            return told[1]
        return None
    found = _VERSION.search(str(tool.resolve()))
    return found[1] if found else None
