"""The CAM block's part on the host: an accelerator that ends in the tap sends what the block would take in.

Pooling, classifier, class and heatmap are computed by the block's integer specification, which a package of such an
accelerator holds as `cam_postproc/`: the packets are, byte for byte, those that the block would have sent.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .control import ARGMAX, NO_GATE
from .errors import Refused, WrongAnswer
from .hostside import CamError, UInt8, unpack_stream

REMEDY = "copy the package again"


@dataclass(frozen=True)
class TapStream:
    """How a tap lies in memory: UINT`bits` [height, width, channels], `lanes` values a beat, as FINN's streams.

    A beat's first value is in its low bits; the rest of its last byte is zero.

    Raises:
        CamError: sizes that no tap has.
    """

    height: int
    width: int
    channels: int
    bits: int
    lanes: int

    def __post_init__(self) -> None:
        values = vars(self)
        whole = all(isinstance(value, int) and value > 0 for value in values.values())
        if not whole or self.bits > 8 or self.channels % self.lanes:
            raise CamError("tap", "sizes above 0, at most 8 bits, lanes that divide the channels", f"{values}", REMEDY)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def beat_bytes(self) -> int:
        """Of a beat."""
        return -(-self.lanes * self.bits // 8)

    @property
    def length(self) -> int:
        """Bytes of a tap."""
        return self.height * self.width * self.channels // self.lanes * self.beat_bytes

    def read(self, rows: UInt8, dma: str) -> UInt8:
        """The taps, uint8 [N, height, width, channels], of the bytes that came, uint8 [N, length].

        Raises:
            WrongAnswer: a value is too large for its type: its beat has bits where there are none.
        """
        used = self.lanes * self.bits % 8
        if used:
            stray = (rows.reshape(len(rows), -1, self.beat_bytes)[:, :, -1] >> used) != 0
            wrong = stray.any(axis=1)
            if wrong.any():
                first = int(np.argmax(wrong))
                beat = int(np.argmax(stray[first]))
                raise WrongAnswer(
                    f"{dma}: expected values of {self.bits} bits, 0 to {(1 << self.bits) - 1}, got more in beat {beat} "
                    f"of tap {first} ({int(wrong.sum())} of {len(rows)} taps are so); the accelerator was reset, the "
                    "bitfile or the timing is wrong",
                    len(rows),
                    int(wrong.sum()),
                )
        return unpack_stream(rows, self.bits, self.lanes, self.shape).astype(np.uint8)


class HostCam:
    """Takes the CAM block's place, its registers included: the same calls as `CamRegisters`.

    Args:
        stream: of the taps.
        cam: the package's `cam.json`.
        head: its `weights/head.npz`: `fc_weight` int8 [classes, channels], `bias` int32 [classes].

    Raises:
        CamError, KeyError, TypeError, ValueError: the package contradicts itself.
    """

    def __init__(self, stream: TapStream, cam: dict[str, Any], head: dict[str, npt.NDArray[Any]]) -> None:
        # By name: a package whose accelerator has a CAM block does not hold it.
        spec, self._arithmetic = (importlib.import_module(f"cam_postproc.{name}") for name in ("spec", "arithmetic"))
        self._spec = spec.CamSpec(
            map_height=stream.height,
            map_width=stream.width,
            channels=stream.channels,
            classes=cam["classes"],
            tap_bits=stream.bits,
            weight_bits=cam["weight_bits"],
            out_height=cam["output"][0],
            out_width=cam["output"][1],
            sampling=cam["sampling"],
            bias_bits=cam["bias_bits"],
            shown=cam["maps_shown"],
        )
        self._bank = self.words(head["fc_weight"], head["bias"])
        self._select, self._gate, self._frame = ARGMAX, NO_GATE, 0

    @property
    def layout(self) -> Any:
        """Of the packets: a `PacketLayout`."""
        return self._spec.layout

    def build_id(self) -> None:
        """No register says one."""

    def forget(self) -> None:
        """The chip was programmed: frames are counted anew."""
        self._frame = 0

    def select(self, value: int) -> None:
        """The class whose map is shown from the next frame on; ARGMAX for the highest logit's."""
        self._select = value

    def gate(self, value: int) -> None:
        """The least logit of the shown class, int32, for a heatmap to be shown."""
        self._gate = value

    def words(
        self, fc_weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None, cam: dict[str, Any] | None = None
    ) -> Any:
        """Checked weights and biases, for `load`.

        Raises:
            Refused: another shape, type or range.
        """
        biases = bias if self._spec.bias_bits or (bias is not None and np.any(bias)) else None
        try:
            return fc_weight, self._arithmetic.check_head(self._spec, fc_weight, biases)
        except CamError as error:
            raise Refused(str(error)) from None

    def load(self, words: Any) -> None:
        """Computes with other weights from the next frame on."""
        self._bank = words

    def packets(self, taps: UInt8) -> UInt8:
        """What the CAM block would have sent for taps, uint8 [N, height, width, channels]: uint8 [N, L]."""
        chosen = None if self._select == ARGMAX else self._select
        weights, bias = self._bank
        found = self._arithmetic.run_cam(
            self._spec, taps, weights, bias, select=chosen, gate=self._gate, first_frame=self._frame
        )
        self._frame = (self._frame + len(taps)) & 0xFFFFFFFF
        return np.asarray(found.packet, dtype=np.uint8)
