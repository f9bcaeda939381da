"""What a node's folding may be."""

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import NodeProto

from finn_build.graph.walk import attributes

MOST_WEIGHT_ROWS = 1024
"""FINN's rule: a matrix-vector unit's SIMD is at least MW / 1024, or Vitis HLS and the memory streamer fail."""

MOST_STREAM_BITS = 8191
"""FINN's widest stream, that of a unit's weights included."""

_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "MVAU": {
        "ram_style": ("auto", "distributed", "block"),
        "mem_mode": ("internal_decoupled",),
        "resType": ("auto", "dsp", "lut"),
        "dspStyle": ("lanes", "chain"),
    },
    "ConvolutionInputGenerator": {"ram_style": ("auto", "distributed", "block")},
    "ClassActivationMap": {"Storage": ("maps", "tap")},
}
"""Settings that are words. The RTL matrix-vector unit takes no other memory mode; `lut` and `chain` are the project's
own cores."""

FIFO_DEPTHS = ("inFIFODepths", "outFIFODepths")
LEAST_DEPTH = 2
"""FINN's FIFO has no fewer words."""

TRIGGERS = (0, *(1 << power for power in range(5, 21)))
"""Words from which a comparison stage's memory of thresholds is block RAM; 0 leaves it to synthesis."""

_WHOLES: Mapping[str, Mapping[str, str]] = {
    "MVAU": {"PE": "MH", "SIMD": "MW"},
    "Thresholding": {"PE": "NumChannels"},
    "ConvolutionInputGenerator": {"SIMD": "IFMChannels"},
    "FMPadding": {"SIMD": "NumChannels"},
    "DuplicateStreams": {"PE": "NumChannels"},
    "GlobalAccPool": {"PE": "NumChannels"},
    "Pool": {"PE": "Channels"},
    "ClassActivationMap": {"PE": "NumChannels", "ClassPE": "Classes"},
}
"""The attribute that each folding attribute divides."""


@dataclass(frozen=True)
class Rule:
    """A node's folding.

    Attributes:
        numbers: legal values of each numeric attribute, rising.
        words: legal values of each attribute that is a word.
    """

    numbers: Mapping[str, tuple[int, ...]]
    words: Mapping[str, tuple[str, ...]]


def generic_op(node: NodeProto) -> str:
    """The operator without its variant."""
    return str(node.op_type.removesuffix("_rtl").removesuffix("_hls"))


def folding_rule(node: NodeProto) -> Rule:
    """What a specialised node's folding may be; empty for one that has none."""
    op, values = generic_op(node), attributes(node)
    numbers = {name: divisors(int(values[whole])) for name, whole in _WHOLES.get(op, {}).items()}
    if op == "MVAU":
        least = -(-int(values["MW"]) // MOST_WEIGHT_ROWS)
        numbers["SIMD"] = tuple(value for value in numbers["SIMD"] if value >= least)
    elif op == "Thresholding" and node.op_type.endswith("_rtl"):
        numbers["depth_trigger_bram"] = TRIGGERS
    elif op == "ElementwiseAdd":
        numbers["PE"] = divisors(int(values["out_shape"][-1]))
    elif op == "ConvolutionInputGenerator":
        numbers["parallel_window"] = (0, 1)
    elif op == "ClassActivationMap":
        numbers["OutBytes"] = (1, 2, 4, 8)
    return Rule(numbers, _WORDS.get(op, {}))


def divisors(whole: int) -> tuple[int, ...]:
    """Divisors of a number, rising."""
    return tuple(value for value in range(1, whole + 1) if whole % value == 0)
