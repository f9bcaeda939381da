"""The generated sources, set up for the tools: paths absolute again, DMAs apart from the accelerator between them."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finn_build.errors import CheckFailed

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

HLS_IP = "sol1/impl/ip"
"""Where Vitis HLS puts a node's IP, below its project."""

_QUOTED = re.compile(r'"([^"\n]+\.(?:dat|mem))"')


@dataclass(frozen=True)
class Dma:
    """A DMA of the graph: its node, whether it reads images or writes packets, and the bytes of a transfer."""

    node: str
    direction: str
    bytes: int


def hls_nodes(model: "ModelWrapper") -> list[str]:
    """Names of the nodes that are C++."""
    return [str(node.name) for node in model.graph.node if node.op_type.endswith("_hls")]


def dmas_of(model: "ModelWrapper") -> list[Dma]:
    """The graph's DMAs.

    Raises:
        CheckFailed: there is not one in each direction.
    """
    import numpy as np
    from qonnx.custom_op.registry import getCustomOp

    found = []
    for node in model.graph.node:
        if node.op_type == "IODMA_hls":
            instance = getCustomOp(node)
            bits = int(np.prod(instance.get_normal_input_shape())) * int(instance.get_input_datatype().bitwidth())
            found.append(Dma(str(node.name), str(instance.get_nodeattr("direction")), bits // 8))
    if sorted(dma.direction for dma in found) != ["in", "out"]:
        raise CheckFailed("vendor", f"the graph has {len(found)} DMAs, not one each way", "report this as a bug")
    return found


def without_dmas(model: "ModelWrapper") -> "ModelWrapper":
    """The accelerator alone: its streams are the graph's input and output."""
    from onnx import helper
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.adapter import quiet

    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in [node for node in model.graph.node if node.op_type == "IODMA_hls"]:
        inward = node.input[0] == model.graph.input[0].name
        ends = model.graph.input if inward else model.graph.output
        stream = node.output[0] if inward else node.input[0]
        shape, kind = model.get_tensor_shape(stream), model.get_tensor_datatype(stream)
        element = ends[0].type.tensor_type.elem_type
        model.graph.node.remove(node)
        for known in [info for info in model.graph.value_info if info.name == stream]:
            model.graph.value_info.remove(known)
        ends[0].CopyFrom(helper.make_tensor_value_info(stream, element, shape))
        model.set_tensor_datatype(stream, kind)
    return model


def place_rtl(nodes: Path, names: list[str], folder: Path) -> None:
    """Copies the sources of RTL nodes, memory files at absolute paths: Vivado looks from where it happens to run.

    Args:
        nodes: the generated sources, a folder a node.
        names: of the nodes.
        folder: gets one folder a node.

    Raises:
        CheckFailed: a source names a memory file that is not there.
    """
    for name in names:
        shutil.copytree(nodes / name, folder / name, symlinks=False)
        for path in sorted([*(folder / name).glob("*.v"), *(folder / name).glob("*.sv")]):
            text = path.read_text(encoding="utf-8")
            new = text
            for named in sorted(set(_QUOTED.findall(text))):
                new = new.replace(f'"{named}"', f'"{_memory(named, folder, path)}"')
            # The start of a name, to which the module adds channel and stage.
            new = new.replace('"./', f'"{path.parent}/')
            if new != text:
                path.write_text(new, encoding="utf-8")


def _memory(named: str, folder: Path, source: Path) -> Path:
    for place in (folder / named, source.parent / named):
        if place.is_file():
            return place.resolve()
    raise CheckFailed("vendor", f"{source.name} reads {named}, which was not generated", "generate the code again")


def with_places(model: "ModelWrapper", rtl: Path, hls: Path) -> "ModelWrapper":
    """Tells every node where its sources or its IP are.

    Args:
        model: of the stage `codegen`.
        rtl: a folder a RTL node.
        hls: a folder a C++ node, with Vitis HLS' project in it.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp

    from finn_build.adapter import quiet

    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        instance, name = getCustomOp(node), str(node.name)
        if node.op_type.endswith("_hls"):
            project = hls / name / f"project_{name}"
            instance.set_nodeattr("code_gen_dir_ipgen", str(hls / name))
            instance.set_nodeattr("ipgen_path", str(project))
            instance.set_nodeattr("ip_path", str(project / HLS_IP))
            instance.set_nodeattr("ip_vlnv", f"xilinx.com:hls:{name}:1.0")
        else:
            for attribute in ("code_gen_dir_ipgen", "ipgen_path", "ip_path"):
                instance.set_nodeattr(attribute, str(rtl / name))
    return model
