"""Weights and thresholds read back from generated files, by the layout that the hardware reads them in.

Written from the hardware's side, not as the inverse of FINN's writer: what stands here is what the memory streamer, the
binary search and the CAM block take a word for.
"""

import re
from pathlib import Path

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import DataType

from finn_build.errors import CheckFailed
from finn_build.graph.walk import Array, attributes

REMEDY = "generate the code again"


def decoded_weights(node: NodeProto, path: Path) -> Array:
    """Weights of a matrix-vector unit from its memory file.

    Word a holds PE · SIMD weights, the first in the lowest bits: weight s of lane p belongs to output channel
    `(a div F) · PE + p` and input `(a mod F) · SIMD + s`, with `F = MW / SIMD`.

    Returns:
        int64 [MW, MH].

    Raises:
        CheckFailed: the file has another number of words, or one that is no hexadecimal number.
    """
    values = attributes(node)
    rows, columns, pe, simd = (int(values[name]) for name in ("MW", "MH", "PE", "SIMD"))
    bits = DataType[values["weightDataType"]].bitwidth()
    folds, groups = rows // simd, columns // pe
    lanes = _lanes(path, folds * groups, pe * simd, bits, signed=True).reshape(groups, folds, pe, simd)
    return lanes.transpose(1, 3, 0, 2).reshape(rows, columns)


def threshold_files(node: NodeProto) -> list[str]:
    """Names of the memory files of a thresholding layer: one a lane and stage of the search."""
    values = attributes(node)
    stages = DataType[values["outputDataType"]].bitwidth()
    return [f"{node.name}_threshs_{lane}_{stage}.dat" for stage in range(stages) for lane in range(int(values["PE"]))]


def decoded_thresholds(node: NodeProto, folder: Path, shared: bool) -> Array:
    """Thresholds of a thresholding layer from its memory files.

    The search halves the steps at each stage: of B stages, stage s of a channel holds 2^s thresholds, namely those of
    index `i · 2^(B−s) + 2^(B−s−1) − 1`.

    Args:
        node: the layer.
        folder: its files.
        shared: whether all channels have the same thresholds, of which each lane then holds one set.

    Returns:
        int64 [C, steps]; with `shared`, [PE, steps].
    """
    values = attributes(node)
    pe, channels, steps = (int(values[name]) for name in ("PE", "NumChannels", "numSteps"))
    channels = pe if shared else channels
    stages = DataType[values["outputDataType"]].bitwidth()
    kind = DataType[values["weightDataType"]]
    table = np.zeros((channels, (1 << stages) - 1), np.int64)
    for stage in range(stages):
        half = 1 << (stages - stage - 1)
        index = np.arange(1 << stage) * 2 * half + half - 1
        for lane in range(pe):
            path = folder / f"{node.name}_threshs_{lane}_{stage}.dat"
            words = _lanes(path, (channels // pe) << stage, 1, kind.bitwidth(), kind.signed())
            table[lane::pe, index] = words.reshape(channels // pe, 1 << stage)
    return table[:, :steps]


def decoded_cam_weights(path: Path, classes: int, channels: int) -> Array:
    """The classifier's weights from the CAM block's configuration header.

    The ROM's dimensions are [class group · channel fold][class of the group][channel of the beat].

    Returns:
        int64 [classes, channels].
    """
    text = path.read_text(encoding="utf-8")
    lanes, class_lanes = (_constant(text, name, path) for name in ("PE", "CLASS_PE"))
    match = re.search(r"CAM_WEIGHT\[[^=]*= \{(?P<values>[^;]*)\};", text)
    values = [] if match is None else [int(word) for word in re.findall(r"-?\d+", match["values"])]
    if len(values) != classes * channels:
        raise CheckFailed("codegen", f"{path.name} has {len(values)} weights, not {classes * channels}", REMEDY)
    folded = np.asarray(values, np.int64).reshape(classes // class_lanes, channels // lanes, class_lanes, lanes)
    return folded.transpose(0, 2, 1, 3).reshape(classes, channels)


def decoded_cam_biases(path: Path) -> Array:
    """The classifier's biases from the CAM block's configuration header: int64 [classes]."""
    match = re.search(r"CAM_BIAS\[\d+\] = \{(?P<values>[^}]*)\}", path.read_text(encoding="utf-8"))
    words = [] if match is None else re.findall(r"-?\d+", match["values"])
    return np.asarray([int(word) for word in words], np.int64)


def _constant(text: str, name: str, path: Path) -> int:
    match = re.search(rf"static const int {name} = (\d+);", text)
    if match is None:
        raise CheckFailed("codegen", f"{path.name} has no {name}", REMEDY)
    return int(match[1])


def _lanes(path: Path, words: int, lanes: int, bits: int, signed: bool) -> Array:
    """A memory file's words, each cut into numbers of `bits` bits, the first in the lowest: int64 [words, lanes]."""
    try:
        lines = path.read_text(encoding="ascii").split()
        data = b"".join(int(line, 16).to_bytes((lanes * bits + 7) // 8, "little") for line in lines)
    except (OSError, ValueError, OverflowError) as error:
        raise CheckFailed("codegen", f"{path.name} is no memory file of {lanes * bits} bits: {error}", REMEDY) from None
    if len(lines) != words:
        raise CheckFailed("codegen", f"{path.name} has {len(lines)} words, not {words}", REMEDY)
    unpacked = np.unpackbits(np.frombuffer(data, np.uint8).reshape(words, -1), axis=1, bitorder="little")
    numbers = unpacked[:, : lanes * bits].reshape(words, lanes, bits).astype(np.int64) @ (1 << np.arange(bits))
    return np.where(numbers >> (bits - 1), numbers - (1 << bits), numbers) if signed else numbers
