"""The C++ compiler of the machine."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cam_postproc.errors import CamError


def find_compiler(place: str) -> tuple[str, str]:
    """g++'s path and version.

    Args:
        place: what needs it, for the message.

    Raises:
        CamError: there is none.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise CamError(place, "g++ on PATH", "none", "install it: sudo apt install g++")
    done = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=False)
    return compiler, done.stdout.strip()


def compile_cpp(place: str, compiler: str, options: Sequence[str], folder: Path, out: Path) -> None:
    """Run g++ in `folder`, with options and sources as given.

    Raises:
        CamError: it fails; the message holds its first error.
    """
    command = ["env", "LC_ALL=C", compiler, *options, "-o", str(out.resolve())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.splitlines()
        first = next((line for line in lines if "error" in line), lines[0] if lines else "no message")
        raise CamError(place, "C++ that compiles", first.strip(), "check g++ (apt install g++) and the disk")
