"""Cycles and resources of every node: FINN's cycles, and what the calibrated cost models say of LUTs, flip-flops, block
RAMs and DSPs.

FINN's own figures leave the logic of most operators out, and take ⌈PE/4⌉·SIMD DSPs for any matrix-vector unit; they
stand in where an operator has no model here.
"""

from dataclasses import dataclass

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import quiet
from finn_build.folding.rules import generic_op
from finn_build.graph.walk import attributes
from finn_build.resources.slices import slices


@dataclass(frozen=True)
class NodeEstimate:
    """One node.

    Attributes:
        name: of the node.
        op: the generic operator.
        backend: rtl or hls.
        pe: lanes along the output, None where the node has none.
        simd: lanes along the input, likewise.
        cycles: from frame to frame.
        lut: LUTs; None where nobody has an estimate.
        ff: flip-flops; likewise.
        modelled: whether a calibrated model says so; FINN's figures leave logic out.
        bram18: block RAMs of 18 Kb.
        dsp: DSP48E1.
    """

    name: str
    op: str
    backend: str
    pe: int | None
    simd: int | None
    cycles: int
    lut: int | None
    ff: int | None
    modelled: bool
    bram18: int
    dsp: int


@dataclass(frozen=True)
class Estimate:
    """The accelerator.

    Attributes:
        nodes: in the order of the graph.
        clock_mhz: clock in MHz.
        cycles_per_image: of the slowest node; images overlap.
        bottleneck: that node's name.
    """

    nodes: list[NodeEstimate]
    clock_mhz: float
    cycles_per_image: int
    bottleneck: str

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.clock_mhz * 1e6 / self.cycles_per_image

    @property
    def totals(self) -> dict[str, int | None]:
        """LUT, FF, BRAM18, DSP, and slices as a placement of a published design packed them."""
        lut, ff = sum(node.lut or 0 for node in self.nodes), sum(node.ff or 0 for node in self.nodes)
        return {
            "LUT": lut,
            "FF": ff,
            "BRAM18": sum(node.bram18 for node in self.nodes),
            "DSP": sum(node.dsp for node in self.nodes),
            "slices": slices(lut, ff),
        }

    @property
    def lower_bounds(self) -> list[str]:
        """Totals that are at least what is stated, and may be more."""
        return [] if all(node.modelled for node in self.nodes) else ["LUT", "FF", "slices"]


def estimate(model: ModelWrapper, part: str, clock_mhz: float) -> Estimate:
    """Estimates every node of a specialised, folded graph.

    Args:
        model: with or without converters, FIFOs and DMAs; what is in it is counted.
        part: FPGA part.
        clock_mhz: clock in MHz.
    """
    with quiet():
        nodes = [_estimate_node(node, part) for node in model.graph.node]
    slowest = max(nodes, key=lambda node: node.cycles)
    return Estimate(nodes, clock_mhz, slowest.cycles, slowest.name)


def _estimate_node(node: NodeProto, part: str) -> NodeEstimate:
    # The models import this package for the chip's figures.
    from finn_build.folding.costs.nodes import cost_of

    instance, values = getCustomOp(node), attributes(node)
    cost = cost_of(node, None, part)
    lut: int | None
    ff: int | None
    if cost is not None:
        found = cost.to_json()
        lut, ff, bram18, dsp = (found[name] for name in ("LUT", "FF", "BRAM18", "DSP"))
    else:
        figures = instance.node_res_estimation(part)
        lut, ff = round(figures["LUT"]) or None, None
        bram18, dsp = int(figures["BRAM_18K"]), int(figures["DSP"])
    return NodeEstimate(
        name=node.name,
        op=generic_op(node),
        backend=node.op_type.rpartition("_")[2],
        pe=int(values["PE"]) if "PE" in values else None,
        simd=int(values["SIMD"]) if "SIMD" in values else None,
        cycles=int(instance.get_exp_cycles()),
        lut=lut,
        ff=ff,
        modelled=cost is not None,
        bram18=bram18,
        dsp=dsp,
    )
