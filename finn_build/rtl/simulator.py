"""A compiled design, run on words from files."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finn_build.errors import CheckFailed, ToolFailed
from finn_build.rtl.design import PACKETS, Access, Behind, Design, Run, Side

_BAD_OUTPUT = re.compile(r"\$readmem|%Error|%Fatal|Assertion failed|Overflowing|%Warning")


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
        accesses: Sequence[Access] = (),
        behind: Behind | None = None,
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
            accesses: to registers, each port's in this order.
            behind: C++ that takes an output's words; the run ends when its packets are out, too.
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
        lines = [f"idle {idle_cycles}", f"surplus {surplus_cycles}", f"report {_quoted(folder / 'report.json')}"]
        for index, stream in enumerate(self.design.inputs):
            path = folder / f"{stream.name}.words"
            data = stimulus[stream.name]
            path.write_bytes(data)
            count = len(data) // stream.word_bytes
            lines.append(f"in {index} {_quoted(path)} {count} {frame_words.get(stream.name, count) or 1}")
        for index, stream in enumerate(self.design.outputs):
            count = wanted[stream.name]
            path = folder / f"{stream.name}.words"
            lines.append(f"out {index} {_quoted(path)} {count} {frame_words.get(stream.name, count) or 1}")
        for index, name in enumerate(self.design.probes):
            if name in frame_words:
                lines.append(f"probe {index} {frame_words[name]}")
        lines += [f"scalar {self.design.scalars.index(name)} {beat} {value}" for name, beat, value in scalars]
        inputs = [stream.name for stream in self.design.inputs]
        for access in accesses:
            place = (
                f"{self.design.lites.index(access.lite)} {inputs.index(access.input)} {access.beat} {access.address}"
            )
            lines.append(f"read {place}" if access.value is None else f"write {place} {access.value}")
        packets = folder / f"{PACKETS}.bytes"
        if behind is not None:
            banks = folder / "banks.words"
            banks.write_bytes(behind.banks)
            output = [stream.name for stream in self.design.outputs].index(behind.stream)
            sizes = f"{behind.frames} {behind.frame_words} {behind.packet_bytes} {behind.word_bytes}"
            lines.append(f"behind {output} {_quoted(behind.library)} {sizes} {_quoted(banks)} {_quoted(packets)}")
        if stalls_seed is not None:
            lines.append(f"stalls {stalls_seed} {stall_percent}")
        if limit_cycles is not None:
            lines.append(f"limit {limit_cycles}")
        if trace is not None:
            lines.append(f"trace {_quoted(trace[0].resolve())} {trace[1]} {trace[2]}")
        plan = folder / "plan.txt"
        plan.write_text("\n".join(lines) + "\n")
        self._execute(plan, folder, work or folder, on_progress)
        run = self._collect(json.loads((folder / "report.json").read_text()), folder)
        if behind is not None:
            run.outputs[PACKETS] = packets.read_bytes()
        return run

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
            answers=dict(zip(self.design.lites, report["answers"], strict=True)),
        )


def _quoted(path: Path) -> str:
    """A file's name as std::quoted reads it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
