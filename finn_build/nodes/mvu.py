"""MVAU_rtl with cores of this project's: multipliers in LUTs, and chains of DSPs that add up on the way.

`resType` lut is the first, where FINN's own raises; `dspStyle` chain is the second. Everything else stays FINN's: the
packing of weights, and its DSP core, which packs lanes and adds in LUTs. Weights come from a memory of this project's:
the folding is that of a chip whose weights are never written, and FINN's costs a LUT and three flip-flops a bit for it.
"""

from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

from finn.custom_op.fpgadataflow.rtl.matrixvectoractivation_rtl import MVAU_rtl as FinnMvau

from finn_build.errors import UserError
from finn_build.nodes.wrappers import mvu_wrapper, rom_wrapper, source
from finn_build.resources.chains import (
    CHAIN_BITS,
    CHAIN_LANES,
    ChainSize,
    CoreTiming,
    chain_fits,
    chains_of,
    core_timing,
)
from finn_build.rtl.library import rtl_library

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

MODULES = ("stream_fifo", "digit_sum", "lut_products", "dsp_chain", "mvu_own")
MEMORY = "weight_rom"
REPLAY = "mvu/replay_buffer.sv"


class MVAU_rtl(FinnMvau):  # type: ignore[misc]  # noqa: N801
    """FINN's matrix-vector unit, under its own name, which FINN's passes test for."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's, and `dspStyle`: which core DSPs belong to."""
        types: dict[str, Any] = super().get_nodeattr_types()
        return types | {"dspStyle": ("s", False, "lanes", {"lanes", "chain"})}

    @property
    def in_luts(self) -> bool:
        """Whether the multipliers are LUTs."""
        return bool(self.get_nodeattr("resType") == "lut")

    @property
    def in_chains(self) -> bool:
        """Whether DSPs add up the products."""
        return not self.in_luts and bool(self.get_nodeattr("dspStyle") == "chain")

    @property
    def is_own(self) -> bool:
        """Whether the core is of this project's."""
        return self.in_luts or self.in_chains

    @property
    def chain_size(self) -> ChainSize:
        """What the rules for chains ask for."""
        weights, activations = (self.get_input_datatype(i) for i in (1, 0))
        return ChainSize(int(self.get_nodeattr("SIMD")), int(weights.bitwidth()), int(activations.bitwidth()))

    @property
    def timing(self) -> CoreTiming:
        """Of an own core: when results come, and how many wait."""
        folds = int(self.get_nodeattr("MW")) // int(self.get_nodeattr("SIMD"))
        return core_timing(int(self.get_nodeattr("SIMD")), folds, chain=self.in_chains)

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Writes the wrapper around the chosen core, the weights and their memory's wrapper.

        Raises:
            UserError: an own core is wanted of a memory mode, tiling or clocking that it does not have, or a chain of
                widths that do not fit a DSP48E1.
        """
        if not self.is_own:
            super().generate_hdl(model, fpgapart, clk)
            return
        node, folder = self.onnx_node.name, Path(self.get_nodeattr("code_gen_dir_ipgen"))
        for attribute, wanted in (
            ("mem_mode", "internal_decoupled"), ("TH", 1), ("pumpedCompute", 0), ("noActivation", 1),
            ("binaryXnorMode", 0),
        ):  # fmt: skip
            got = self.get_nodeattr(attribute)
            if got != wanted:
                core = "resType lut" if self.in_luts else "dspStyle chain"
                raise UserError(f"node {node}, {attribute}", f"{wanted} with {core}", str(got), "correct the folding")
        if self.in_chains:
            self._check_chain(fpgapart)
        self.generate_params(model, str(folder))
        name = str(self.get_verilog_top_module_name())
        self.set_nodeattr("gen_top_module", name)
        for module in MODULES:
            copyfile(source(module), folder / f"{module}.sv")
        activations = self.get_input_datatype(0)
        text = mvu_wrapper(
            name,
            mw=int(self.get_nodeattr("MW")),
            mh=int(self.get_nodeattr("MH")),
            pe=int(self.get_nodeattr("PE")),
            simd=int(self.get_nodeattr("SIMD")),
            weight_bits=int(self.get_input_datatype(1).bitwidth()),
            activation_bits=int(activations.bitwidth()),
            signed_activations=bool(activations.signed()),
            accumulator_bits=int(self.get_output_datatype().bitwidth()),
            chain=self.in_chains,
            queue=self.timing.queue,
        )
        (folder / f"{name}_wrapper.v").write_text(text, encoding="utf-8")
        self.generate_infra_hdl(fpgapart)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def generate_hdl_memstream(self, fpgapart: str, pumped_memory: int = 0, **named: Any) -> None:
        """FINN's wrapper of the weights' memory, with the project's memory in it.

        Raises:
            UserError: weights are to be written at run time, or FINN's wrapper is another one.
        """
        node = self.onnx_node.name
        for attribute in ("runtime_writeable_weights", "pumpedMemory"):
            if self.get_nodeattr(attribute):
                raise UserError(f"node {node}, {attribute}", "0: weights are read-only", "1", "correct the folding")
        super().generate_hdl_memstream(fpgapart, pumped_memory, **named)
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        copyfile(source(MEMORY), folder / f"{MEMORY}.sv")
        wrapper = folder / f"{named.get('name') or node}_memstream_wrapper.v"
        wrapper.write_text(rom_wrapper(wrapper.read_text(encoding="utf-8")), encoding="utf-8")

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Core, wrapper and, which FINN's list omits, the weights' memory with its wrapper."""
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        finn = [] if self.is_own else [Path(file) for file in super().get_rtl_file_list(abspath=True)]
        files = self._core_files() if self.is_own else finn
        if self.get_nodeattr("mem_mode") == "internal_decoupled":
            files.append(folder / f"{MEMORY}.sv")
            files += sorted(folder.glob("*_memstream_wrapper.v"))
        return [str(file) if abspath else file.name for file in files]

    def _core_files(self) -> list[Path]:
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        own = [*(f"{module}.sv" for module in MODULES), f"{self.get_nodeattr('gen_top_module')}_wrapper.v"]
        return [rtl_library() / REPLAY, *(folder / name for name in own)]

    def instantiate_ip(self, cmd: list[str]) -> None:
        """Appends Vivado's commands for the core; the memory's follow in FINN's own."""
        cmd.append(f"add_files -norecurse {Path(self.get_nodeattr('code_gen_dir_ipgen')) / MEMORY}.sv")
        if not self.is_own:
            super().instantiate_ip(cmd)
            return
        node, top = self.onnx_node.name, self.get_nodeattr("gen_top_module")
        cmd += [f"add_files -norecurse {file}" for file in self._core_files()]
        cmd.append(f"create_bd_cell -type hier -reference {top} /{node}/{node}")
        cmd.append(f"connect_bd_net [get_bd_pins {node}/ap_clk] [get_bd_pins {node}/{node}/ap_clk2x]")

    def _check_chain(self, fpgapart: str) -> None:
        from finn.util.basic import get_dsp_block

        node, size = self.onnx_node.name, self.chain_size
        if get_dsp_block(fpgapart) != "DSP48E1":
            expected = "lanes: chains are written for DSP48E1"
            raise UserError(f"node {node}, dspStyle", expected, f"chain on {fpgapart}", "correct the folding")
        if not chain_fits(size):
            expected = f"2·W + A + ⌈log2 chain⌉ up to {CHAIN_BITS}"
            got = f"SIMD {size.simd}, W{size.weight_bits} A{size.activation_bits}"
            raise UserError(f"node {node}, dspStyle chain", expected, got, "take lanes, or a smaller SIMD")

    def dsp_estimation(self, fpgapart: str) -> int:
        """None with LUT multipliers; two lanes a chain; otherwise as many as the DSP48 lanes along PE allow.

        A DSP48E1 multiplies 25 bits: 1 + ⌊(25 - W)/(W + A - 1)⌋ narrow weights share one (27 bits from DSP48E2 on).
        """
        if self.in_luts:
            return 0
        if self.in_chains:
            return -(-int(self.get_nodeattr("PE")) // CHAIN_LANES) * int(self.get_nodeattr("SIMD"))
        from finn.util.basic import get_dsp_block

        weight, activation = (int(self.get_input_datatype(i).bitwidth()) for i in (1, 0))
        wide = 25 if get_dsp_block(fpgapart) == "DSP48E1" else 27
        lanes = 1 + (wide - weight) // (weight + activation - 1)
        return -(-int(self.get_nodeattr("PE")) // lanes) * int(self.get_nodeattr("SIMD"))

    def lut_estimation(self, fpgapart: str) -> int:
        """What the structure of an own core says; 0 for FINN's, as FINN has it."""
        if not self.is_own:
            return int(super().lut_estimation(fpgapart))
        weight, activation = (int(self.get_input_datatype(i).bitwidth()) for i in (1, 0))
        pe, simd = int(self.get_nodeattr("PE")), int(self.get_nodeattr("SIMD"))
        accumulator = int(self.get_output_datatype().bitwidth())
        if self.in_chains:  # what operands wait in
            return (simd - len(chains_of(simd))) * (activation + pe * weight) + 2 * pe * accumulator + 60
        digits, shared = pe * simd * -(-weight // 2) * (activation + 5), simd * 2 * (activation + 2)
        return digits + shared + pe * 5 * accumulator + 60
