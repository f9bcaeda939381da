"""The emulated board's own half: a pynq device on which the packaged driver runs unchanged.

It runs in `.venv-board`, where only numpy and pynq are, and reaches the accelerator's model through a socket. It proves
protocol and data layout: registers, addresses, cache maintenance, packets. It proves neither timing nor a bitstream.
"""
