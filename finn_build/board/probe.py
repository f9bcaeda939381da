"""Golden images through the accelerator, and what it means when the answers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import StaleBuffer, WrongAnswer
from .hostside import UInt8

if TYPE_CHECKING:
    from .accelerator import CamAccelerator

FRAME = slice(12, 16)
PROBED = 2


def probe(accelerator: CamAccelerator) -> None:
    """Runs the first and the last golden image and compares what comes.

    Raises:
        StaleBuffer, WrongAnswer: as `compare` says.
    """
    compare(accelerator, PROBED)


def compare(accelerator: CamAccelerator, most: int | None = None) -> dict[str, Any]:
    """Runs golden images and compares every byte of the packets but the frame counter, or every value of the taps.

    With taps come the packets that the host makes of them, which have to be the golden ones as well.

    Args:
        accelerator: open.
        most: images at most; all where None.

    Returns:
        `images`, `bytes` compared, `mismatches`: images that differ, always 0.

    Raises:
        StaleBuffer: an answer is another golden image's, or does not depend on the image: the accelerator saw an old
            copy of the buffer.
        WrongAnswer: naming the first image and byte that differ.
    """
    golden, tap = accelerator.bundle.golden(), accelerator.bundle.tap
    images, wanted = golden["images"], without_frame(golden["packet"]) if tap is None else _rows(golden["tap"])
    # The first are pictures, the last are extremes or noise.
    chosen = np.arange(len(images)) if most is None else np.array([0, len(images) - 1])[:most]
    got = _answers(accelerator, images[chosen])
    different = np.flatnonzero((got != wanted[chosen]).any(axis=1))
    if not different.size:
        compared = int(got.size)
        if tap is not None:
            compared += _compare_host(accelerator, golden, chosen)
        return {"images": len(chosen), "bytes": compared, "mismatches": 0}
    first = int(different[0])
    number = int(chosen[first])
    twin = np.flatnonzero((wanted == got[first]).all(axis=1))
    opposite = _answers(accelerator, 255 - images[number : number + 1])[0]
    if twin.size or np.array_equal(got[first], opposite):
        which = f"that of golden image {int(twin[0])}" if twin.size else "the same as for its negative"
        raise StaleBuffer(
            f"golden image {number}: expected its own answer, got {which}; the accelerator saw an old copy of the "
            "input buffer: the cache was not flushed"
        )
    at = int(np.argmax(got[first] != wanted[number]))
    place = f"byte {at}" if tap is None else f"tap {[int(i) for i in np.unravel_index(at, tap.shape)]}"
    raise WrongAnswer(
        f"golden image {number}, {place}: expected {int(wanted[number, at])}, got {int(got[first, at])} "
        f"({different.size} of {len(chosen)} images differ); the bitfile, its weights or the timing are wrong",
        len(chosen),
        int(different.size),
    )


def _compare_host(accelerator: CamAccelerator, golden: dict[str, Any], chosen: Any) -> int:
    """Compares the packets that the host makes of golden taps; returns their bytes."""
    made = without_frame(accelerator.packets_of(golden["tap"][chosen]))
    different = np.flatnonzero((made != without_frame(golden["packet"])[chosen]).any(axis=1))
    if different.size:
        raise WrongAnswer(
            f"golden image {int(chosen[different[0]])}: expected the golden packet of the golden tap, got another; the "
            "host computes wrongly, or the package is of two builds",
            len(chosen),
            int(different.size),
        )
    return int(made.size)


def _answers(accelerator: CamAccelerator, images: UInt8) -> UInt8:
    """What comes for images, in rows of bytes that can be compared."""
    return (
        without_frame(accelerator.packets(images))
        if accelerator.bundle.tap is None
        else _rows(accelerator.taps(images))
    )


def _rows(taps: UInt8) -> UInt8:
    return np.asarray(taps, dtype=np.uint8).reshape(len(taps), -1)


def without_frame(packets: UInt8) -> UInt8:
    """A copy of packets whose frame counters are 0."""
    copy = np.array(packets, dtype=np.uint8)
    copy[:, FRAME] = 0
    return copy
