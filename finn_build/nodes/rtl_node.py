"""What this project's RTL operators share: a wrapper, module files beside it, and Vivado's commands for both."""

from abc import abstractmethod
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


class OwnRtl(RTLBackend):  # type: ignore[misc]
    """An operator whose hardware is a wrapper NODE.v around SystemVerilog modules of the project.

    The modules are copied beside the wrapper, so that simulation, synthesis and Vivado read the same files.
    """

    @abstractmethod
    def module_sources(self) -> list[Path]:
        """The SystemVerilog files, submodules first."""

    @abstractmethod
    def wrapper_text(self, name: str) -> str:
        """Verilog of the wrapper, as module `name`."""

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Writes wrapper and modules into the node's folder.

        Args:
            model: not used: what a wrapper needs is in the attributes.
            fpgapart: not used: the modules suit any chip.
            clk: not used.
        """
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        name = str(self.get_verilog_top_module_name())
        self.set_nodeattr("gen_top_module", name)
        for source in self.module_sources():
            copyfile(source, folder / source.name)
        (folder / f"{name}.v").write_text(self.wrapper_text(name), encoding="utf-8")
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The files that `generate_hdl` wrote, submodules first, the wrapper last."""
        names = [source.name for source in self.module_sources()] + [f"{self.get_nodeattr('gen_top_module')}.v"]
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        return [str(folder / name) for name in names] if abspath else names

    def code_generation_ipi(self) -> list[str]:
        """Tcl that adds the files and instantiates the wrapper in Vivado's block design."""
        commands = [f"add_files -norecurse {file}" for file in self.get_rtl_file_list(abspath=True)]
        top, node = self.get_nodeattr("gen_top_module"), self.onnx_node.name
        return [*commands, f"create_bd_cell -type module -reference {top} {node}"]
