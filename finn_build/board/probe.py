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
    """Runs the first and the last golden image and compares the packets.

    Raises:
        StaleBuffer, WrongAnswer: as `compare` says.
    """
    compare(accelerator, PROBED)


def compare(accelerator: CamAccelerator, most: int | None = None) -> dict[str, Any]:
    """Runs golden images and compares every byte of the packets but the frame counter.

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
    golden = accelerator.bundle.golden()
    images, wanted = golden["images"], without_frame(golden["packet"])
    # The first are pictures, the last are extremes or noise.
    chosen = np.arange(len(images)) if most is None else np.array([0, len(images) - 1])[:most]
    got = without_frame(accelerator.packets(images[chosen]))
    different = np.flatnonzero((got != wanted[chosen]).any(axis=1))
    if not different.size:
        return {"images": len(chosen), "bytes": int(got.size), "mismatches": 0}
    first = int(different[0])
    number = int(chosen[first])
    twin = np.flatnonzero((wanted == got[first]).all(axis=1))
    opposite = without_frame(accelerator.packets(255 - images[number : number + 1]))[0]
    if twin.size or np.array_equal(got[first], opposite):
        which = f"that of golden image {int(twin[0])}" if twin.size else "the same as for its negative"
        raise StaleBuffer(
            f"golden image {number}: expected its own answer, got {which}; the accelerator saw an old copy of the "
            "input buffer: the cache was not flushed"
        )
    at = int(np.argmax(got[first] != wanted[number]))
    raise WrongAnswer(
        f"golden image {number}, byte {at}: expected {int(wanted[number, at])}, got {int(got[first, at])} "
        f"({different.size} of {len(chosen)} images differ); the bitfile, its weights or the timing are wrong",
        len(chosen),
        int(different.size),
    )


def without_frame(packets: UInt8) -> UInt8:
    """A copy of packets whose frame counters are 0."""
    copy = np.array(packets, dtype=np.uint8)
    copy[:, FRAME] = 0
    return copy
