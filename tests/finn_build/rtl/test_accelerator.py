"""A whole residual accelerator with its CAM block: exact with pauses, and each fault caught by name."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from small_accelerator import PACKET_BYTES, golden_set, small_code

from finn_build.errors import CheckFailed, UserError
from finn_build.rtl.design import Run, Side
from finn_build.rtl.golden import compare
from finn_build.rtl.library import MENDS, mended, rtl_library
from finn_build.rtl.netlist import read_netlist
from finn_build.rtl.simulate import simulate
from finn_build.rtl.stuck import describe_stuck
from finn_build.rtl.top import write_accelerator
from finn_build.rtl.verilator import build


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    small_code(folder / "code")
    golden_set(folder / "golden.npz")
    return folder


def run(made, tmp_path, programs, code=None, golden=None, **options):
    code = code or made / "code"
    return simulate(code / "graph.onnx", code, golden or made / "golden.npz", tmp_path, cache=programs, **options)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_byte_of_every_packet_is_right(made, tmp_path, programs, seed):
    result = run(made, tmp_path, programs, images=6, stalls_seed=seed)
    assert (result.images, result.values, result.mismatches) == (6, 6 * PACKET_BYTES, 0)
    assert result.interval_cycles < result.latency_cycles
    report = json.loads(json.dumps(result.to_json()))
    assert {"fps", "cycles_per_second", "latency_cycles", "interval_cycles"} <= set(report)
    assert all(0 < fifo["high_water"] <= fifo["depth"] for fifo in report["fifos"])
    assert all(len(row.last) >= 6 for row in result.timeline)


def test_a_program_is_built_once(made, tmp_path, programs):
    run(made, tmp_path, programs, images=1)
    told = []
    result = run(made, tmp_path / "again", programs, images=300, on_progress=lambda share, left: told.append(share))
    assert result.build_seconds == 0
    assert result.mismatches == 0
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MVAU_rtl_1/memblock.dat", r"weights of MVAU_rtl_1 at \[\d+, \d+\]: -?\d+ in the generated file, -?\d+ in"),
        ("Thresholding_rtl_2/Thresholding_rtl_2_threshs_0_3.dat", r"thresholds of Thresholding_rtl_2 at \[\d+, \d+\]"),
        ("ClassActivationMap_rtl_0/ClassActivationMap_rtl_0_weights.dat", r"weights of ClassActivationMap_rtl_0 at "),
    ],
)
def test_a_wrong_word_in_a_memory_file_is_named(made, tmp_path, programs, name, told):
    code = shutil.copytree(made / "code", tmp_path / "code")
    words = (code / name).read_text().split()
    words[5] = f"{int(words[5], 16) ^ 1:0{len(words[5])}x}"
    (code / name).write_text("\n".join(words) + "\n")
    with pytest.raises(CheckFailed, match=told):
        run(made, tmp_path, programs, code)


@pytest.mark.parametrize("name", ["MVAU_rtl_0/memblock.dat", "Thresholding_rtl_2/Thresholding_rtl_2_threshs_0_3.dat"])
def test_a_missing_or_empty_memory_file_is_named(made, tmp_path, programs, name):
    code = shutil.copytree(made / "code", tmp_path / "code")
    (code / name).write_text("")
    with pytest.raises(CheckFailed, match=f"{name} is missing or empty"):
        run(made, tmp_path, programs, code)
    (code / name).unlink()
    with pytest.raises(CheckFailed, match=f"{name} is missing or empty"):
        run(made, tmp_path, programs, code)


def test_a_short_memory_file_is_named(made, tmp_path, programs):
    code = shutil.copytree(made / "code", tmp_path / "code")
    memory = code / "MVAU_rtl_1" / "memblock.dat"
    memory.write_text("\n".join(memory.read_text().split()[:-2]) + "\n")
    with pytest.raises(CheckFailed, match=r"memblock\.dat has 10 words instead of 12"):
        run(made, tmp_path, programs, code)


def test_swapped_lanes_are_seen(made, tmp_path, programs):
    with np.load(made / "golden.npz") as file:
        arrays = dict(file)
    arrays["images"] = arrays["images"][..., ::-1]
    np.savez(tmp_path / "swapped.npz", **arrays)
    result = run(made, tmp_path, programs, golden=tmp_path / "swapped.npz", images=4)
    assert result.mismatches > 0


def test_swapped_byte_lanes_are_named():
    words = bytes(range(32))
    turned = np.frombuffer(words, np.uint8).reshape(-1, 4)
    assert compare(words, words, 2).first is None
    found = compare(turned[:, ::-1].tobytes(), words, 2)
    assert (found.values, found.mismatches) == (32, 32)
    assert found.first == "image 0, byte 0: 3 instead of 0; the 4 byte lanes of a word are reversed"
    assert "lanes" not in compare(turned[::-1].tobytes(), words, 2).first
    assert compare(words[:20], words, 2).first == "the last 12 bytes did not come"


def test_a_golden_set_of_another_network_is_refused(made, tmp_path, programs):
    with np.load(made / "golden.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "other.npz", **{**arrays, "packet": arrays["packet"][:, :-8]})
    with pytest.raises(UserError, match=f"golden set: expected {PACKET_BYTES}"):
        run(made, tmp_path, programs, golden=tmp_path / "other.npz")


def test_a_join_that_waits_for_one_branch_while_the_other_is_full_is_named(made):
    netlist = read_netlist(ModelWrapper(str(made / "code" / "graph.onnx")), made / "code")
    still = Side(words=5, first=(), last=(), valid=False, ready=False)
    sides = {edge.tensor: still for edge in netlist.edges} | {"out0_V": still}
    add = next(block for block in netlist.blocks if block.op == "ElementwiseAdd")
    fork = next(block for block in netlist.blocks if block.op == "DuplicateStreams")
    sides[add.inputs[0].tensor] = replace(still, ready=True)
    sides[add.inputs[1].tensor] = sides[fork.outputs[1].tensor] = replace(still, valid=True)
    stuck = Run("stuck", 77, 1.0, False, {}, sides, {block.name: block.depth for block in netlist.blocks})
    message = describe_stuck(netlist, stuck)
    assert message.startswith("nothing moved any more after 5 words of the output, at cycle 77; ")
    assert f"{add.name} waits for a word of {netlist_producer(netlist, add.inputs[0].tensor)} while" in message
    assert f"from {fork.name} through StreamingFIFO_rtl_7 (depth 32), StreamingFIFO_rtl_10 (depth 32)" in message
    assert f"{fork.name} cannot hand on to StreamingFIFO_rtl_7" in message


def netlist_producer(netlist, tensor):
    return next(edge.producer[0] for edge in netlist.edges if edge.tensor == tensor)


@pytest.mark.verify
def test_a_bypass_that_is_too_shallow_is_named(tmp_path, programs, made):
    small_code(tmp_path / "code", bypass_words=4)
    with pytest.raises(CheckFailed) as caught:
        run(made, tmp_path, programs, tmp_path / "code", idle_cycles=3000)
    message = str(caught.value)
    assert "nothing moved any more after 0 words" in message
    assert "ElementwiseAdd_rtl_0 waits for a word of StreamingFIFO_rtl_17 while the branch" in message
    assert "from DuplicateStreams_rtl_0 through StreamingFIFO_rtl_7 (depth 4)" in message
    assert "StreamingFIFO_rtl_0 (" not in message


def test_an_image_that_ends_early_is_named(made, tmp_path, programs):
    netlist = read_netlist(ModelWrapper(str(made / "code" / "graph.onnx")), made / "code")
    accelerator = write_accelerator(netlist, tmp_path)
    simulator = build(accelerator.design(), programs)
    result = simulator.run(
        {"in0_V": bytes(netlist.input.words - 7)}, {"out0_V": netlist.output.words}, folder=tmp_path,
        work=made / "code", idle_cycles=5000,
    )  # fmt: skip
    assert result.status == "stuck"
    whole = netlist.input.words
    assert f"; the input ended after {whole - 7} of an image's {whole} words; " in describe_stuck(netlist, result)


def test_what_is_simulated_is_what_was_generated(made, tmp_path):
    netlist = read_netlist(ModelWrapper(str(made / "code" / "graph.onnx")), made / "code")
    accelerator = write_accelerator(netlist, tmp_path)
    generated = {file.name: file for block in netlist.blocks for file in block.sources}
    assert {path.name for path in accelerator.sources} == {*generated, "accelerator.sv"}
    for path in accelerator.sources[:-1]:
        original = generated[path.name].read_text()
        if generated[path.name].is_relative_to(rtl_library()):
            assert path.read_text() == mended(path.name, original)
        else:
            # Only the folder in front of a memory's name is added.
            folder = generated[path.name].parent.name
            assert path.read_text().replace(f'"{folder}/', '"') == original.replace('"./', '"').replace(
                f'"{folder}/', '"'
            )


def test_a_mend_that_no_longer_fits_says_so():
    for mend in MENDS:
        found = list(rtl_library().rglob(f"hdl/{mend.file}")) or list(rtl_library().rglob(mend.file))
        assert mended(mend.file, found[0].read_text()) != found[0].read_text()
    with pytest.raises(UserError, match=r"FINN's fifo\.sv: expected 1 times the text to mend"):
        mended("fifo.sv", "module fifo; endmodule")


@pytest.mark.verify
def test_the_cpp_behind_the_tap_gives_the_same_packets(made, tmp_path, programs):
    result = run(made, tmp_path, programs, images=6, cam_backend="hls", stalls_seed=3)
    assert (result.values, result.mismatches) == (6 * PACKET_BYTES, 0)
