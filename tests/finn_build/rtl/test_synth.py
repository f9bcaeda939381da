"""Synthesis: what a block takes, that a result is reused for the same content alone, and the DSP path's netlist."""

import pytest
from qonnx.core.modelwrapper import ModelWrapper
from small_accelerator import small_code

from finn_build.errors import ToolFailed
from finn_build.nodes.wrappers import source
from finn_build.rtl.netlist import read_netlist
from finn_build.rtl.netlist_check import prove_netlist
from finn_build.rtl.synth import Resources, count_cells, synthesise, synthesise_blocks, synthesise_whole, total
from finn_build.rtl.top import write_accelerator


def test_primitives_are_counted_as_the_chip_has_them():
    cells = {"LUT6": 3, "LUT6_2": 1, "RAM64M": 2, "SRL16E": 5, "FDRE": 7, "RAMB36E1": 2, "DSP48E1": 4, "CARRY4": 9}
    assert count_cells(cells) == Resources(lut=4, lut_memory=13, ff=7, bram18=4, dsp=4)
    assert (Resources(lut=1) + Resources(lut=2, ff=3)).to_json() == {"LUT": 3, "FF": 3, "BRAM18": 0, "DSP": 0}


@pytest.mark.verify
def test_a_block_is_synthesised_once(programs, tmp_path):
    modules = [source("stream_skid"), source("stream_fork")]
    folder = tmp_path / "kept"
    first = synthesise("fork", "DuplicateStreams", modules, {}, "stream_fork", folder)
    again = synthesise("fork", "DuplicateStreams", modules, {}, "stream_fork", folder)
    # Two words of a byte and two flags for each of two outputs.
    assert first.resources.ff == 2 * (2 * 8 + 2)
    assert (again.seconds, again.digest) == (first.seconds, first.digest)
    changed = tmp_path / "stream_fork.sv"
    changed.write_text(modules[1].read_text().replace("WIDTH   = 8", "WIDTH   = 9"))
    other = synthesise("fork", "DuplicateStreams", [modules[0], changed], {}, "stream_fork", folder)
    assert other.resources.ff == 2 * (2 * 9 + 2)
    changed.write_text("module stream_fork; not SystemVerilog")
    with pytest.raises(ToolFailed, match="yosys ended with status 1"):
        synthesise("fork", "DuplicateStreams", [changed], {}, "stream_fork", folder)


@pytest.fixture(scope="module")
def accelerator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthesis")
    small_code(folder / "code")
    return write_accelerator(read_netlist(ModelWrapper(str(folder / "code" / "graph.onnx")), folder / "code"), folder)


@pytest.mark.verify
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("folding", "dsps"),
    # W4A4: four of FINN's lanes share a DSP, two lanes a chain; 36 products a lane are two chains of 18.
    [({"PE": 4, "SIMD": 3}, 3), ({"PE": 2, "SIMD": 36, "dspStyle": "chain"}, 36)],
    ids=["lanes", "chain"],
)
def test_the_dsp_netlist_computes_what_its_source_computes(folding, dsps, programs, tmp_path):
    code = tmp_path / "code"
    small_code(code, folding={"MVAU_rtl_1": folding})
    accelerator = write_accelerator(read_netlist(ModelWrapper(str(code / "graph.onnx")), code), tmp_path)
    proof = prove_netlist(accelerator, "MVAU_rtl_1", tmp_path, cache=programs)
    assert proof.resources.dsp == dsps
    assert proof.words >= 50


@pytest.mark.verify
@pytest.mark.timeout(3600)
def test_every_block_and_the_whole_synthesise(accelerator, programs):
    blocks = synthesise_blocks(accelerator, programs.parent / "synthesis")
    assert len(blocks) == len(accelerator.netlist.blocks)
    by_name = {block.name: block.resources for block in blocks}
    assert by_name["MVAU_rtl_0"].dsp == 0  # resType lut
    assert all(block.resources.ff for block in blocks)
    whole = synthesise_whole(accelerator, programs.parent / "synthesis").resources
    parts = total(blocks)
    assert whole.dsp == parts.dsp
    assert 0.7 * parts.lut < whole.lut < 1.1 * parts.lut
