"""The CAM block as streaming HLS C++: sources, C simulation, test bench and Vitis HLS script.

`sources.write_sources` writes a folder that needs nothing else; `csim.CamCsim` compiles it with g++ and runs it.
"""
