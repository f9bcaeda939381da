"""Writes the accelerator as one SystemVerilog top with everything that it consists of, in one folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cam_postproc.rtl import CONTROL
from finn_build.errors import CheckFailed
from finn_build.rtl.design import LITE_PINS, Design, Stream, lite_ports
from finn_build.rtl.library import mended
from finn_build.rtl.netlist import MEMORY_STREAM, Block, Netlist, memory_files

TOP = "accelerator"
_TIED_PREFIXES = ("s_axilite_", "s_axis_0_", "in1_V_")
"""Inputs that only a block that is not built so reads: registers of memories, choice among threshold sets."""


@dataclass(frozen=True)
class Accelerator:
    """The top and its files.

    Attributes:
        netlist: what it was made of.
        folder: takes sources; the top is accelerator.sv.
        sources: every SystemVerilog file, packages first, the top last.
        registers: address bits of the CAM block's registers, an AXI-lite slave of the top; 0 where it has none.
        fifos: FIFO blocks, in the order of fifo_high_water.
    """

    netlist: Netlist
    folder: Path
    sources: tuple[Path, ...]
    registers: int
    fifos: tuple[Block, ...]

    def design(self) -> Design:
        """For Verilator, with probes at every stream and the FIFOs' high-water marks."""
        first, last = self.netlist.input, self.netlist.output
        return Design(
            TOP,
            self.sources,
            (Stream("in0_V", first.bits),),
            (Stream("out0_V", last.bits),),
            (),
            (CONTROL,) if self.registers else (),
            tuple(edge.tensor for edge in self.netlist.edges),
            tuple(block.name for block in self.fifos),
            ("PROBES",),
        )


def write_accelerator(netlist: Netlist, folder: Path) -> Accelerator:
    """Copies sources, mended where they come from FINN's library, and writes the top.

    Memory files stay in the generated code's folder: tools run there, and sources name them relative to it.

    Raises:
        CheckFailed: two different files of one name, an input that nobody drives, no or an empty memory file.
        UserError: a mend does not fit this version of FINN's library.
    """
    sources = folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    texts = source_texts(netlist.blocks, netlist.folder)
    for stale in sources.iterdir():
        if stale.name not in texts:
            stale.unlink()
    paths = []
    for name in in_order(texts):
        path = sources / name
        if not path.is_file() or path.read_text(encoding="utf-8") != texts[name]:
            path.write_text(texts[name], encoding="utf-8")
        paths.append(path)
    check_memories(netlist, texts)
    registers = max(block.control_bits for block in netlist.blocks)
    fifos = tuple(block for block in netlist.blocks if "maxcount" in block.ports)
    top = folder / f"{TOP}.sv"
    top.write_text(_top(netlist, registers, fifos), encoding="utf-8")
    return Accelerator(netlist, folder, (*paths, top), registers, fifos)


def source_texts(blocks: Iterable[Block], folder: Path) -> dict[str, str]:
    """File name → SystemVerilog of blocks whose generated code lies below `folder`.

    Raises:
        CheckFailed: two different files of one name.
        UserError: a mend does not fit this version of FINN's library.
    """
    texts: dict[str, str] = {}
    for block in blocks:
        for file in block.sources:
            text = _source(file, block, folder)
            if texts.setdefault(file.name, text) != text:
                raise CheckFailed("rtl", f"two different files are called {file.name}", "rename one of the modules")
    return texts


def in_order(names: Iterable[str]) -> list[str]:
    """Packages before their users; everything else may come in any order."""
    return sorted(names, key=lambda name: (not name.endswith("_pkg.sv"), name))


def check_memories(netlist: Netlist, texts: dict[str, str]) -> None:
    """Checks that every memory file that the sources name is there in full: $readmemh would go on with garbage.

    Raises:
        CheckFailed: naming the file, and how many words it lacks.
    """
    wanted: dict[str, int | None] = {}
    for text in texts.values():
        for name in re.findall(r'"([\w./-]+\.dat)"', text):
            wanted[name] = _parameter(text, "DEPTH") if "weight_rom" in text else None
        for prefix in re.findall(r'THRESHOLDS_PATH\s*=\s*"([^"]+)"', text):
            lanes, channels = _parameter(text, "PE"), _parameter(text, "C")
            for stage in range(_parameter(text, "N").bit_length()):
                words = channels // lanes << stage
                wanted |= {f"{prefix}threshs_{lane}_{stage}.dat": words for lane in range(lanes)}
    present = {path.relative_to(netlist.folder).as_posix(): path for path in memory_files(netlist)}
    for name, depth in wanted.items():
        words = len(present[name].read_text(encoding="utf-8").split()) if name in present else 0
        if not words:
            raise CheckFailed("rtl", f"memory file {name} is missing or empty", "run codegen again")
        if depth is not None and words != depth:
            raise CheckFailed("rtl", f"memory file {name} has {words} words instead of {depth}", "run codegen again")


def _parameter(text: str, name: str) -> int:
    match = re.search(rf"\bparameter\s+{name}\s*=\s*(\d+)", text)
    if match is None:
        raise CheckFailed("rtl", f"a wrapper has no parameter {name}", "FINN's template is another one")
    return int(match[1])


def _source(file: Path, block: Block, folder: Path) -> str:
    """A file's text: library files mended, names of memory files in generated ones relative to the code's folder."""
    text = file.read_text(encoding="utf-8")
    if not file.is_relative_to(folder):
        return mended(file.name, text)
    own = folder / block.name

    def relative(match: re.Match[str]) -> str:
        name = match[1].removeprefix("./")
        found = bool(name) and "/" not in name and any(own.glob(f"{name}*.dat" if not name.endswith(".dat") else name))
        missing = name.endswith(".dat") and "/" not in name
        return f'"{block.name}/{name}"' if found or missing else match[0]

    return re.sub(r'"((?:\./)?[\w.-]+)"', relative, text)


