"""Folding for a frame rate: FINN's SetFolding, and the CAM block's own."""

from dataclasses import dataclass

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from cam_postproc.cost import choose_block, estimate_cost
from finn_build.adapter import apply_pass, quiet
from finn_build.folding.config import folding_of, lint_folding
from finn_build.folding.costs.nodes import bits, multipliers
from finn_build.folding.rules import MOST_STREAM_BITS, divisors, generic_op
from finn_build.graph.walk import attributes, label
from finn_build.resources.chains import ChainSize, chain_fits


@dataclass(frozen=True)
class FoldingResult:
    """What folding for a frame rate reached.

    Attributes:
        wanted_cycles: cycles from frame to frame that were aimed at.
        reached_cycles: of the slowest node, by FINN's estimate.
        bottleneck: that node.
    """

    wanted_cycles: int
    reached_cycles: int
    bottleneck: str


def set_folding(model: ModelWrapper, target_fps: float, clock_mhz: float) -> tuple[ModelWrapper, FoldingResult]:
    """Makes every node as parallel as the frame rate needs, and no more.

    Args:
        model: specialised.
        target_fps: frames a second.
        clock_mhz: clock in MHz.

    Returns:
        The folded graph, legal by `lint_folding`; the rate may be missed where a node cannot be faster.
    """
    from finn.transformation.fpgadataflow.set_folding import SetFolding

    cycles = max(1, int(clock_mhz * 1e6 / target_fps))
    model = apply_pass(model, SetFolding(cycles))
    with quiet():
        for node in model.graph.node:
            if generic_op(node) == "ClassActivationMap":
                _fold_cam(getCustomOp(node), cycles)
            elif generic_op(node) == "MVAU":
                _narrow(node)
                _take_own_core(node)
        lint_folding(model, folding_of(model), "SetFolding")
        spent = {node.name: int(getCustomOp(node).get_exp_cycles()) for node in model.graph.node}
    slowest = max(model.graph.node, key=lambda node: spent[node.name])
    return model, FoldingResult(cycles, spent[slowest.name], slowest.name or label(slowest))


def _narrow(node: NodeProto) -> None:
    """The most units whose weights of a cycle fit into a stream."""
    get = attributes(node)
    wide = get["SIMD"] * bits(get["weightDataType"])
    fitting = [pe for pe in divisors(get["MH"]) if pe <= get["PE"] and pe * wide <= MOST_STREAM_BITS]
    getCustomOp(node).set_nodeattr("PE", max(fitting, default=1))


def _take_own_core(node: NodeProto) -> None:
    """A chain, or LUTs, where FINN's core would lose results: at one a cycle."""
    get = attributes(node)
    if multipliers(get) == "dsp" and get["SIMD"] == get["MW"]:
        size = ChainSize(get["SIMD"], bits(get["weightDataType"]), bits(get["inputDataType"]))
        name, value = ("dspStyle", "chain") if chain_fits(size) else ("resType", "lut")
        getCustomOp(node).set_nodeattr(name, value)


def _fold_cam(instance: object, cycles: int) -> None:
    """The fewest channels and classes a cycle that keep up; the fastest block where none does."""
    spec = instance.spec  # type: ignore[attr-defined]
    for lanes in divisors(spec.channels):
        block = choose_block(spec, lanes, target_cycles=cycles)
        if estimate_cost(block).interval <= cycles:
            break
    instance.set_nodeattr("PE", block.pe)  # type: ignore[attr-defined]
    instance.set_nodeattr("ClassPE", block.class_pe)  # type: ignore[attr-defined]
    instance.set_nodeattr("Storage", block.storage)  # type: ignore[attr-defined]
