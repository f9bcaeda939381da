"""The waveform holds the cycles that were asked for, and no others."""

import struct
from shutil import copytree

from finn_build.nodes.wrappers import fifo_wrapper, source
from finn_build.rtl import verilator
from finn_build.rtl.bench import Instance, bench_design
from finn_build.rtl.design import Stream
from finn_build.rtl.verilator import build


def test_a_window_of_cycles_becomes_an_fst_file_in_folders_with_blanks(programs, tmp_path, monkeypatch):
    tmp_path, programs = tmp_path / "my builds", programs / "my builds"
    tmp_path.mkdir()
    environment = copytree(verilator.verilator_folder(), tmp_path / "verilator")
    monkeypatch.setattr(verilator, "verilator_folder", lambda: environment)
    wrapper = tmp_path / "fifo.v"
    wrapper.write_text(fifo_wrapper("fifo", 8, 2))
    stream = Stream("in0_V", 8), Stream("out0_V", 8)
    instance = Instance("fifo", stream[:1], stream[1:], open_ports=("high_water",))
    design = bench_design("wave_bench", [instance], [source("stream_fifo"), wrapper], tmp_path)
    wave = tmp_path / "wave.fst"
    words = bytes(range(250))
    result = build(design, programs, trace=True).run(
        {"fifo_in0_V": words}, {"fifo_out0_V": len(words)}, folder=tmp_path / "run", trace=(wave, 100, 150)
    )
    assert result.status == "done"
    assert result.outputs["fifo_out0_V"] == words
    kind, _, first, last = struct.unpack(">BQQQ", wave.read_bytes()[:25])
    # An FST file begins with its header, block 0; two time steps a cycle.
    assert kind == 0
    assert (first // 2, last // 2) == (100, 149)
