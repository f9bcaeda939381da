"""Integers to the words of a stream and back: element 0 in the low bits, whole bytes a word, little-endian."""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def pack_words(values: npt.ArrayLike, bits: int) -> bytes:
    """Packs elements into words.

    Args:
        values: integers [words, elements], in two's complement of `bits`.
        bits: of an element.

    Returns:
        words · ceil(elements · bits / 8) bytes.

    Raises:
        ValueError: a value that `bits` cannot hold, signed or unsigned.
    """
    array = np.asarray(values, dtype=np.int64)
    array = array.reshape(len(array), -1)
    if array.size and (int(array.min()) < -(1 << (bits - 1)) or int(array.max()) >= 1 << bits):
        raise ValueError(f"{bits} bits cannot hold {array.min()} to {array.max()}")
    planes = (array[:, :, None] >> np.arange(bits, dtype=np.int64)) & 1
    return np.packbits(planes.reshape(len(array), -1).astype(np.uint8), axis=1, bitorder="little").tobytes()


def unpack_words(data: bytes, elements: int, bits: int, *, signed: bool) -> Integers:
    """The inverse: int64 [words, elements].

    Raises:
        ValueError: `data` ends within a word.
    """
    word_bytes = -(-elements * bits // 8)
    if len(data) % word_bytes:
        raise ValueError(f"{len(data)} bytes are no whole number of words of {word_bytes} bytes")
    raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, word_bytes)
    planes = np.unpackbits(raw, axis=1, bitorder="little")[:, : elements * bits].reshape(-1, elements, bits)
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    result: Integers = planes.astype(np.int64) @ weights
    return result
