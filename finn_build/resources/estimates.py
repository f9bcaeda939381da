"""Cycles and resources of every node: FINN's estimates, with multipliers counted as the RTL packs them.

FINN takes ⌈PE/4⌉·SIMD DSPs for a matrix-vector unit. On DSP48E1 a weight of W bits and an activation of A bits pack
`lanes = 1 + ⌊(25 − W) / (W + A − 1)⌋` along PE, so the unit has ⌈PE/lanes⌉·SIMD (measured by synthesis).
"""

from dataclasses import dataclass

from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import quiet
from finn_build.folding.rules import generic_op
from finn_build.graph.walk import attributes

COMPLETE_LUT = ("StreamingFIFO", "StreamingDataWidthConverter", "ConvolutionInputGenerator")
"""Operators whose LUT estimate covers logic too. For the others FINN says 0, or counts memories alone."""

LARGEST_WEIGHT_BITS = 25
"""Width of the multiplier's wide input."""


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
        lut: LUTs; None where FINN says 0 because it has no estimate.
        lut_is_lower_bound: whether the LUTs of the node's logic are not counted.
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
    lut_is_lower_bound: bool
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
        """LUT, FF, BRAM18, DSP and slices; None where nothing estimates them."""
        return {
            "LUT": sum(node.lut or 0 for node in self.nodes),
            "FF": None,
            "BRAM18": sum(node.bram18 for node in self.nodes),
            "DSP": sum(node.dsp for node in self.nodes),
            "slices": None,
        }

    @property
    def lower_bounds(self) -> list[str]:
        """Totals that are at least what is stated, and may be more."""
        return ["LUT"] if any(node.lut_is_lower_bound for node in self.nodes) else []


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
    instance, values, op = getCustomOp(node), attributes(node), generic_op(node)
    figures = instance.node_res_estimation(part)
    dsp = int(figures["DSP"])
    if op == "MVAU" and values.get("resType") != "lut":
        weight_bits, activation_bits = (
            DataType[values[name]].bitwidth() for name in ("weightDataType", "inputDataType")
        )
        dsp = -(-int(values["PE"]) // mvu_lanes(weight_bits, activation_bits)) * int(values["SIMD"])
    return NodeEstimate(
        name=node.name,
        op=op,
        backend=node.op_type.rpartition("_")[2],
        pe=int(values["PE"]) if "PE" in values else None,
        simd=int(values["SIMD"]) if "SIMD" in values else None,
        cycles=int(instance.get_exp_cycles()),
        lut=round(figures["LUT"]) or (0 if op in COMPLETE_LUT else None),
        lut_is_lower_bound=op not in COMPLETE_LUT,
        bram18=int(figures["BRAM_18K"]),
        dsp=dsp,
    )


def mvu_lanes(weight_bits: int, activation_bits: int, wide: int = LARGEST_WEIGHT_BITS) -> int:
    """Multiplications in one DSP48E1: `1 + ⌊(25 − W) / (W + A − 1)⌋`; `wide` is 27 for a DSP48E2."""
    return 1 + (wide - weight_bits) // (weight_bits + activation_bits - 1)
