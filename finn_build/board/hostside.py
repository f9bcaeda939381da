"""Stands for the project's shared host-side code: a package holds that file, in this place or in `cam_postproc/`."""

from cam_postproc.hostside import (
    Box,
    CamError,
    PacketLayout,
    Packets,
    UInt8,
    decode_packets,
    largest_box,
    resize_image,
    scale_box,
    scale_point,
    softmax_scores,
    unpack_stream,
)

__all__ = [
    "Box",
    "CamError",
    "PacketLayout",
    "Packets",
    "UInt8",
    "decode_packets",
    "largest_box",
    "resize_image",
    "scale_box",
    "scale_point",
    "softmax_scores",
    "unpack_stream",
]
