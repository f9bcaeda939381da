"""The CAM block in SystemVerilog: modules in sv/, one a file, and the generator of their parameters and memories."""

from cam_postproc.rtl.sources import (
    BANKS,
    CONTROL,
    cam_wrapper,
    control_address_bits,
    longest_interval,
    longest_latency,
    module_files,
    read_biases,
    read_weights,
    write_block,
)

__all__ = [
    "BANKS",
    "CONTROL",
    "cam_wrapper",
    "control_address_bits",
    "longest_interval",
    "longest_latency",
    "module_files",
    "read_biases",
    "read_weights",
    "write_block",
]
