"""The words that go into a simulated accelerator, and those that have to come out of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from finn_build.errors import UserError
from finn_build.rtl.design import Behind
from finn_build.rtl.netlist import Netlist
from finn_build.rtl.words import pack_words

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from cam_postproc.block import CamBlock

CamBackend = Literal["rtl", "hls"]
UInt8 = npt.NDArray[np.uint8]
FRAME_BYTES = slice(12, 16)
"""Where a packet's header carries the frame counter."""
CAM = "ClassActivationMap"


def golden_arrays(path: Path, images: int) -> dict[str, UInt8]:
    """`images`, `tap` and `packet` of a golden set, repeated to so many images; packets count their frames.

    Args:
        path: golden.npz.
        images: how many.
    """
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    index = np.arange(images) % len(arrays["images"])
    chosen = {name: arrays[name][index] for name in ("images", "tap", "packet") if name in arrays}
    if "packet" in chosen:
        # The hardware counts the frames that it sees.
        counters = np.arange(images, dtype="<u4").view(np.uint8).reshape(images, 4)
        chosen["packet"] = chosen["packet"].copy()
        chosen["packet"][:, FRAME_BYTES] = counters
    return chosen


def words_in(netlist: Netlist, images: UInt8) -> bytes:
    """Images uint8 [N, S, S, 3] as the words of the input stream.

    Raises:
        UserError: the images are of another size than the graph's input.
    """
    lanes = images[0].size // netlist.input.words
    if lanes * netlist.input.words != images[0].size or lanes * 8 > netlist.input.bits:
        got = f"{images[0].size} values an image"
        raise UserError("golden images", f"{netlist.input.words} words of {netlist.input.bits} bits", got, "rebuild")
    return pack_words(images.reshape(-1, lanes), 8)


def words_out(netlist: Netlist, arrays: dict[str, UInt8], has_cam: bool, cam_backend: CamBackend) -> bytes:
    """What has to come out: packets, or the tap where the graph ends there.

    Raises:
        UserError: the golden set is another network's.
    """
    if has_cam and cam_backend == "hls":
        return arrays["packet"].tobytes()
    values = arrays["packet" if has_cam else "tap"]
    if values[0].size != netlist.output_values:
        got = f"{values[0].size} values an image"
        raise UserError(
            "golden set", f"{netlist.output_values}, as the graph's output", got, "make the golden set again"
        )
    lanes = netlist.output_values // netlist.output.words
    return pack_words(values.reshape(-1, lanes), netlist.output_value_bits)


def frame_words(netlist: Netlist) -> dict[str, int]:
    """Words of an image on each stream, by its tensor's or port's name."""
    words = {edge.tensor: edge.words for edge in netlist.edges}
    return {**words, "in0_V": netlist.input.words, "out0_V": netlist.output.words}


def cam_of(model: "ModelWrapper") -> tuple["CamBlock", npt.NDArray[np.int8], npt.NDArray[np.int32] | None]:
    """A graph's CAM block, the classifier's weights int8 [K, C], and its biases int32 [K] or None."""
    from qonnx.custom_op.registry import getCustomOp

    node = next(node for node in model.graph.node if str(node.op_type).startswith(CAM))
    block = getCustomOp(node).block
    weights, bias = (np.asarray(model.get_initializer(name)) for name in node.input[1:3])
    return block, weights.astype(np.int8), bias.reshape(-1).astype(np.int32) if block.spec.bias_bits else None


def cpp_behind(model: "ModelWrapper", netlist: Netlist, images: int, cache: Path) -> Behind:
    """The CAM block's C++, compiled, to take the words of the stream at which the hardware ends."""
    from cam_postproc.hls.csim import build_library
    from cam_postproc.hls.sources import pack_bank

    block, weights, bias = cam_of(model)
    bank = pack_bank(block, weights, bias) if block.runtime_weights else np.zeros(0, np.uint32)
    return Behind(
        stream="out0_V",
        library=build_library(block, weights, bias, cache / "cam"),
        frames=images,
        frame_words=netlist.output.words,
        packet_bytes=block.spec.layout.length,
        word_bytes=block.out_bytes,
        banks=np.concatenate([bank, np.zeros_like(bank)]).tobytes(),
    )


@dataclass(frozen=True)
class Comparison:
    """Bytes compared, bytes that differ or did not come, and the first of those in words; None where all are equal."""

    values: int
    mismatches: int
    first: str | None


def compare(got: bytes, expected: bytes, images: int) -> Comparison:
    """Compares the output with what has to come, byte by byte."""
    length = min(len(got), len(expected))
    left, right = (np.frombuffer(data, np.uint8, length) for data in (got, expected))
    different = np.flatnonzero(left != right)
    missing = len(expected) - length
    first = None
    if different.size:
        index = int(different[0])
        image, at = divmod(index, len(expected) // images)
        first = f"image {image}, byte {at}: {left[index]} instead of {right[index]}{_swapped(left, right)}"
    elif missing:
        first = f"the last {missing} bytes did not come"
    return Comparison(len(expected), int(different.size) + missing, first)


def _swapped(got: UInt8, expected: UInt8) -> str:
    """Whether the bytes are the right ones in the wrong lanes of their words: told, for it has one cause."""
    for lanes in (2, 4, 8):
        whole = got.size // lanes * lanes
        for turned in ("reversed", "rotated"):
            words = got[:whole].reshape(-1, lanes)
            words = words[:, ::-1] if turned == "reversed" else np.roll(words, 1, axis=1)
            if whole and np.array_equal(words.reshape(-1), expected[:whole]):
                return f"; the {lanes} byte lanes of a word are {turned}"
    return ""
