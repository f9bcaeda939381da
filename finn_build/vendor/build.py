"""The vendor build: each step runs once, is looked at, and is kept until something that it depends on changes."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from finn_build.cache.digest import file_digest, folder_digest, value_digest
from finn_build.cache.key import tool_versions
from finn_build.cache.source import source_digests
from finn_build.errors import CheckFailed, ToolFailed
from finn_build.package.bitfile import BUILD_MARK, PACKET_MARK
from finn_build.package.manifest import CAM_BLOCK
from finn_build.vendor import reports, sources
from finn_build.vendor.deps import BOARD_FILES, dependencies
from finn_build.vendor.design import BOARD, IP, PROJECT, TEMPLATES, TOP, Design, render
from finn_build.vendor.program import run_tool
from finn_build.vendor.steps import Steps
from finn_build.vendor.tools import Tools

MOST_JOBS = 8
SYNTHESIS_FILES = ["synthesised.dcp", "utilization.rpt", "hierarchy.rpt", "timing.rpt"]
ROUTED_FILES = ["routed.dcp", "utilization.rpt", "hierarchy.rpt", "timing.rpt", "power.rpt"]
UNREAD_MEMORY = "could not open $readmem"


@dataclass(frozen=True)
class VendorSources:
    """What a bitfile is made of.

    Attributes:
        name: the config's.
        graph: the graph of the stage `codegen`, whose nodes name their folders.
        nodes: generated sources, a folder a node.
        part, clock_mhz: of the accelerator.
        build_id: of the hardware, '0x' and eight hex digits.
        packet_bytes: that leave for an image, a packet or a tap.
        deps: FINN's headers and the board files.
    """

    name: str
    graph: Path
    nodes: Path
    part: str
    clock_mhz: float
    build_id: str
    packet_bytes: int
    deps: Path


@dataclass(frozen=True)
class Accelerator:
    """The stitched IP: its folder, its name, its AXI-lite interface (None where it has no registers)."""

    ip: Path
    vlnv: str
    control: str | None


@dataclass(frozen=True)
class Measured:
    """What the tools found, after synthesis or after place and route.

    Attributes:
        used: LUT, FF, BRAM18, DSP and, once placed, slices of the whole design.
        cells: the same of single cells.
        timing: slack and clock.
        folder: the step's, with the reports.
    """

    used: dict[str, float]
    cells: dict[str, dict[str, float]]
    timing: reports.Timing
    folder: Path


class VendorBuild:
    """One build's steps, from C++ to bitfile, in the order of the methods."""

    def __init__(self, made_of: VendorSources, tools: Tools, work: Path, tell: Callable[[float], None]) -> None:
        self.made_of = made_of
        self.tools = tools
        self.work = work.resolve()
        self.steps = Steps(self.work)
        self._tell = tell
        self._common = {"tools": tools.version, "part": made_of.part, "clock": repr(made_of.clock_mhz)}
        # FINN's scripts, headers and RTL library come from its wheel.
        self._common["finn-plus"] = tool_versions()["finn-plus"]

    def probe(self) -> None:
        """Asks Vivado for the chip, the board, the IP and the licences, with a design of one register.

        Raises:
            ToolFailed: one of them is not there.
        """
        ips = list(IP.values())
        script = render("probe", part=self.made_of.part, boards=self.boards, board=BOARD, ips=ips)

        def work(folder: Path) -> None:
            shutil.copyfile(TEMPLATES / "probe.v", folder / "probe.v")
            self._vivado(folder, script)

        self.steps.run("probe", self._common | {"script": value_digest(script)}, ["probe.ok"], work)
        self._tell(0.03)

    def synthesise_cpp(self, names: list[str]) -> None:
        """Turns each C++ node into IP with Vitis HLS, in a step of its own.

        Raises:
            ToolFailed: the C++ could not be synthesised.
        """
        headers = {entry.name: entry.commit for entry in dependencies()}
        for index, name in enumerate(names):
            given, script = self.made_of.nodes / name, f"hls_syn_{name}.tcl"
            parts = self._common | headers | {"sources": folder_digest(given)}
            wanted = [f"project_{name}/{sources.HLS_IP}/component.xml"]

            def work(folder: Path, given: Path = given, script: str = script) -> None:
                shutil.copytree(given, folder, dirs_exist_ok=True)
                run_tool(self.tools.hls_command(script), folder, self._environment())

            self.steps.run(f"hls/{name}", parts, wanted, work)
            self._tell(0.03 + 0.12 * (index + 1) / len(names))

    def stitch(self) -> Accelerator:
        """Joins the nodes between the DMAs in one IP, by FINN's script.

        Raises:
            ToolFailed: Vivado could not.
        """
        from finn_build.adapter.stitch import stitch
        from finn_build.stages.inputs import load_graph

        graph = load_graph(self.made_of.graph)
        cpp = sources.hls_nodes(graph)
        parts = self._common | self._after(*(f"hls/{name}" for name in cpp))
        parts |= {"graph": file_digest(self.made_of.graph), "sources": folder_digest(self.made_of.nodes)}
        # The script is made in the step: what makes it counts.
        parts |= source_digests("finn_build.vendor.sources") | source_digests("finn_build.adapter.stitch")

        def work(folder: Path) -> None:
            rtl = [str(node.name) for node in graph.graph.node if node.name not in cpp]
            sources.place_rtl(self.made_of.nodes, rtl, folder / "rtl")
            placed = sources.without_dmas(sources.with_places(graph, folder / "rtl", self.work / "hls"))
            made = stitch(placed, self.made_of.part, 1000.0 / self.made_of.clock_mhz, folder / "project", CAM_BLOCK)
            (folder / "stitched.json").write_text(
                json.dumps({"vlnv": made.vlnv, "interfaces": made.interfaces}, indent=1), encoding="utf-8"
            )
            self._vivado(folder / "project", made.script.read_text(encoding="utf-8"), folder / "project")

        place = self.steps.run("stitch", parts, ["stitched.json", "project/ip/component.xml"], work)
        self._tell(0.25)
        told = json.loads((place / "stitched.json").read_text(encoding="utf-8"))
        control = told["interfaces"].get("axilite", [])
        plain = told["interfaces"].get("ap_none", [])
        if plain or len(control) > 1:
            extra = f"input {plain[0]}" if plain else f"{len(control)} AXI-lite interfaces"
            what = f"the accelerator has {extra}, which the block design does not know"
            raise CheckFailed("vendor", what, "report this as a bug")
        return Accelerator(place / "project" / "ip", str(told["vlnv"]), str(control[0]) if control else None)

    def design(self, accelerator: Accelerator) -> Path:
        """Makes the block design with processing system and DMAs, and returns its folder with `top.hwh`.

        Raises:
            ToolFailed: Vivado could not.
        """
        from finn_build.stages.inputs import load_graph

        dmas = {dma.direction: dma.node for dma in sources.dmas_of(load_graph(self.made_of.graph))}
        script = Design(
            part=self.made_of.part,
            clock_mhz=self.made_of.clock_mhz,
            boards=self.boards,
            repositories=(accelerator.ip, *(self._ip(name) for name in dmas.values())),
            vlnv=accelerator.vlnv,
            input_node=dmas["in"],
            output_node=dmas["out"],
            control=accelerator.control,
            marks={PACKET_MARK: self.made_of.packet_bytes, BUILD_MARK: int(self.made_of.build_id, 16)},
        ).script()
        parts = self._common | self._after("stitch") | {"script": value_digest(script)}
        parts |= {f"commit of {entry.name}": entry.commit for entry in dependencies()}
        wanted = [f"{TOP}.hwh", "facts.txt"]
        place = self.steps.run("design", parts, wanted, lambda folder: self._vivado(folder, script))
        self._tell(0.3)
        return place

    def synthesise(self, design: Path) -> Measured:
        """Synthesises the whole design.

        Raises:
            ToolFailed: Vivado could not, or a report cannot be read.
            CheckFailed: a memory would be empty, because its file could not be read.
        """
        script = render("synthesis", design=design, project=PROJECT, boards=self.boards)
        parts = self._common | self._after("design") | {"script": value_digest(script)}

        def work(folder: Path) -> None:
            self._vivado(folder, script, design)
            _require_memories(design)

        place = self.steps.run("synthesis", parts, SYNTHESIS_FILES, work)
        self._tell(0.6)
        return measured(place)

    def implement(self, synthesised: Measured) -> Measured:
        """Places and routes.

        Raises:
            ToolFailed: Vivado could not, or a report cannot be read.
        """
        checkpoint = synthesised.folder / "synthesised.dcp"
        script = render("implementation", synthesised=checkpoint)
        parts = self._common | self._after("synthesis") | {"script": value_digest(script)}
        parts |= {"checkpoint": file_digest(checkpoint)}
        place = self.steps.run("implementation", parts, ROUTED_FILES, lambda folder: self._vivado(folder, script))
        self._tell(0.95)
        return measured(place)

    def bitstream(self, routed: Measured) -> Path:
        """Writes the bitfile and returns it.

        Raises:
            ToolFailed: Vivado could not.
        """
        checkpoint = routed.folder / "routed.dcp"
        script = render("bitstream", routed=checkpoint, file=f"{TOP}.bit", build_id=self.made_of.build_id)
        parts = self._common | self._after("implementation") | {"script": value_digest(script)}
        parts |= {"checkpoint": file_digest(checkpoint)}
        place = self.steps.run("bitstream", parts, [f"{TOP}.bit"], lambda folder: self._vivado(folder, script))
        self._tell(1.0)
        return place / f"{TOP}.bit"

    @property
    def boards(self) -> Path:
        """The folder of the board files."""
        return self.made_of.deps / BOARD_FILES

    def _ip(self, name: str) -> Path:
        return self.work / "hls" / name / f"project_{name}" / sources.HLS_IP

    def _after(self, *names: str) -> dict[str, str]:
        """Parts of a key: those steps' own keys, so that whatever they depend on counts here too."""
        return {f"step {name}": self.steps.keys[name] for name in names}

    def _vivado(self, folder: Path, script: str, project: Path | None = None) -> None:
        path = folder / "run.tcl"
        path.write_text(script, encoding="utf-8")
        jobs = max(1, min(MOST_JOBS, os.cpu_count() or 1))
        command = [str(self.tools.vivado), "-mode", "batch", "-nojournal", "-nolog", "-notrace"]
        run_tool([*command, "-source", path.name, "-tclargs", str(jobs)], folder, self._environment(), project)

    def _environment(self) -> dict[str, str]:
        """What FINN's scripts look up."""
        from importlib.util import find_spec

        found = find_spec("finn")
        finn = Path(next(iter((found.submodule_search_locations if found is not None else None) or [""])))
        return {
            "FINN_DEPS": str(self.made_of.deps),
            "FINN_RTLLIB": str(finn / "finn-rtllib"),
            "FINN_CUSTOM_HLS": str(finn / "custom_hls"),
        }


def measured(folder: Path) -> Measured:
    """Reads a step's reports."""
    return Measured(
        reports.read_utilisation(folder / "utilization.rpt"),
        reports.read_hierarchy(folder / "hierarchy.rpt"),
        reports.read_timing(folder / "timing.rpt"),
        folder,
    )


def read_facts(design: Path) -> dict[str, str]:
    """What the block design's script says of it: `clock_mhz`, the clock that the chip really gives, and `vivado`."""
    lines = (design / "facts.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if "clock_mhz" not in found:
        raise ToolFailed("vivado", 0, design / "facts.txt", ["it does not say the clock"])
    return found


def _require_memories(project: Path) -> None:
    """A memory file that is not found is a warning to Vivado, and the memory is empty."""
    for log in sorted(project.glob("**/runme.log")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if UNREAD_MEMORY in line:
                raise CheckFailed("vendor", " ".join(line.split()), "report this as a bug")
