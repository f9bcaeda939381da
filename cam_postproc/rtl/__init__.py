"""The CAM block in SystemVerilog: modules in sv/, one a file, and the generator of their parameters and memories."""

from cam_postproc.rtl.sources import cam_wrapper, longest_interval, module_files, read_biases, read_weights, write_block

__all__ = ["cam_wrapper", "longest_interval", "module_files", "read_biases", "read_weights", "write_block"]
