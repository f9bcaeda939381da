"""The packet codec: what an accelerator with `head = cam` sends for a frame.

The code lies in `hostside`, which the board's driver shares.
"""

from cam_postproc.hostside import (
    FLAG_CONSTANT,
    FLAG_GATED,
    HEADER_BYTES,
    PACKET_VERSION,
    PacketLayout,
    Packets,
    decode_packets,
    encode_packets,
    shown_classes,
)

__all__ = [
    "FLAG_CONSTANT",
    "FLAG_GATED",
    "HEADER_BYTES",
    "PACKET_VERSION",
    "PacketLayout",
    "Packets",
    "decode_packets",
    "encode_packets",
    "shown_classes",
]
