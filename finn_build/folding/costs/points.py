"""The modules that the cost models are calibrated on: seconds of synthesis each, over all that is folded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """One module to synthesise.

    Attributes:
        kind: which cost model it is for; `core` and `weights` are a matrix-vector unit without and only its memory.
        size: its parameters.
        held_out: not fitted to: it tells the error of a model with too few points to leave one out.
    """

    kind: str
    size: Mapping[str, Any]
    held_out: bool = False


def points() -> Iterator[Point]:
    """All of them, the quickest kinds first."""
    yield from _streams()
    yield from _windows()
    yield from _thresholds()
    yield from _weights()
    yield from _cores()
    yield from _cam()
    yield from _held_out()


def _streams() -> Iterator[Point]:
    for outputs, width in ((2, 8), (2, 40), (2, 160), (3, 20)):
        yield Point("DuplicateStreams", {"outputs": outputs, "width": width})
    for pe, bits in ((1, 5), (8, 5), (16, 4)):
        yield Point("ElementwiseAdd", {"pe": pe, "bits": bits})
    for channels, simd, bits, size in ((3, 1, 8, 32), (32, 8, 5, 32), (64, 32, 4, 8)):
        yield Point("FMPadding", {"channels": channels, "simd": simd, "bits": bits, "size": size})
    for left, right in ((5, 20), (40, 5), (40, 45), (40, 120), (20, 120), (80, 12)):
        yield Point("StreamingDataWidthConverter", {"in_bits": left, "out_bits": right})
    for width, depth in (
        (8, 2), (40, 2), (40, 8), (8, 32), (40, 32), (40, 128), (8, 1024), (40, 600), (8, 5000), (20, 200),
        (80, 128), (20, 1024), (80, 512), (8, 256), (40, 769),
    ):  # fmt: skip
        yield Point("StreamingFIFO", {"width": width, "depth": depth})


def _windows() -> Iterator[Point]:
    for channels, simd, bits, size, kernel, stride, style in (
        (3, 3, 8, 34, 3, 1, "distributed"), (16, 4, 5, 18, 3, 1, "distributed"), (32, 8, 5, 34, 3, 1, "distributed"),
        (32, 8, 5, 34, 3, 1, "block"), (64, 1, 5, 18, 3, 1, "distributed"),
        (64, 8, 4, 10, 3, 2, "distributed"), (32, 1, 5, 16, 1, 2, "distributed"), (128, 4, 5, 10, 3, 1, "block"),
        (16, 16, 6, 18, 3, 1, "distributed"),
    ):  # fmt: skip
        yield Point(
            "ConvolutionInputGenerator",
            {
                "channels": channels, "simd": simd, "bits": bits, "size": size, "kernel": kernel, "stride": stride,
                "style": style,
            },
        )  # fmt: skip


def _thresholds() -> Iterator[Point]:
    for channels, pe, in_bits, out_bits in (
        (16, 1, 12, 4), (32, 1, 17, 5), (32, 8, 6, 5), (64, 4, 14, 4), (16, 4, 17, 6), (64, 1, 6, 5), (32, 2, 15, 5),
        (64, 1, 16, 5), (128, 1, 17, 5),
    ):  # fmt: skip
        yield Point("Thresholding", {"channels": channels, "pe": pe, "in_bits": in_bits, "out_bits": out_bits})
    for channels, in_bits, trigger in ((32, 15, 128), (64, 16, 256)):
        size = {"channels": channels, "pe": 1, "in_bits": in_bits, "out_bits": 5, "block_depth": trigger}
        yield Point("Thresholding", size)


def _weights() -> Iterator[Point]:
    for width, depth, style in (
        (24, 36, "distributed"), (80, 36, "distributed"), (240, 48, "distributed"), (80, 128, "distributed"),
        (40, 512, "distributed"), (40, 512, "block"), (200, 256, "block"), (40, 2304, "block"),
    ):  # fmt: skip
        yield Point("weights", {"width": width, "depth": depth, "style": style})


def _cores() -> Iterator[Point]:
    dsp = (
        (18, 8, 4, 2, 4, 4), (36, 16, 8, 4, 5, 5), (72, 16, 16, 3, 5, 5), (72, 32, 4, 12, 5, 5), (144, 16, 8, 8, 4, 4),
        (27, 16, 4, 9, 5, 8), (144, 32, 16, 4, 6, 6), (288, 32, 2, 18, 5, 5),
        (64, 32, 32, 2, 5, 5), (576, 8, 1, 36, 5, 5), (72, 8, 8, 1, 4, 4),
    )  # fmt: skip
    lut = (
        (18, 8, 4, 2, 4, 4), (36, 16, 8, 4, 5, 5), (72, 16, 16, 3, 5, 5), (27, 16, 4, 9, 5, 8), (32, 64, 1, 4, 5, 5),
        (144, 32, 2, 16, 6, 6), (27, 16, 2, 27, 4, 8), (72, 8, 8, 1, 4, 4), (144, 16, 4, 24, 5, 5),
        (144, 32, 8, 12, 4, 4), (64, 128, 1, 16, 5, 5),
    )  # fmt: skip
    chain = (
        (18, 8, 4, 2, 4, 4), (36, 16, 8, 4, 5, 5), (72, 16, 16, 3, 5, 5), (72, 32, 4, 12, 5, 5), (27, 16, 4, 27, 5, 8),
        (144, 32, 2, 16, 6, 6), (288, 32, 4, 18, 5, 5), (64, 32, 1, 8, 5, 5), (576, 8, 2, 36, 4, 4),
        (576, 64, 4, 36, 5, 5), (288, 32, 4, 48, 4, 4),
    )  # fmt: skip
    for style, sizes in (("dsp", dsp), ("lut", lut), ("chain", chain)):
        for mw, mh, pe, simd, weight_bits, act_bits in sizes:
            yield Point(
                "core",
                {
                    "mw": mw, "mh": mh, "pe": pe, "simd": simd, "weight_bits": weight_bits, "act_bits": act_bits,
                    "multipliers": style,
                },
            )  # fmt: skip


def _cam() -> Iterator[Point]:
    for size, channels, classes, pe, class_pe, out in (
        (8, 128, 10, 1, 1, 32), (8, 128, 10, 2, 2, 32), (4, 64, 10, 4, 1, 32), (16, 128, 20, 1, 2, 64),
        (8, 32, 10, 2, 1, 32), (4, 256, 10, 2, 1, 32),
    ):  # fmt: skip
        yield Point(
            "ClassActivationMap",
            {"size": size, "channels": channels, "classes": classes, "pe": pe, "class_pe": class_pe, "out": out},
        )


def _held_out() -> Iterator[Point]:
    for pe, bits in ((4, 5), (32, 4)):
        yield Point("ElementwiseAdd", {"pe": pe, "bits": bits}, held_out=True)
    for channels, simd, bits, size in ((16, 4, 6, 16), (64, 8, 5, 16)):
        yield Point("FMPadding", {"channels": channels, "simd": simd, "bits": bits, "size": size}, held_out=True)
    for width, depth in ((80, 512), (120, 144)):
        yield Point("weights", {"width": width, "depth": depth, "style": "block"}, held_out=True)
