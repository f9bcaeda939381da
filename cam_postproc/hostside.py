"""Everything that the host does around the accelerator: input resize, stream packing, packet codec, box.

The board's driver carries a copy of this file, and `finn-cam localize` imports it: same bytes on both sides. So it
needs the standard library and numpy (1.21 or newer) alone, Python 3.10 syntax, and imports nothing of this package.
Sizes are (height, width); points are [x, y]; boxes are [x0, y0, x1, y1] with both corners included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

PACKET_VERSION = 1
HEADER_BYTES = 16
FLAG_GATED = 1
FLAG_CONSTANT = 2
ALIGNMENT_BYTES = 8
WEIGHT_BITS = 14  # of the input resize: 8 + 2·14 bits stay exact in float64, in any order of summation
_HEADER = np.dtype(
    [
        ("version", "<u2"),
        ("class_index", "<u2"),
        ("shown_class", "<u2"),
        ("peak_x", "<u2"),
        ("peak_y", "<u2"),
        ("flags", "<u2"),
        ("frame", "<u4"),
    ]
)


class CamError(ValueError):
    """A mistake in what the package was given, told in one line.

    Args:
        place: where it is: a file, an array, a parameter.
        expected: what was wanted there.
        got: what was found.
        remedy: what the user does about it.
    """

    def __init__(self, place: str, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"{place}: expected {expected}, got {got}; {remedy}")
        self.place = place
        self.expected = expected
        self.got = got
        self.remedy = remedy


# ---------------------------------------------------------------- packet


@dataclass(frozen=True)
class PacketLayout:
    """Where everything lies in a packet; fixed when the accelerator is built.

    Little-endian: header (u16 version, u16 class, u16 shown class, u16 peak_x, u16 peak_y, u16 flags, u32 frame),
    int32 logits × classes, then `maps` heatmaps of height·width bytes, row-major, then zeros to a multiple of 8 bytes.

    Args:
        classes: number of logits.
        height: of a heatmap, pixels.
        width: of a heatmap, pixels.
        maps: heatmaps in a packet; the first is the shown class's, the next ones follow in order of their logits.
    """

    classes: int
    height: int
    width: int
    maps: int = 1

    def __post_init__(self) -> None:
        limits = {"classes": 65535, "height": 65535, "width": 65535, "maps": self.classes}
        for name, limit in limits.items():
            value = getattr(self, name)
            if not 1 <= value <= limit:
                raise CamError(f"packet layout, {name}", f"1 to {limit}", str(value), "correct the layout")

    @property
    def maps_offset(self) -> int:
        """First byte of the first heatmap."""
        return HEADER_BYTES + 4 * self.classes

    @property
    def used_bytes(self) -> int:
        """Bytes before the padding."""
        return self.maps_offset + self.maps * self.height * self.width

    @property
    def length(self) -> int:
        """L, the bytes of one packet."""
        return -(-self.used_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


@dataclass(frozen=True)
class Packets:
    """What N packets say.

    Args:
        class_index: uint16 [N], argmax of the logits, ties to the lowest.
        shown_class: uint16 [N], class of the first heatmap: the argmax, or what the host asked for.
        peak: uint16 [N, 2], [x, y] of the first heatmap's first maximum in row-major order, at network size.
        gated: bool [N], the shown class's logit was below the gate: all heatmaps are zero, peak is [0, 0];
            header and logits are valid as ever.
        constant: bool [N], the shown class's map was constant before normalisation, so its heatmap is zero.
        frame: uint32 [N], the accelerator's frame counter; gated frames count.
        logits: int32 [N, classes], sums over the map, not averages.
        maps: uint8 [N, maps, height, width].
    """

    class_index: npt.NDArray[np.uint16]
    shown_class: npt.NDArray[np.uint16]
    peak: npt.NDArray[np.uint16]
    gated: npt.NDArray[np.bool_]
    constant: npt.NDArray[np.bool_]
    frame: npt.NDArray[np.uint32]
    logits: npt.NDArray[np.int32]
    maps: UInt8


def encode_packets(layout: PacketLayout, packets: Packets) -> UInt8:
    """Packets as the accelerator sends them: uint8 [N, layout.length].

    A gated frame's maps are sent as zeros and its peak as [0, 0], whatever `packets` holds there.

    Raises:
        CamError: an array's shape does not match the layout.
    """
    count = len(packets.class_index)
    _want_shape("packet logits", packets.logits, (count, layout.classes))
    _want_shape("packet maps", packets.maps, (count, layout.maps, layout.height, layout.width))
    _want_shape("packet peaks", packets.peak, (count, 2))
    header = np.zeros(count, dtype=_HEADER)
    header["version"] = PACKET_VERSION
    header["class_index"] = packets.class_index
    header["shown_class"] = packets.shown_class
    header["peak_x"] = np.where(packets.gated, 0, packets.peak[:, 0])
    header["peak_y"] = np.where(packets.gated, 0, packets.peak[:, 1])
    header["flags"] = packets.gated * FLAG_GATED + packets.constant * FLAG_CONSTANT
    header["frame"] = packets.frame
    out = np.zeros((count, layout.length), dtype=np.uint8)
    out[:, :HEADER_BYTES] = header.view(np.uint8).reshape(count, HEADER_BYTES)
    logits = np.ascontiguousarray(packets.logits, dtype="<i4")
    out[:, HEADER_BYTES : layout.maps_offset] = logits.view(np.uint8).reshape(count, 4 * layout.classes)
    shown = np.where(packets.gated[:, None, None, None], np.uint8(0), packets.maps)
    out[:, layout.maps_offset : layout.used_bytes] = shown.reshape(count, layout.used_bytes - layout.maps_offset)
    return out


def decode_packets(layout: PacketLayout, data: bytes | bytearray | memoryview | UInt8) -> Packets:
    """Read packets, refusing whatever an accelerator of this layout cannot have sent.

    Args:
        layout: fixed when the accelerator was built.
        data: bytes, or uint8 [L] or [N, L], of one or more whole packets one after another.

    Raises:
        CamError: not whole packets, another version, unknown flags, a class or peak out of range, padding that is not
            zero, or a gated or constant frame whose map is not zero.
    """
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8:
            raise CamError("packet", "uint8 bytes", str(data.dtype), "read the stream as bytes")
        if data.ndim > 1 and data.shape[-1] != layout.length:
            raise CamError("packet", f"rows of {layout.length} bytes", f"shape {data.shape}", "check the layout")
        raw = np.ascontiguousarray(data).reshape(-1)
    else:
        raw = np.frombuffer(data, dtype=np.uint8)
    if raw.size == 0 or raw.size % layout.length:
        raise CamError("packet", f"a multiple of {layout.length} bytes", f"{raw.size} bytes", "check layout and stream")
    rows = raw.reshape(-1, layout.length)
    header = np.ascontiguousarray(rows[:, :HEADER_BYTES]).view(_HEADER).reshape(-1)
    _want_all("version", header["version"] == PACKET_VERSION, str(PACKET_VERSION), header["version"])
    for name, limit in (
        ("class_index", layout.classes),
        ("shown_class", layout.classes),
        ("peak_x", layout.width),
        ("peak_y", layout.height),
        ("flags", (FLAG_GATED | FLAG_CONSTANT) + 1),
    ):
        _want_all(name, header[name] < limit, f"less than {limit}", header[name])
    padding = np.asarray(rows[:, layout.used_bytes :].any(axis=1), dtype=np.bool_)
    _want_all("padding", ~padding, "zeros", padding)
    logits = np.ascontiguousarray(rows[:, HEADER_BYTES : layout.maps_offset]).view("<i4").astype(np.int32)
    maps = rows[:, layout.maps_offset : layout.used_bytes].reshape(-1, layout.maps, layout.height, layout.width).copy()
    gated = (header["flags"] & FLAG_GATED) != 0
    constant = (header["flags"] & FLAG_CONSTANT) != 0
    stray = (gated & maps.any(axis=(1, 2, 3))) | (constant & maps[:, 0].any(axis=(1, 2)))
    _want_all("map", ~stray, "zeros in a gated or constant frame", maps.max(axis=(1, 2, 3)))
    return Packets(
        class_index=header["class_index"].astype(np.uint16),
        shown_class=header["shown_class"].astype(np.uint16),
        peak=np.stack([header["peak_x"], header["peak_y"]], axis=1).astype(np.uint16),
        gated=gated,
        constant=constant,
        frame=header["frame"].astype(np.uint32),
        logits=logits,
        maps=maps,
    )


def shown_classes(logits: npt.NDArray[np.int32], maps: int, select: int | None = None) -> npt.NDArray[np.int64]:
    """Classes of a packet's heatmaps, in their order: int64 [N, maps].

    The first is `select`, or else the argmax; the others follow by falling logit. Ties go to the lowest index.
    """
    order = np.argsort(-logits.astype(np.int64), axis=1, kind="stable")
    if select is None:
        return order[:, :maps]
    rest = order[order != select].reshape(len(logits), -1)
    chosen = np.full((len(logits), 1), select, dtype=np.int64)
    return np.concatenate([chosen, rest], axis=1)[:, :maps]


def softmax_scores(logits: npt.NDArray[np.int32], scale: float) -> npt.NDArray[np.float64]:
    """Class probabilities: softmax of the dequantised logits, float64 [N, classes].

    Args:
        logits: int32 [N, classes], sums over the map.
        scale: value of one step of an integer logit: weight_scale · tap_scale / (map height · map width).
    """
    if not (math.isfinite(scale) and scale > 0):
        raise CamError("logit scale", "a finite number above 0", repr(scale), "check the head's scales")
    values = logits.astype(np.float64) * scale
    values -= values.max(axis=1, keepdims=True)
    powers = _exp(values)
    # A running sum adds in one order; numpy's sum adds in the processor's.
    return np.asarray(powers / np.cumsum(powers, axis=1)[:, -1:], dtype=np.float64)


def _exp(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """exp of values up to 0 from additions and products alone: the same bits on every machine, unlike np.exp's.

    x = k·ln 2 + r with |r| ≤ ln 2 / 2, and exp r by its series up to r¹³/13!, whose rest is below 2⁻⁵⁶.
    """
    # Below, exp is less than the smallest score by far, and soon no normal number.
    clipped = np.maximum(values, -700.0)
    steps = np.rint(clipped * 1.4426950408889634)
    # ln 2 in two parts, the first with so few bits that its product with k is exact.
    rest = clipped - steps * 0.6931471803691238 - steps * 1.9082149292705877e-10
    total = np.ones_like(rest)
    for degree in range(13, 0, -1):
        total = total * rest / degree + 1.0
    powers = np.ldexp(total, steps.astype(np.int32))
    return np.where(values < -700.0, 0.0, powers)


# ---------------------------------------------------------------- streams


def pack_stream(values: UInt8 | npt.NDArray[np.uint32] | npt.NDArray[np.int64], bits: int, lanes: int) -> UInt8:
    """Bytes of a FINN stream of unsigned integers: uint8 [N, bytes].

    Each beat holds `lanes` values, the first in the low bits, padded to whole bytes, little-endian.

    Args:
        values: unsigned integers below 2**bits, [N, ...], innermost axis first on the stream; lanes divides it.
    """
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    _want_stream(bits, lanes, flat.shape[1])
    if flat.size and (int(flat.min()) < 0 or int(flat.max()) >= 1 << bits):
        raise CamError("stream values", f"0 to {(1 << bits) - 1}", f"{flat.min()} to {flat.max()}", "check their type")
    if bits == 8:
        return np.asarray(flat.astype(np.uint8), dtype=np.uint8)
    beats = flat.astype("<u4").reshape(len(flat), -1, lanes, 1).view(np.uint8)
    ones = np.unpackbits(beats, axis=-1, bitorder="little")[..., :bits]
    packed = np.packbits(ones.reshape(len(flat), -1, lanes * bits), axis=-1, bitorder="little")
    return packed.reshape(len(flat), -1)


def unpack_stream(data: UInt8, bits: int, lanes: int, shape: Sequence[int]) -> npt.NDArray[np.uint32]:
    """Inverse of `pack_stream`: uint32 [N, *shape] from uint8 [N, bytes]."""
    count = math.prod(shape)
    _want_stream(bits, lanes, count)
    beat_bytes = -(-lanes * bits // 8)
    _want_shape("stream", data, (len(data), count // lanes * beat_bytes))
    if lanes == 1 and bits <= 8:
        # A byte a value, as a tap's stream often is: there is nothing to take apart.
        return np.asarray((data & ((1 << bits) - 1)).reshape(len(data), *shape), dtype=np.uint32)
    beats = np.ascontiguousarray(data).reshape(len(data), -1, beat_bytes)
    ones = np.unpackbits(beats, axis=-1, bitorder="little")[..., : lanes * bits].reshape(len(data), count, bits)
    padded = np.zeros((len(data), count, 32), dtype=np.uint8)
    padded[..., :bits] = ones
    words = np.packbits(padded, axis=-1, bitorder="little").view("<u4")
    return np.asarray(words.reshape(len(data), *shape), dtype=np.uint32)


# ---------------------------------------------------------------- resize


def resize_image(image: UInt8, height: int, width: int, antialias: bool = True) -> UInt8:
    """Resize by integer bilinear interpolation with half-pixel centres; the same bytes on every machine.

    Output pixel i looks at c = (i + 1/2)·h/H and weighs input pixel j by max(0, 1 - |j + 1/2 - c| / s), renormalised at
    the border. s = 1 is plain bilinear interpolation (cv2.INTER_LINEAR, torch's interpolate without align_corners).
    With `antialias` s = max(1, h/H), as Pillow's BILINEAR: a large photograph is averaged, not sampled. Weights are
    computed in integers and sum to 2**14; one rounding, to the nearest, at the end.

    Args:
        image: uint8 [h, w] or [h, w, channels].

    Returns:
        uint8 [height, width] or [height, width, channels].

    Raises:
        CamError: another dtype or rank, or an empty image or target.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise CamError("image", "uint8 [h, w] or [h, w, channels]", f"{image.dtype} {image.shape}", "convert it first")
    if 0 in image.shape or height < 1 or width < 1:
        raise CamError("image", "at least one pixel", f"{image.shape} to {(height, width)}", "check the file")
    if image.shape[:2] == (height, width):
        return image.copy()
    rows = _resize_weights(image.shape[0], height, antialias)
    columns = _resize_weights(image.shape[1], width, antialias)
    planes = image.reshape(image.shape[0], image.shape[1], -1).astype(np.float64)
    # All sums are integers below 2**36, so float64 products are exact whatever order BLAS adds them in.
    tall = np.tensordot(rows, planes, axes=(1, 0))
    total = np.tensordot(columns, tall, axes=(1, 1)).transpose(1, 0, 2)
    rounded = (total.astype(np.int64) + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)
    return np.ascontiguousarray(rounded.astype(np.uint8).reshape(height, width, *image.shape[2:]))


def _resize_weights(size_in: int, size_out: int, antialias: bool) -> npt.NDArray[np.float64]:
    """Integer weights [out, in] as float64; every row sums to 2**WEIGHT_BITS."""
    support = 2 * (max(size_in, size_out) if antialias else size_out)
    centres = (2 * np.arange(size_out, dtype=np.int64) + 1) * size_in
    pixels = (2 * np.arange(size_in, dtype=np.int64) + 1) * size_out
    raw = np.maximum(0, support - np.abs(pixels[None, :] - centres[:, None]))
    steps = np.cumsum(raw, axis=1)
    # Rounding the running sum, not each weight, keeps every row's total exact.
    edges = ((steps << (WEIGHT_BITS + 1)) + steps[:, -1:]) // (2 * steps[:, -1:])
    return np.asarray(np.diff(edges, axis=1, prepend=0), dtype=np.float64)


# ---------------------------------------------------------------- boxes


def largest_box(heatmap: UInt8, threshold: float) -> Box | None:
    """Box around the largest 8-connected component of pixels strictly above int(threshold · max).

    Largest by pixel count; among equals the one whose first pixel comes first in row-major order.

    Args:
        heatmap: uint8 [height, width].
        threshold: τ, 0 to 1.

    Returns:
        (x0, y0, x1, y1), both corners included, or None where no pixel lies above (a constant or gated map; τ = 1).

    Raises:
        CamError: another dtype or rank, an empty map, or τ outside 0 to 1.
    """
    if heatmap.dtype != np.uint8 or heatmap.ndim != 2 or heatmap.size == 0:
        raise CamError("heatmap", "uint8 [height, width]", f"{heatmap.dtype} {heatmap.shape}", "pass one heatmap")
    if not 0 <= threshold <= 1:
        raise CamError("box threshold", "0 to 1", repr(threshold), "correct [cam] threshold")
    boxes, pixels = component_boxes(heatmap > int(threshold * int(heatmap.max())))
    if len(boxes) == 0:
        return None
    x0, y0, x1, y1 = boxes[int(np.argmax(pixels))].tolist()
    return x0, y0, x1, y1


def component_boxes(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Boxes int64 [M, 4] and pixel counts int64 [M] of the M 8-connected components, by their first pixel."""
    width = mask.shape[1]
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1] - 1  # both included; runs come in row-major order
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    # Runs of neighbouring rows touch where they overlap once each is widened by one pixel. As (row, column) becomes one
    # number, each run's partners in the row above are one slice of the sorted ends and starts.
    stride = width + 2
    above = (rows - 1) * stride
    first = np.searchsorted(rows * stride + ends, above + starts - 1, side="left")
    last = np.searchsorted(rows * stride + starts, above + ends + 1, side="right")
    for run, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for partner in range(low, high):
            a, b = root(run), root(partner)
            parent[max(a, b)] = min(a, b)
    label = np.array([root(run) for run in range(len(rows))], dtype=np.int64)
    roots, index = np.unique(label, return_inverse=True)
    boxes = np.empty((len(roots), 4), dtype=np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    boxes[:, 2:] = -1
    np.minimum.at(boxes[:, 0], index, starts)
    np.minimum.at(boxes[:, 1], index, rows)
    np.maximum.at(boxes[:, 2], index, ends)
    np.maximum.at(boxes[:, 3], index, rows)
    pixels = np.bincount(index, weights=ends - starts + 1, minlength=len(roots)).astype(np.int64)
    return boxes, pixels


def scale_box(box: Box, size_from: Sequence[int], size_to: Sequence[int]) -> Box:
    """The box at another image size: the smallest that covers it, sizes as (height, width)."""
    _want_sizes(size_from, size_to)
    (h, w), (H, W) = size_from, size_to
    x0, y0, x1, y1 = box
    return x0 * W // w, y0 * H // h, -(-(x1 + 1) * W // w) - 1, -(-(y1 + 1) * H // h) - 1


def scale_point(point: Sequence[int], size_from: Sequence[int], size_to: Sequence[int]) -> tuple[int, int]:
    """[x, y] at another image size: the pixel that holds the centre of the old one, sizes as (height, width)."""
    _want_sizes(size_from, size_to)
    (h, w), (H, W) = size_from, size_to
    return (2 * int(point[0]) + 1) * W // (2 * w), (2 * int(point[1]) + 1) * H // (2 * h)


# ---------------------------------------------------------------- checks


def _want_shape(place: str, array: npt.NDArray[np.generic], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise CamError(place, f"shape {shape}", f"{array.shape}", "check the layout")


def _want_all(name: str, good: npt.NDArray[np.bool_], expected: str, values: npt.NDArray[np.generic]) -> None:
    bad = np.nonzero(~good)[0]
    if bad.size:
        first = int(bad[0])
        raise CamError(f"packet {first}, {name}", expected, str(values[first]), "check layout and stream")


def _want_stream(bits: int, lanes: int, count: int) -> None:
    if not 1 <= bits <= 32:
        raise CamError("stream", "1 to 32 bits a value", str(bits), "check the data type")
    if lanes < 1 or count % lanes:
        raise CamError("stream", f"lanes that divide {count} values", str(lanes), "check the folding")


def _want_sizes(*sizes: Sequence[int]) -> None:
    for size in sizes:
        if len(size) != 2 or min(size) < 1:
            raise CamError("size", "(height, width), both above 0", str(tuple(size)), "check the image")
