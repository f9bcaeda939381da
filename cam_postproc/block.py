"""One hardware block for a `CamSpec`: how it is folded, and which of maps and tap it keeps."""

from dataclasses import dataclass
from typing import Literal

from cam_postproc.errors import CamError
from cam_postproc.spec import CamSpec

Storage = Literal["maps", "tap"]

MAX_BEAT_BITS = 1024


@dataclass(frozen=True)
class CamBlock:
    """A specification and how much of it is done in one cycle.

    Args:
        spec: what is computed.
        pe: channels in an input beat; divides the channels.
        class_pe: classes computed at a time; divides the classes.
        storage: "maps" keeps every class's map; "tap" keeps the tap, sums it over the map for the logits, and computes
            the shown classes' maps afterwards.
        runtime_weights: weights and biases come from two banks that a host writes, instead of ROM.
        out_bytes: bytes in an output beat; 1, 2, 4 or 8.

    Raises:
        CamError: a fold that does not divide, an output beat of another size, or an output narrower than the map.
    """

    spec: CamSpec
    pe: int = 1
    class_pe: int = 1
    storage: Storage = "maps"
    runtime_weights: bool = False
    out_bytes: int = 1

    def __post_init__(self) -> None:
        for name, value, whole in (
            ("pe", self.pe, self.spec.channels),
            ("class_pe", self.class_pe, self.spec.classes),
            ("out_bytes", self.out_bytes, 8),
        ):
            if value < 1 or whole % value:
                raise CamError(f"CAM {name}", f"a divisor of {whole}", str(value), "correct the folding")
        if self.pe * self.spec.tap_bits > MAX_BEAT_BITS:
            got = f"{self.pe * self.spec.tap_bits} bits"
            raise CamError("CAM pe", f"an input beat of at most {MAX_BEAT_BITS} bits", got, "lower pe")
        if self.storage not in ("maps", "tap"):
            raise CamError("CAM storage", "maps or tap", repr(self.storage), "correct the block's storage")
        if self.spec.out_width < self.spec.map_width:
            got = f"{self.spec.out_width} for {self.spec.map_width}"
            raise CamError("CAM out_width", "a heatmap at least as wide as the map", got, "enlarge [cam] output")

    @property
    def channel_fold(self) -> int:
        """Beats in one pixel."""
        return self.spec.channels // self.pe

    @property
    def class_fold(self) -> int:
        """Groups of classes."""
        return self.spec.classes // self.class_pe

    @property
    def beat_bits(self) -> int:
        """Of an input beat."""
        return self.pe * self.spec.tap_bits

    @property
    def pool_bits(self) -> int:
        """Of a channel's sum over the map, unsigned."""
        return (self.spec.pixels * ((1 << self.spec.tap_bits) - 1)).bit_length()

    @property
    def weight_words(self) -> int:
        """32-bit words of a bank's weights: weight (c, k) is byte c·C + k, an INT8."""
        return -(-self.spec.classes * self.spec.channels // 4)

    @property
    def bank_words(self) -> int:
        """32-bit words of a bank: weights, then one int32 bias a class if there are biases."""
        return self.weight_words + (self.spec.classes if self.spec.bias_bits else 0)
