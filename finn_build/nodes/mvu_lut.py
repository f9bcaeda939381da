"""MVAU_rtl with LUT multipliers where `resType` is lut; FINN's own raises there.

Everything else stays FINN's: the weights' memory and its stream, their packing, the DSP core for `auto` and `dsp`.
"""

from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

from finn.custom_op.fpgadataflow.rtl.matrixvectoractivation_rtl import MVAU_rtl as FinnMvau

from finn_build.errors import UserError
from finn_build.nodes.wrappers import mvu_lut_wrapper, source
from finn_build.rtl.library import rtl_library

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

MODULES = ("stream_fifo", "mvu_lut")
MEMORY_FILES = ("axi/hdl/axilite.sv", "memstream/hdl/memstream_axi.sv", "memstream/hdl/memstream.sv")
REPLAY = "mvu/replay_buffer.sv"


class MVAU_rtl(FinnMvau):  # type: ignore[misc]  # noqa: N801
    """FINN's matrix-vector unit, under its own name, which FINN's passes test for."""

    @property
    def in_luts(self) -> bool:
        """Whether the multipliers are LUTs."""
        return bool(self.get_nodeattr("resType") == "lut")

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Writes the wrapper around the chosen core, the weights and their memory's wrapper.

        Raises:
            UserError: LUT multipliers are wanted of a memory mode, tiling or clocking that they do not have.
        """
        if not self.in_luts:
            super().generate_hdl(model, fpgapart, clk)
            return
        node, folder = self.onnx_node.name, Path(self.get_nodeattr("code_gen_dir_ipgen"))
        for attribute, wanted in (
            ("mem_mode", "internal_decoupled"), ("TH", 1), ("pumpedCompute", 0), ("noActivation", 1),
            ("binaryXnorMode", 0),
        ):  # fmt: skip
            got = self.get_nodeattr(attribute)
            if got != wanted:
                raise UserError(
                    f"node {node}, {attribute}", f"{wanted} with resType lut", str(got), "correct the folding"
                )
        self.generate_params(model, str(folder))
        name = str(self.get_verilog_top_module_name())
        self.set_nodeattr("gen_top_module", name)
        for module in MODULES:
            copyfile(source(module), folder / f"{module}.sv")
        activations = self.get_input_datatype(0)
        text = mvu_lut_wrapper(
            name,
            mw=int(self.get_nodeattr("MW")),
            mh=int(self.get_nodeattr("MH")),
            pe=int(self.get_nodeattr("PE")),
            simd=int(self.get_nodeattr("SIMD")),
            weight_bits=int(self.get_input_datatype(1).bitwidth()),
            activation_bits=int(activations.bitwidth()),
            signed_activations=bool(activations.signed()),
            accumulator_bits=int(self.get_output_datatype().bitwidth()),
        )
        (folder / f"{name}_wrapper.v").write_text(text, encoding="utf-8")
        self.generate_infra_hdl(fpgapart)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Core, wrapper and, which FINN's list omits, the weights' memory with its wrapper."""
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        finn = [] if self.in_luts else [Path(file) for file in super().get_rtl_file_list(abspath=True)]
        files = self._core_files() if self.in_luts else finn
        if self.get_nodeattr("mem_mode") == "internal_decoupled":
            files += [rtl_library() / file for file in MEMORY_FILES]
            files += sorted(folder.glob("*_memstream_wrapper.v"))
        return [str(file) if abspath else file.name for file in files]

    def _core_files(self) -> list[Path]:
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        own = [*(f"{module}.sv" for module in MODULES), f"{self.get_nodeattr('gen_top_module')}_wrapper.v"]
        return [rtl_library() / REPLAY, *(folder / name for name in own)]

    def instantiate_ip(self, cmd: list[str]) -> None:
        """Appends Vivado's commands for the core; the memory's follow in FINN's own."""
        if not self.in_luts:
            super().instantiate_ip(cmd)
            return
        node, top = self.onnx_node.name, self.get_nodeattr("gen_top_module")
        cmd += [f"add_files -norecurse {file}" for file in self._core_files()]
        cmd.append(f"create_bd_cell -type hier -reference {top} /{node}/{node}")
        cmd.append(f"connect_bd_net [get_bd_pins {node}/ap_clk] [get_bd_pins {node}/{node}/ap_clk2x]")

    def dsp_estimation(self, fpgapart: str) -> int:
        """None with LUT multipliers; otherwise as many as the DSP48 lanes along PE allow.

        A DSP48E1 multiplies 25 bits: 1 + ⌊(25 - W)/(W + A - 1)⌋ narrow weights share one (27 bits from DSP48E2 on).
        """
        if self.in_luts:
            return 0
        from finn.util.basic import get_dsp_block

        weight, activation = (int(self.get_input_datatype(i).bitwidth()) for i in (1, 0))
        wide = 25 if get_dsp_block(fpgapart) == "DSP48E1" else 27
        lanes = 1 + (wide - weight) // (weight + activation - 1)
        return -(-int(self.get_nodeattr("PE")) // lanes) * int(self.get_nodeattr("SIMD"))

    def lut_estimation(self, fpgapart: str) -> int:
        """Multipliers, their adders and the queue; 0 with DSPs, as FINN has it."""
        if not self.in_luts:
            return int(super().lut_estimation(fpgapart))
        weight, activation = (int(self.get_input_datatype(i).bitwidth()) for i in (1, 0))
        pe, simd = int(self.get_nodeattr("PE")), int(self.get_nodeattr("SIMD"))
        accumulator = int(self.get_output_datatype().bitwidth())
        return pe * (simd * (weight * (activation + 1) + weight + activation) + 2 * accumulator) + 60
