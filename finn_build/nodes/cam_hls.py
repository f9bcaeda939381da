"""ClassActivationMap_hls: the CAM block in C++ for Vitis HLS.

The sources are those that `cam_postproc.hls` generates and simulates; only the names of the top function and of its two
streams are FINN's: the node's name, in0_V and out0_V.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from finn.custom_op.fpgadataflow.hlsbackend import HLSBackend

from cam_postproc.hls.sources import write_sources
from finn_build.nodes.cam_op import ClassActivationMap

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

ONLY_STANDALONE = ("cam_top.cpp", "cam_top.h", "cam_csim.cpp", "cam_tb.cpp", "run_hls.tcl", "sim/hls_stream.h")
"""Generated files that build and simulate the block by itself; FINN brings its own top and script."""


class ClassActivationMap_hls(ClassActivationMap, HLSBackend):  # type: ignore[misc]  # noqa: N801
    """The HLS variant; FINN finds it by its name."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Those of the generic operator and of FINN's HLS nodes."""
        kinds: dict[str, Any] = ClassActivationMap.get_nodeattr_types(self)
        kinds |= HLSBackend.get_nodeattr_types(self)
        return kinds

    def get_verilog_top_module_intf_names(self) -> dict[str, Any]:
        """The streams, and the registers behind AXI-lite."""
        names: dict[str, Any] = super().get_verilog_top_module_intf_names()
        names["axilite"] = ["s_axi_control"]
        return names

    def generate_params(self, model: "ModelWrapper", path: str, fpgapart: str | None = None) -> None:
        """Writes the library headers and cam_config.h with sizes, tables and weights beside the top file."""
        folder = Path(path)
        weights, bias = (np.asarray(model.get_initializer(name)) for name in self.onnx_node.input[1:3])
        write_sources(self.block, weights.astype(np.int8), bias.reshape(-1).astype(np.int32), folder)
        self._top = split_top((folder / "cam_top.cpp").read_text(encoding="utf-8"), self.onnx_node.name)
        for name in ONLY_STANDALONE:
            (folder / name).unlink()
        (folder / "sim").rmdir()

    def global_includes(self) -> None:
        """The configuration header, which includes the library, and the block's state."""
        self.code_gen_dict["$GLOBALS$"] = self._top["globals"]

    def get_ap_int_max_w(self) -> int:
        """Vitis HLS' own default: the block computes in wider integers than its streams have."""
        return 1024

    def defines(self, var: str) -> None:
        """None: all sizes stand in the configuration header."""
        self.code_gen_dict["$DEFINES$"] = []

    def blackboxfunction(self) -> None:
        """The top function's signature."""
        self.code_gen_dict["$BLACKBOXFUNCTION$"] = self._top["signature"]

    def pragmas(self) -> None:
        """Interfaces, memories and the dataflow region."""
        self.code_gen_dict["$PRAGMAS$"] = self._top["pragmas"]

    def docompute(self) -> None:
        """The block's processes."""
        self.code_gen_dict["$DOCOMPUTE$"] = self._top["body"]

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """The integer specification, as in the generic form: the C++ is compared with it in its own stage."""
        ClassActivationMap.execute_node(self, context, graph)


def split_top(source: str, name: str) -> dict[str, list[str]]:
    """Cuts the generated top function into the parts of FINN's template, under FINN's names.

    Args:
        source: cam_top.cpp.
        name: the node's.

    Returns:
        Lines of `globals`, `signature`, `pragmas` and `body`.

    Raises:
        ValueError: the source is not laid out as expected.
    """
    for old, new in (("cam_top", name), ("tap", "in0_V"), ("packet", "out0_V")):
        source, count = re.subn(rf"\b{old}\b(?!\.h)", new, source)
        if not count:
            raise ValueError(f"cam_top.cpp has no {old}")
    source = source.replace('#include "cam_top.h"', '#include "cam_config.h"')
    match = re.search(rf"^(?P<globals>.*?)^(?P<signature>void {name}\([^{{]*)\{{(?P<body>.*?)^\}}", source, re.S | re.M)
    if match is None:
        raise ValueError(f"cam_top.cpp has no function {name}")
    lines = match["body"].strip().splitlines()
    return {
        "globals": match["globals"].strip().splitlines(),
        "signature": [match["signature"].strip()],
        "pragmas": [line for line in lines if line.startswith("#pragma")],
        "body": [line for line in lines if not line.startswith("#pragma")],
    }
