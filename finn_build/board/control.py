"""The CAM block's AXI-lite registers and its two banks of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import CorruptWeights, Refused

ARGMAX = 0xFFFFFFFF
NO_GATE = -(1 << 31)


class CamRegisters:
    """Registers by the names of the manifest.

    Args:
        cell: the block in the overlay; None for a block without registers.
        offsets: of the registers.
        weights: the manifest's weight memory: offset, banks, words; None where weights are fixed.
    """

    def __init__(self, cell: Any, offsets: dict[str, int], weights: dict[str, Any] | None) -> None:
        self._cell, self._offsets, self._memory = cell, offsets, weights
        self._bank = 1

    def build_id(self) -> int | None:
        """What the hardware says of itself; None where it says nothing."""
        offset = self._offsets.get("build_id")
        return None if self._cell is None or offset is None else int(self._cell.read(offset))

    def select(self, value: int) -> None:
        """The class whose map is shown from the next frame on.

        Raises:
            Refused: a class was asked for, and the block has no such register.
        """
        if not self._write("class_select", value) and value != ARGMAX:
            raise Refused("class_id: expected none, got one; this bitfile's CAM block has no registers")

    def gate(self, value: int) -> None:
        """The least logit of the shown class, int32, for a heatmap to be sent.

        Raises:
            Refused: a gate was asked for, and the block has no such register.
        """
        if not self._write("gate", value & 0xFFFFFFFF) and value != NO_GATE:
            raise Refused("gate: expected none, got one; this bitfile's CAM block has no registers")

    def load(self, words: npt.NDArray[np.uint32]) -> None:
        """Writes the idle bank, reads it back, and switches to it.

        Args:
            words: uint32, a whole bank.

        Raises:
            CorruptWeights: the bank does not hold what was written; the active bank stays.
        """
        memory = self._fixed()
        bank = 1 - self._bank
        first = (int(memory["offset"]) + 4 * bank * len(words)) // 4
        array = self._cell.mmio.array
        array[first : first + len(words)] = words
        held = np.array(array[first : first + len(words)], dtype=np.uint32)
        wrong = np.flatnonzero(held != words)
        if wrong.size:
            at = int(wrong[0])
            raise CorruptWeights(
                f"weight bank {bank}, word {at}: expected 0x{int(words[at]):08x}, as written, got "
                f"0x{int(held[at]):08x} ({wrong.size} of {len(words)} words differ); program the board again"
            )
        self._write("weight_bank", bank)
        self._bank = bank

    def words(
        self, fc_weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None, cam: dict[str, Any]
    ) -> npt.NDArray[np.uint32]:
        """A bank's words: weight (c, k) is byte c·C + k, filled to a whole word; then the biases, if there are any.

        Raises:
            Refused: fixed weights, or another shape, type or range.
        """
        memory = self._fixed()
        shape = (int(cam["classes"]), int(cam["channels"]))
        limit = 1 << (int(cam["weight_bits"]) - 1)
        weights = np.asarray(fc_weight)
        if weights.dtype != np.int8 or weights.shape != shape:
            got = f"{weights.dtype} {list(weights.shape)}"
            raise Refused(f"fc_weight: expected int8 {list(shape)}, got {got}; another size needs another bitfile")
        if int(weights.min()) < -limit or int(weights.max()) >= limit:
            got = f"{weights.min()} to {weights.max()}"
            raise Refused(f"fc_weight: expected {-limit} to {limit - 1}, got {got}; quantise to the bitfile's width")
        data = weights.tobytes()
        data += bytes(-len(data) % 4)
        if cam["bias_bits"]:
            wanted = np.zeros(shape[0], np.int32) if bias is None else np.asarray(bias)
            if wanted.dtype != np.int32 or wanted.shape != shape[:1]:
                raise Refused(f"bias: expected int32 [{shape[0]}], got {wanted.dtype} {list(wanted.shape)}; convert it")
            low, high = -(1 << (int(cam["bias_bits"]) - 1)), (1 << (int(cam["bias_bits"]) - 1)) - 1
            if int(wanted.min()) < low or int(wanted.max()) > high:
                raise Refused(f"bias: expected {low} to {high}, got {wanted.min()} to {wanted.max()}; scale it")
            data += wanted.astype("<i4").tobytes()
        elif bias is not None and np.any(bias):
            raise Refused("bias: expected none, as this bitfile's block adds none, got one; leave it out")
        words = np.frombuffer(data, "<u4").astype(np.uint32)
        if len(words) != memory["words"]:
            raise Refused(f"fc_weight: expected {memory['words']} words, got {len(words)}; use weights of this network")
        return words

    def _fixed(self) -> dict[str, Any]:
        if self._memory is None or self._cell is None:
            raise Refused("weights: expected a bitfile that takes them at run time, got fixed ones; build it with "
                          'cam.backend = "hls" and cam.weights = "loaded"')  # fmt: skip
        return self._memory

    def _write(self, name: str, value: int) -> bool:
        if self._cell is None or name not in self._offsets:
            return False
        self._cell.write(self._offsets[name], int(value))
        return True
