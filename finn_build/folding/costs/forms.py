"""The form of each cost model: what LUTs and flip-flops grow with, and what block RAMs and DSPs are exactly.

A module's LUTs and flip-flops are a sum of terms, each a count that its structure gives (bits of a word, multipliers,
words of a memory) times a coefficient that `fit` finds, never negative. A unit is one form for one way of building it:
a FIFO of shift registers and one in block RAM are two.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, log2
from typing import Any

from finn_build.folding.costs.cost import block_rams, lut_memory, sections
from finn_build.resources.chains import CHAIN_LANES, chains_of
from finn_build.resources.lanes import LARGEST_WEIGHT_BITS, mvu_lanes

Size = Mapping[str, Any]
Terms = tuple[Sequence[float], Sequence[float]]

SHIFT_DEPTH = 33
"""Deepest FIFO that FINN's fifo.sv always builds of shift registers."""
NARROW, NARROW_SHIFT_DEPTH = 12, 64
"""Its further rule: narrow words shift up to 64 deep."""


@dataclass(frozen=True)
class Form:
    """What a module takes, up to coefficients.

    Attributes:
        unit: what is fitted together.
        lut: terms of its LUTs.
        ff: terms of its flip-flops.
        bram18: exactly.
        dsp: exactly.
    """

    unit: str
    lut: Sequence[float]
    ff: Sequence[float]
    bram18: int = 0
    dsp: int = 0


def form(kind: str, size: Size) -> Form:
    """The form of a module.

    Args:
        kind: as of a calibration point.
        size: as of a calibration point.
    """
    return _FORMS[kind](size)


