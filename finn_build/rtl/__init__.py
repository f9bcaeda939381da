"""The accelerator as RTL: module tests, the whole top, its simulation in Verilator and its synthesis in Yosys."""
