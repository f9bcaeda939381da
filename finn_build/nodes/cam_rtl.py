"""ClassActivationMap_rtl: the CAM block in SystemVerilog."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cam_postproc.rtl import CONTROL, cam_wrapper, control_address_bits, longest_interval, module_files, write_block
from finn_build.nodes.cam_op import ClassActivationMap
from finn_build.nodes.rtl_node import OwnRtl

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


class ClassActivationMap_rtl(ClassActivationMap, OwnRtl):  # noqa: N801
    """The RTL variant; FINN finds it by its name."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Those of the generic operator and of FINN's RTL nodes."""
        return {**ClassActivationMap.get_nodeattr_types(self), **OwnRtl.get_nodeattr_types(self)}

    def module_sources(self) -> list[Path]:
        """The block's modules."""
        return module_files()

    def wrapper_text(self, name: str) -> str:
        """Tap in, packet out, registers behind AXI-lite."""
        return cam_wrapper(self.block, name, f"{name}_")

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Writes modules, wrapper and the memories' contents into the node's folder."""
        super().generate_hdl(model, fpgapart, clk)
        weights, bias = (np.asarray(model.get_initializer(name)) for name in self.onnx_node.input[1:3])
        spec = self.spec
        biases = bias.reshape(-1).astype(np.int32) if spec.bias_bits else None
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        write_block(self.block, weights.astype(np.int8), biases, folder, str(self.get_nodeattr("gen_top_module")))

    def get_verilog_top_module_intf_names(self) -> dict[str, Any]:
        """The streams, and the registers behind AXI-lite."""
        names: dict[str, Any] = super().get_verilog_top_module_intf_names()
        names["axilite"] = [CONTROL]
        return names

    @property
    def control_bits(self) -> int:
        """Bits of the registers' addresses."""
        return control_address_bits(self.block)

    def get_exp_cycles(self) -> int:
        """Cycles from frame to frame."""
        return longest_interval(self.block)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """The integer specification, as in the generic form."""
        ClassActivationMap.execute_node(self, context, graph)
