"""Which of FINN's operators become RTL of this project's, so that all of the accelerator simulates."""

from typing import Literal

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.errors import CheckFailed, UserError

RTL_DOMAIN = "finn.custom_op.fpgadataflow.rtl"
CamBackend = Literal["hls", "rtl"]


def register_rtl_nodes() -> None:
    """Makes the RTL variants known; two of them take the names of FINN's own. Calls may repeat.

    They are entered in QONNX's registry, by which every pass instantiates nodes, and not in the dictionary from which
    SpecializeLayers chooses: FINN's SetFolding folds forks and additions by the names of their HLS variants alone, so
    those are chosen first, folded, and then turned by `choose_rtl`.
    """
    from qonnx.custom_op.registry import add_op_to_domain

    from finn_build.nodes.cam_rtl import ClassActivationMap_rtl
    from finn_build.nodes.mvu import MVAU_rtl
    from finn_build.nodes.residual_add import ElementwiseAdd_rtl
    from finn_build.nodes.stream_fork import DuplicateStreams_rtl

    for variant in (DuplicateStreams_rtl, ElementwiseAdd_rtl, MVAU_rtl, ClassActivationMap_rtl):
        add_op_to_domain(RTL_DOMAIN, variant)


def choose_rtl(model: ModelWrapper, cam_backend: CamBackend = "rtl") -> list[str]:
    """Turns the HLS nodes that have RTL of this project's into it, in place; wiring and attributes stay.

    A node that is called after its variant is called after the new one: so are the folders of its generated sources,
    and a folding JSON names both.

    Args:
        model: specialised.
        cam_backend: what the CAM node is to be; with `hls` it stays, or becomes, C++.

    Returns:
        Names that the changed nodes have now.

    Raises:
        UserError: an addition with a constant or broadcast operand, which the RTL does not have.
    """
    register_rtl_nodes()
    changed = []
    for node in model.graph.node:
        wanted = _wanted(node, cam_backend)
        if wanted is None or node.op_type == wanted:
            continue
        if node.name.startswith(f"{node.op_type}_"):
            node.name = wanted + node.name.removeprefix(node.op_type)
        node.op_type = wanted
        node.domain = f"{RTL_DOMAIN.removesuffix('.rtl')}.{wanted.rpartition('_')[2]}"
        if wanted == "ElementwiseAdd_rtl":
            _check_add(model, node)
        if wanted == "ClassActivationMap_rtl":
            # The SystemVerilog block keeps every class's map and has its weights in ROM; the packet is the same.
            getCustomOp(node).set_nodeattr("Storage", "maps")
            getCustomOp(node).set_nodeattr("RuntimeWeights", 0)
        changed.append(str(node.name))
    return changed


def load_weights_at_run_time(model: ModelWrapper) -> None:
    """Gives the CAM node in C++ two banks of weights that a host writes, instead of ROM; in place."""
    for node in model.graph.node:
        if node.op_type == "ClassActivationMap_hls":
            getCustomOp(node).set_nodeattr("RuntimeWeights", 1)


def require_rtl(model: ModelWrapper, cam_backend: CamBackend = "rtl") -> None:
    """Checks that every node has RTL; the CAM node may be C++ where it is wanted so.

    Raises:
        CheckFailed: naming the first node that has none.
    """
    for node in model.graph.node:
        if node.op_type == "ClassActivationMap_hls" and cam_backend == "hls":
            continue
        if node.op_type.startswith("IODMA"):
            continue
        if not str(node.domain).endswith(".rtl"):
            what = f"{node.name} is {node.op_type}, which only vendor tools can turn into hardware"
            raise CheckFailed("specialise", what, "simulate a graph whose operators all have RTL")


def _wanted(node: NodeProto, cam_backend: CamBackend) -> str | None:
    op = str(node.op_type.removesuffix("_hls").removesuffix("_rtl"))
    if op in ("DuplicateStreams", "ElementwiseAdd"):
        return f"{op}_rtl"
    return f"{op}_{cam_backend}" if op == "ClassActivationMap" else None


def _check_add(model: ModelWrapper, node: NodeProto) -> None:
    instance = getCustomOp(node)
    shapes = [list(instance.get_normal_input_shape(i)) for i in (0, 1)]
    constant = [name for name in node.input if model.get_initializer(name) is not None]
    if constant or shapes[0] != shapes[1]:
        got = f"constant {constant[0]}" if constant else f"{shapes[0]} and {shapes[1]}"
        raise UserError(f"node {node.name}", "two streams of one shape", got, "move constants into the thresholds")