def padded(bits: int) -> int:
    """Bits of a stream: whole bytes."""
    return -(-bits // 8) * 8


def _fork(size: Size) -> Form:
    bits = size["outputs"] * padded(size["width"])
    return Form("DuplicateStreams", (size["outputs"], bits), (size["outputs"], bits))


def _add(size: Size) -> Form:
    bits = size["pe"] * size["bits"]
    return Form("ElementwiseAdd", (1, bits), (1, bits))


def _padding(size: Size) -> Form:
    bits = size["simd"] * size["bits"]
    return Form("FMPadding", (1, bits), (1, bits))


def _converter(size: Size) -> Form:
    # The shortest step that both words are multiples of is what the input is rotated by.
    left, right = size["in_bits"], size["out_bits"]
    step = gcd(left, right)
    places_in, places_out = left // step, right // step
    turned = left * log2(places_in) if places_out % places_in else 0.0
    return Form(
        "StreamingDataWidthConverter",
        (1, left + right, turned, places_in + places_out),
        (1, left + right, places_in + places_out),
    )


def _fifo(size: Size) -> Form:
    width, depth = padded(size["width"]), size["depth"]
    style = size.get("style", "auto")
    if depth <= SHIFT_DEPTH or (style == "auto" and depth <= NARROW_SHIFT_DEPTH and width < NARROW):
        return Form("FIFO of shift registers", (1, width * -(-depth // 33)), (1, width))
    blocks, in_luts, parts = 0, 0.0, fifo_memory(depth)
    for words in parts:
        if style == "distributed" or (style == "auto" and _cheaper_in_luts(width, words)):
            in_luts += lut_memory(width, words)
        else:
            blocks += block_rams(width, words)
    joined = float(width * (len(parts) - 1))
    # A block RAM has its register within, but for the second one of deep FIFOs.
    registered = width if in_luts or depth > BLOCK_DEPTH else 0
    return Form("FIFO of memory", (1, joined, in_luts), (1, registered, joined), bram18=blocks)


BLOCK_DEPTH = 257
"""Above it fifo.sv is made for block RAM, with another register behind it."""


MOST_IN_LUTS = ((128, 5632), (256, 3072))
"""Parts of a FIFO's memory that synthesis puts into LUTs: words, and bits for so many."""


def _cheaper_in_luts(width: int, words: int) -> bool:
    return any(words <= most and width * words <= bits for most, bits in MOST_IN_LUTS)


def fifo_memory(depth: int) -> tuple[int, ...]:
    """Words of each memory that fifo.sv allots: a power of two, or two of them."""
    low = max(depth - 2, 1).bit_length()
    if low > 9:
        high = max(depth - 2 - 2 ** (low - 1), 0).bit_length()
        if high < low - 1:
            return (2 ** (low - 1), 2 ** max(high, 1))
    return (2**low,)


def window_depth(size: Size) -> int:
    """Words of a sliding window's buffer: FINN's `get_buffer_depth` of its default style."""
    kernel, stride, wide, folds = size["kernel"], size["stride"], size["size"], size["channels"] // size["simd"]
    least = ((kernel - 1) * wide + kernel) * folds
    early = max(0, stride - 1 - kernel**2) + max(0, (stride - 1) * wide - kernel**2)
    return int(least + early * folds)


def _window(size: Size) -> Form:
    width, depth = size["simd"] * size["bits"], window_depth(size)
    slides, folded = float(size["kernel"] > 1), float(size["channels"] > size["simd"])
    # A kernel of one pixel keeps next to nothing, wherever it is told to.
    in_luts = size["style"] == "distributed" or size["kernel"] == 1
    memory = width * -(-depth // 64) if in_luts else 0
    address = log2(depth + 1)
    return Form(
        "ConvolutionInputGenerator",
        (1, slides, folded, memory, slides * address),
        (1, slides, width, width * float(in_luts), address),
        bram18=0 if in_luts else block_rams(width, depth),
    )


MOST_LUT_BITS = 8192
"""Bits up to which synthesis by itself keeps a memory that says nothing in LUTs."""


def threshold_memories(size: Size) -> list[tuple[int, int]]:
    """Width and depth of a lane's memory of each comparison stage."""
    folds = size["channels"] // size["pe"]
    return [(size["in_bits"], folds << stage) for stage in range(size["out_bits"])]


def _threshold(size: Size) -> Form:
    lanes, memories = size["pe"], threshold_memories(size)
    trigger = size.get("block_depth", 0)
    # Where all channels have the same thresholds, every word of a memory is the same, and it is none.
    kept = [] if size.get("shared") else memories
    blocked = [(w, d) for w, d in kept if w * d > MOST_LUT_BITS or (trigger and d >= trigger)]
    in_luts = lanes * sum(wide * -(-deep // 64) for wide, deep in kept if (wide, deep) not in blocked)
    address = log2(size["channels"] // lanes)
    # Each stage hands on its value, what was found so far and the channel, twice.
    passed = lanes * len(memories) * (size["in_bits"] + size["out_bits"] + address)
    return Form(
        "Thresholding",
        (1, passed, lanes * len(memories) * size["in_bits"], in_luts),
        (1, passed, lanes * size["out_bits"], lanes * (len(memories) - len(blocked)) * size["in_bits"]),
        bram18=lanes * sum(block_rams(wide, deep) for wide, deep in blocked),
    )


def _weights(size: Size) -> Form:
    width, depth, style = padded(size["width"]), size["depth"], size["style"]
    if style == "block":
        blocks, behind = sections(width, depth)
        return Form("weights in block RAM", (1, width, width * log2(behind)), (1, width), bram18=blocks)
    return Form("weights in LUTs", (1, width, width * depth / 64), (1, width))


def _core(size: Size) -> Form:
    pe, simd, weight, act = size["pe"], size["simd"], size["weight_bits"], size["act_bits"]
    total = accumulator_bits(size)
    folds = size["mw"] // simd
    # A vector is kept and replayed for every group of lanes.
    replay = lut_memory(simd * act, max(folds, 2)) if size["mh"] > pe else 0.0
    if size["multipliers"] == "lut":
        digits = -(-weight // 2)
        # Digits of two bits choose among multiples of up to three activations, a single bit an activation alone.
        chosen = weight // 2 * (act + 2) + weight % 2 * act
        plane = chosen + digits * log2(simd)
        return Form(
            "multipliers in LUTs",
            (1, pe * simd * chosen, pe * simd * digits, pe * (plane + 2 * total), simd * (act + 2), replay),
            (1, pe * plane, pe * total, simd * act),
        )
    if size["multipliers"] == "chain":
        operands, chains = act + pe * weight, chains_of(simd)
        # Second and third operands of a chain wait in flip-flops, later ones in shift registers.
        early = sum(min(length - 1, 2) for length in chains)
        joined = pe * (len(chains) - 1) * (weight + act + log2(simd))
        return Form(
            "multipliers in chains of DSPs",
            (1, (simd - len(chains)) * operands, pe * total, joined, replay),
            (1, early * operands, pe * total + joined, simd),
            dsp=-(-pe // CHAIN_LANES) * simd,
        )
    lanes = mvu_lanes(weight, act, size.get("wide", LARGEST_WEIGHT_BITS))
    blocks = -(-pe // lanes)
    product = weight + act
    return Form(
        "multipliers in DSPs",
        (1, blocks * simd, pe * (simd - 1) * product, pe * total, replay),
        (1, blocks * simd, pe * (simd - 1) * product, pe * total, simd * act),
        dsp=blocks * simd,
    )


def accumulator_bits(size: Size) -> int:
    """Of a sum: as given, or of random weights."""
    if "accumulator_bits" in size:
        return int(size["accumulator_bits"])
    return int(size["mw"] * 2 ** (size["weight_bits"] + size["act_bits"] - 2)).bit_length() + 1


def _cam(size: Size) -> Form:
    lanes, products = size["class_pe"], size["pe"] * size["class_pe"]
    groups = -(-size["classes"] // lanes)
    sums = size.get("product_bits", 10) + int(size["channels"] - 1).bit_length()
    # A memory of each lane keeps class maps twice: one frame is shown while the next is summed up.
    maps = 2 * groups * size["size"] ** 2
    blocks = lanes * block_rams(sums, maps) if sums * maps > CAM_MOST_LUT_MAP_BITS else 0
    words, wide = groups * size["channels"] // size["pe"], products * size.get("weight_bits", 5)
    in_luts = words * wide <= CAM_MOST_LUT_BITS
    return Form(
        "ClassActivationMap",
        (1, lanes, words * wide / 64 if in_luts else 0),
        (1, products),
        bram18=blocks if in_luts else blocks + block_rams(wide, words),
        dsp=CAM_RESIZE_DSPS + -(-sums // DSP_UNSIGNED_BITS) + products,
    )


CAM_MOST_LUT_MAP_BITS = 4096
"""Up to here synthesis keeps a lane's class maps in LUTs."""
CAM_MOST_LUT_BITS = 2048
"""Up to here cam_maps.sv keeps its weights in LUTs."""
CAM_RESIZE_DSPS = 2
"""Of the two interpolations; the reciprocal, of 22 bits, multiplies a range as wide as a class map's value."""
DSP_UNSIGNED_BITS = 17
"""Of a DSP48E1's narrower operand."""

_FORMS: Mapping[str, Callable[[Size], Form]] = {
    "DuplicateStreams": _fork,
    "ElementwiseAdd": _add,
    "FMPadding": _padding,
    "StreamingDataWidthConverter": _converter,
    "StreamingFIFO": _fifo,
    "ConvolutionInputGenerator": _window,
    "Thresholding": _threshold,
    "weights": _weights,
    "core": _core,
    "ClassActivationMap": _cam,
}