def _top(netlist: Netlist, registers: int, fifos: tuple[Block, ...]) -> str:
    first, last, edges = netlist.input, netlist.output, netlist.edges
    wire = {edge.tensor: f"s{index}" for index, edge in enumerate(edges)}
    ports = ["input ap_clk", "input ap_rst_n", *(lite_ports(CONTROL, registers) if registers else [])]
    ports += [f"input [{first.bits - 1}:0] in0_V_TDATA", "input in0_V_TVALID", "output in0_V_TREADY"]
    ports += [f"output [{last.bits - 1}:0] out0_V_TDATA", "output out0_V_TVALID", "input out0_V_TREADY"]
    lines = [f"// The accelerator: {len(netlist.blocks)} blocks, {len(edges)} streams.", f"module {TOP} ("]
    lines += ["\t" + ",\n\t".join(ports), "`ifdef PROBES"]
    lines += [f"\t, output [{len(edges) - 1}:0] probe_valid, output [{len(edges) - 1}:0] probe_ready"]
    if fifos:
        lines += [f"\t, output [{32 * len(fifos) - 1}:0] fifo_high_water"]
    lines += ["`endif", ");"]
    for edge in edges:
        name = wire[edge.tensor]
        lines.append(f"\twire [{edge.bits - 1}:0] {name}_TDATA;\twire {name}_TVALID, {name}_TREADY;\t// {edge.title}")
    lines += _outside(wire[first.tensor], wire[last.tensor])
    for block in netlist.blocks:
        lines += _instance(block, wire, fifos)
    lines += ["`ifdef PROBES"]
    for pin, port in (("TVALID", "valid"), ("TREADY", "ready")):
        names = ", ".join(f"{wire[edge.tensor]}_{pin}" for edge in reversed(edges))
        lines.append(f"\tassign probe_{port} = {{{names}}};")
    if fifos:
        marks = ", ".join(f"{block.name}_high" for block in reversed(fifos))
        lines.append(f"\tassign fifo_high_water = {{{marks}}};")
    lines += ["`endif", "endmodule", ""]
    return "\n".join(lines)


def block_unit(block: Block, name: str) -> str:
    """A module around one block and its weights' memory, with its streams as ports: what is synthesised alone."""
    ports = ["input ap_clk", "input ap_rst_n"]
    ports += lite_ports(CONTROL, block.control_bits) if block.control_bits else []
    wire = {port.tensor: port.name for port in (*block.inputs, *block.outputs)}
    for streams, way, back in ((block.inputs, "input", "output"), (block.outputs, "output", "input")):
        for port in streams:
            ports += [f"{way} [{port.bits - 1}:0] {port.name}_TDATA"]
            ports += [f"{way} {port.name}_TVALID", f"{back} {port.name}_TREADY"]
    lines = [f"module {name} (", "\t" + ",\n\t".join(ports), ");", *_instance(block, wire, ())]
    return "\n".join([*lines, "endmodule", ""])


def _outside(first: str, last: str) -> list[str]:
    return [
        f"\tassign {first}_TDATA = in0_V_TDATA;",
        f"\tassign {first}_TVALID = in0_V_TVALID;",
        f"\tassign in0_V_TREADY = {first}_TREADY;",
        f"\tassign out0_V_TDATA = {last}_TDATA;",
        f"\tassign out0_V_TVALID = {last}_TVALID;",
        f"\tassign {last}_TREADY = out0_V_TREADY;",
    ]


def _instance(block: Block, wire: dict[str, str], fifos: tuple[Block, ...]) -> list[str]:
    """A block, its weights' memory if it has one, and the wires between the two."""
    driven = {"ap_clk": "ap_clk", "ap_clk2x": "ap_clk", "ap_rst_n": "ap_rst_n"}
    if block.control_bits:
        driven |= {f"{CONTROL}_{pin}": f"{CONTROL}_{pin}" for pin in LITE_PINS}
    lines = []
    for port in (*block.inputs, *block.outputs):
        driven |= {f"{port.name}_{pin}": f"{wire[port.tensor]}_{pin}" for pin in ("TDATA", "TVALID", "TREADY")}
    if block.memory is not None:
        weights = f"{block.name}_weights"
        lines += [f"\twire [{block.memory_bits - 1}:0] {weights}_TDATA;\twire {weights}_TVALID, {weights}_TREADY;"]
        driven |= {f"in1_V_{pin}": f"{weights}_{pin}" for pin in ("TDATA", "TVALID", "TREADY")}
        stream = {f"{MEMORY_STREAM}_{pin.lower()}": f"{weights}_{pin}" for pin in ("TDATA", "TVALID", "TREADY")}
        clocks = {key: driven[key] for key in ("ap_clk", "ap_clk2x", "ap_rst_n")}
        lines += _instantiate(block.memory, weights + "_memory", block.memory_ports, clocks | stream)
    if block in fifos:
        lines.append(f"\twire [31:0] {block.name}_high;")
        driven["maxcount"] = f"{block.name}_high"
    return lines + _instantiate(block.module, block.name, block.ports, driven)


def _instantiate(module: str, name: str, ports: dict[str, str], driven: dict[str, str]) -> list[str]:
    pins = []
    for port, way in ports.items():
        if port in driven:
            pins.append(f".{port}({driven[port]})")
        elif way == "output":
            pins.append(f".{port}()")
        elif port.startswith(_TIED_PREFIXES):
            pins.append(f".{port}('0)")
        else:
            raise CheckFailed("rtl", f"nothing drives input {port} of {name}", "connect it, or tie it off knowingly")
    return [f"\t{module} {name} (", "\t\t" + ", ".join(pins), "\t);"]
