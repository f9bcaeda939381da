"""The block design around the accelerator, as Tcl for Vivado: which cells, under which names, at which addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from finn_build.package.manifest import CAM_BLOCK, INPUT_DMA, OUTPUT_DMA

PART = "xc7z020clg400-1"
BOARD = "*:pynq-z2:part0:*"
BOARD_FOLDER = "pynq-z2"
TOP, PROJECT = "top", "finn_cam"
TEMPLATES = Path(__file__).with_name("tcl")
IP: Mapping[str, str] = {
    "ps": "xilinx.com:ip:processing_system7:5.5",
    "reset": "xilinx.com:ip:proc_sys_reset:5.0",
    "smartconnect": "xilinx.com:ip:smartconnect:1.0",
    "interconnect": "xilinx.com:ip:axi_interconnect:2.1",
    "constant": "xilinx.com:ip:xlconstant:1.1",
}
"""Vivado's own IP: the same versions in 2022.2 and 2024.2. The first build step asks the catalogue for them."""

ADDRESSES = {INPUT_DMA: 0x40000000, OUTPUT_DMA: 0x40010000, CAM_BLOCK: 0x41000000}
"""Where the driver's registers lie. 16 MB are free behind the last, for FC weights written at run time."""


@dataclass(frozen=True)
class Slave:
    """An AXI-lite interface and its address, in hexadecimal."""

    interface: str
    address: str


@dataclass(frozen=True)
class Design:
    """What the block design is made of.

    Attributes:
        part: FPGA part.
        clock_mhz: wanted of the processing system's clock.
        boards: folder of the board files.
        repositories: folders with the IP of the accelerator and of the DMAs.
        vlnv: name of the accelerator's IP.
        input_node, output_node: names of the DMAs' IP.
        control: the accelerator's AXI-lite interface; None where it has no registers.
        marks: constants that go with the design, unconnected, for `finn-cam deploy --check-bitfile` to read.
    """

    part: str
    clock_mhz: float
    boards: Path
    repositories: tuple[Path, ...]
    vlnv: str
    input_node: str
    output_node: str
    control: str | None
    marks: Mapping[str, int]

    @property
    def slaves(self) -> list[Slave]:
        """All that the processing system writes to."""
        found = [(INPUT_DMA, "s_axi_control"), (OUTPUT_DMA, "s_axi_control")]
        found += [(CAM_BLOCK, self.control)] if self.control is not None else []
        return [Slave(f"{cell}/{interface}", f"0x{ADDRESSES[cell]:08X}") for cell, interface in found]

    def script(self) -> str:
        """Tcl that makes it, in the folder that it is run in."""
        cells, ports = (INPUT_DMA, CAM_BLOCK, OUTPUT_DMA), [f"M{i:02d}" for i in range(len(self.slaves))]
        clocked = ["zynq_ps/M_AXI_GP0_ACLK", "zynq_ps/S_AXI_HP0_ACLK", "reset_0/slowest_sync_clk", "memory_0/aclk"]
        clocked += ["control_0/ACLK", "control_0/S00_ACLK", *(f"control_0/{port}_ACLK" for port in ports)]
        reset = ["memory_0/aresetn", "control_0/S00_ARESETN", *(f"control_0/{port}_ARESETN" for port in ports)]
        return render(
            "design",
            project=PROJECT,
            top=TOP,
            part=self.part,
            clock_mhz=f"{self.clock_mhz:g}",
            boards=self.boards,
            board=BOARD,
            repositories=self.repositories,
            ip=IP,
            accelerator=CAM_BLOCK,
            accelerator_vlnv=self.vlnv,
            input_dma=INPUT_DMA,
            input_node=self.input_node,
            output_dma=OUTPUT_DMA,
            output_node=self.output_node,
            slaves=self.slaves,
            constants=self.marks,
            clocked=[*clocked, *(f"{cell}/ap_clk" for cell in cells)],
            reset=[*reset, *(f"{cell}/ap_rst_n" for cell in cells)],
        )


def render(name: str, **values: Any) -> str:
    """A script of `tcl/`, filled in; a value that is missing is an error."""
    return _templates().get_template(f"{name}.tcl.j2").render(**values)


@cache
def _templates() -> Environment:
    return Environment(  # noqa: S701  (Tcl, not HTML)
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
