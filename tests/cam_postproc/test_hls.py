import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cam_postproc.hls.csim as csim_module
from cam_postproc.arithmetic import run_cam
from cam_postproc.block import CamBlock
from cam_postproc.cost import bram18, choose_block, estimate_cost, storage_memory
from cam_postproc.errors import CamError
from cam_postproc.hls.csim import CamCsim, build_library, compile_cpp, find_ap_types, find_compiler
from cam_postproc.hls.golden import write_golden
from cam_postproc.hls.sources import fold_weights, pack_bank, write_sources
from cam_postproc.reference import heatmap_float64
from cam_postproc.spec import NO_GATE, CamSpec

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="C simulation needs g++")

RESNET8 = CamSpec(8, 8, 128, 10, 5, 5, 32, 32)


def expect(spec, tap, weight, bias, select=None, gate=NO_GATE, first_frame=0):
    """The specification's result, frame by frame where registers change from frame to frame."""
    selects = select if isinstance(select, list) else [select] * len(tap)
    gates = gate if isinstance(gate, list) else [gate] * len(tap)
    return [
        run_cam(spec, tap[n : n + 1], weight, bias, select=selects[n], gate=gates[n], first_frame=first_frame + n)
        for n in range(len(tap))
    ]


def assert_equal(got, frames):
    for name in ("packet", "logits", "heatmap", "heatmaps", "peak", "gated", "constant", "shown_classes"):
        expected = np.concatenate([getattr(frame, name) for frame in frames])
        assert got[name].shape == expected.shape, name
        assert (got[name] == expected).all(), name
    assert (got["class"] == np.concatenate([frame.class_index for frame in frames])).all()
    maps = np.concatenate([frame.maps for frame in frames])
    shown = np.concatenate([frame.shown_classes for frame in frames])
    assert (got["shown_maps"] == maps[np.arange(len(maps))[:, None], shown]).all()
    if "maps" in got:
        assert (got["maps"] == maps).all()


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("csim")


def test_resnet8_in_rom_equals_the_specification(synthetic, cache_dir):
    weight, bias = synthetic.head(RESNET8, 1)
    block = choose_block(RESNET8)
    assert (block.storage, block.class_pe) == ("maps", 10)
    tap = synthetic.tap(RESNET8, 1, 8)
    tap[3] = 9
    tap[4, 2:] = 0
    simulation = CamCsim(block, weight, bias, cache_dir)
    select = [None, 0, 9, None, None, 3, None, 5]
    gate = [NO_GATE, 0, 0, 2**31 - 1, -500, 10**6, -(10**6), 0]
    got = simulation.run(tap, select=select, gate=gate)
    frames = expect(RESNET8, tap, weight, bias, select, gate)
    assert_equal(got, frames)
    assert {bool(f.gated[0]) for f in frames} == {False, True}
    # The frame counter goes on from call to call, and back to its start after reset.
    assert simulation.run(tap[:1])["frame"].tolist() == [8]
    simulation.reset(2**32 - 1)
    assert simulation.run(tap[:2])["frame"].tolist() == [2**32 - 1, 0]
    assert simulation.build_id != 0


def test_maps_with_folded_classes_and_two_banks(synthetic, cache_dir):
    spec = CamSpec(4, 5, 24, 6, 3, 4, 33, 20, sampling="top-left", bias_bits=14, shown=3)
    block = CamBlock(spec, pe=4, class_pe=2, storage="maps", runtime_weights=True, out_bytes=2)
    check_banks(synthetic, cache_dir, spec, block)


def test_tap_storage_with_two_banks(synthetic, cache_dir):
    spec = CamSpec(5, 4, 24, 6, 2, 8, 20, 33, bias_bits=32, shown=2)
    block = CamBlock(spec, pe=8, class_pe=3, storage="tap", runtime_weights=True, out_bytes=8)
    check_banks(synthetic, cache_dir, spec, block)


def check_banks(synthetic, cache_dir, spec, block):
    """Frames of both banks without a gap; one flipped weight shows; the idle bank is written while the other works."""
    heads = [synthetic.head(spec, seed) for seed in (1, 2, 3)]
    tap = synthetic.tap(spec, 4, 6)
    simulation = CamCsim(block, *heads[0], cache_dir)
    simulation.load_bank(1, *heads[1])
    order = [0, 0, 1, 0, 1, 1]
    got = simulation.run(tap, bank=order)
    frames = [expect(spec, tap[n : n + 1], *heads[bank], first_frame=n)[0] for n, bank in enumerate(order)]
    assert_equal(got, frames)
    simulation.load_bank(0, *heads[2])
    got = simulation.run(tap[:2], bank=[1, 0])
    frames = [expect(spec, tap[n : n + 1], *heads[n + 1], first_frame=6 + n)[0] for n in range(2)]
    assert_equal(got, frames)
    flipped = heads[1][0].copy()
    flipped[-1, -1] ^= 1
    simulation.load_bank(1, flipped, heads[1][1])
    assert (simulation.run(tap[:1], bank=1)["logits"] != expect(spec, tap[:1], *heads[1])[0].logits).any()
    with pytest.raises(CamError, match="0 or 1"):
        simulation.load_bank(2, *heads[1])


def test_the_widest_ranges(synthetic, cache_dir):
    spec = CamSpec(16, 16, 512, 2, 8, 8, 96, 224, bias_bits=32)
    block = CamBlock(spec, pe=16, class_pe=1, storage="maps", out_bytes=4)
    weight, tap = synthetic.extreme(spec)
    bias = np.array([-(2**31), 2**31 - 1], dtype=np.int32)
    tap = np.concatenate([tap, synthetic.tap(spec, 1, 2)])
    got = CamCsim(block, weight, bias, cache_dir).run(tap, select=[None, 0, 1, 0])
    assert_equal(got, expect(spec, tap, weight, bias, [None, 0, 1, 0]))
    assert got["logits"].min() == -(2**31)
    assert got["logits"].max() == 2**31 - 1


def test_a_thousand_classes_keep_the_tap(synthetic, cache_dir):
    spec = CamSpec(14, 14, 32, 1000, 4, 4, 224, 224)
    block = choose_block(spec, pe=8)
    assert block.storage == "tap"
    weight, bias = synthetic.head(spec, 1)
    tap = synthetic.tap(spec, 1, 2)
    got = CamCsim(block, weight, bias, cache_dir).run(tap, select=[None, 999])
    assert_equal(got, expect(spec, tap, weight, bias, [None, 999]))


def test_one_pixel_maps_and_single_beats(synthetic, cache_dir):
    spec = CamSpec(1, 1, 3, 2, 1, 2, 1, 1)
    block = CamBlock(spec, pe=3, class_pe=2, storage="tap")
    weight, bias = synthetic.head(spec, 1)
    tap = synthetic.tap(spec, 1, 3)
    assert_equal(CamCsim(block, weight, bias, cache_dir).run(tap), expect(spec, tap, weight, bias))


def test_the_stand_alone_test_bench_passes_and_fails(synthetic, tmp_path):
    spec = CamSpec(4, 4, 16, 4, 4, 4, 8, 8)
    block = CamBlock(spec, pe=2, class_pe=4, runtime_weights=True)
    heads = [synthetic.head(spec, seed) for seed in (1, 2)]
    tap = synthetic.tap(spec, 1, 3)
    bank, select, gate = [0, 1, 0], [0xFFFFFFFF, 2, 1], [NO_GATE, NO_GATE, 2**31 - 1]
    frames = [
        run_cam(spec, tap[n : n + 1], *heads[bank[n]], select=[None, 2, 1][n], gate=gate[n], first_frame=n)
        for n in range(3)
    ]
    packet = np.concatenate([frame.packet for frame in frames])
    write_sources(block, None, None, tmp_path)
    compile_cpp(
        find_compiler()[0], ["cam_top.cpp", "cam_tb.cpp"], ["-Werror"], find_ap_types(), tmp_path, tmp_path / "tb"
    )

    def run(packet, banks):
        write_golden(block, tap, packet, tmp_path, select=select, gate=gate, bank=bank, banks=banks)
        return subprocess.run(["./tb"], cwd=tmp_path, capture_output=True, text=True, check=False)

    banks = np.concatenate([pack_bank(block, *head) for head in heads])
    done = run(packet, banks)
    assert (done.returncode, done.stdout) == (0, "3 frames, 0 wrong bytes: passed\n")
    wrong = packet.copy()
    wrong[1, 40] ^= 1
    done = run(wrong, banks)
    assert done.returncode == 1
    assert "frame 1 byte 40: expected" in done.stdout
    assert run(packet, banks[::-1].copy()).returncode == 1
    (tmp_path / "golden.txt").write_text("3 1 5")
    assert subprocess.run(["./tb"], cwd=tmp_path, capture_output=True, check=False).returncode == 2


def test_a_build_is_found_again_and_anything_changed_builds_anew(synthetic, tmp_path, monkeypatch):
    spec = CamSpec(2, 2, 4, 2, 2, 2, 2, 2)
    weight, bias = synthetic.head(spec, 1)
    calls = []
    monkeypatch.setattr(csim_module, "compile_cpp", lambda *args: calls.append(args) or Path(args[-1]).touch())
    first = build_library(CamBlock(spec), weight, bias, tmp_path)
    assert build_library(CamBlock(spec), weight, bias, tmp_path) == first
    assert len(calls) == 1
    other = weight.copy()
    other[0, 0] = 1 if weight[0, 0] != 1 else 0
    assert build_library(CamBlock(spec), other, bias, tmp_path) != first
    assert build_library(CamBlock(spec, pe=2), weight, bias, tmp_path) != first
    assert len(calls) == 3
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("cam-")) == []


def test_sources_are_deterministic_and_complete(synthetic, tmp_path):
    weight, bias = synthetic.head(RESNET8, 1)
    block = choose_block(RESNET8)
    first = {p.name: p.read_bytes() for p in write_sources(block, weight, bias, tmp_path / "a")}
    second = {p.name: p.read_bytes() for p in write_sources(block, weight, bias, tmp_path / "b")}
    assert first == second
    header = first["cam_config.h"].decode()
    for name in (
        "MAP_BITS = 17",
        "RANGE_BITS = 17",
        "COLUMN_FRACTION_BITS = 3",
        "LEVEL_BITS = 16",
        "LOGIT_SUM_BITS = 23",
    ):
        assert name in header
    for include in re.findall(r'#include "([^"]+)"', "".join(text.decode() for text in first.values())):
        assert include in first
    assert "set_part xc7z020clg400-1" in first["run_hls.tcl"].decode()
    assert "create_clock -period 10 " in first["run_hls.tcl"].decode()
    assert b"offset=0x10" in first["cam_top.cpp"]


def test_the_order_of_weights_in_rom_and_bank(synthetic):
    spec = CamSpec(4, 4, 6, 4, 4, 4, 8, 8, bias_bits=8)
    weight, bias = synthetic.head(spec, 1)
    folded = fold_weights(CamBlock(spec, pe=3, class_pe=2), weight)
    for c in range(4):
        for k in range(6):
            assert folded[c // 2 * 2 + k // 3, c % 2, k % 3] == weight[c, k]
    words = pack_bank(CamBlock(spec), weight, bias)
    assert words[:6].tobytes() == weight.tobytes()
    assert words[6:].view(np.int32).tolist() == bias.tolist()


def test_missing_tools_and_broken_sources_are_one_line(synthetic, tmp_path, monkeypatch):
    weight, bias = synthetic.head(RESNET8, 1)
    block = choose_block(RESNET8)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(CamError, match=r"^CAM C simulation: expected g\+\+ on PATH.*apt install g\+\+$"):
            CamCsim(block, weight, bias, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(csim_module.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(CamError, match="pip install --no-deps hls4ml"):
            CamCsim(block, weight, bias, tmp_path)
    (tmp_path / "bad.cpp").write_text("int f() { return nothing; }\n")
    with pytest.raises(CamError, match=r"got bad.cpp:1:18: error: .nothing. was not declared") as caught:
        compile_cpp(find_compiler()[0], ["bad.cpp"], ["-shared"], find_ap_types(), tmp_path, tmp_path / "bad.so")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pe": 3}, "CAM pe: expected a divisor of 128, got 3"),
        ({"class_pe": 4}, "CAM class_pe: expected a divisor of 10, got 4"),
        ({"out_bytes": 3}, "CAM out_bytes: expected a divisor of 8, got 3"),
        ({"storage": "both"}, "maps or tap"),
        ({"spec": replace(RESNET8, out_width=7)}, "at least as wide as the map"),
        ({"spec": replace(RESNET8, channels=512, tap_bits=8), "pe": 256}, "at most 1024 bits"),
    ],
)
def test_blocks_that_cannot_be_built(change, expected):
    with pytest.raises(CamError, match=re.escape(expected)):
        CamBlock(**{"spec": RESNET8, **change})


def test_bad_heads_and_registers(synthetic, tmp_path, cache_dir):
    weight, bias = synthetic.head(RESNET8, 1)
    block = choose_block(RESNET8)
    with pytest.raises(CamError, match="got None"):
        write_sources(block, None, None, tmp_path)
    with pytest.raises(CamError, match="FC weights: expected values from -16 to 15"):
        write_sources(block, np.full((10, 128), 16, dtype=np.int8), None, tmp_path)
    simulation = CamCsim(block, weight, bias, cache_dir)
    tap = synthetic.tap(RESNET8, 1, 2)
    for arguments, expected in (
        ({"select": 10}, "class select"),
        ({"select": [1]}, "2 values, one a frame"),
        ({"gate": 2**40}, "gate"),
    ):
        with pytest.raises(CamError, match=expected):
            simulation.run(tap, **arguments)
    with pytest.raises(CamError, match="tap: expected uint8"):
        simulation.run(tap.astype(np.float32))
    with pytest.raises(CamError, match="weights in ROM"):
        simulation.load_bank(0, weight)
    with pytest.raises(CamError, match="golden packets"):
        write_golden(block, tap, np.zeros((2, 3), dtype=np.uint8), tmp_path)
    runtime = replace(block, runtime_weights=True)
    with pytest.raises(CamError, match="golden banks"):
        write_golden(runtime, tap, np.zeros((2, 1080), dtype=np.uint8), tmp_path)


def test_the_example_of_the_page_runs(synthetic, tmp_path, monkeypatch):
    page = (Path(csim_module.__file__).parent / "README.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.S)[1]
    weight, bias = synthetic.head(RESNET8, 1)
    names = {"fc_weight": weight, "bias": bias, "tap": synthetic.tap(RESNET8, 1, 2)}
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - the page's own code
    assert (names["result"]["packet"] == names["expected"].packet).all()
    assert (tmp_path / "cam" / "golden.txt").is_file()


def test_the_page_script_and_sources_agree(synthetic, tmp_path):
    page = (Path(csim_module.__file__).parent / "README.md").read_text()
    told = dict(re.findall(r"^\| (0x\w+) \| ([a-z ]+) \|", page, re.M))
    block = CamBlock(RESNET8, pe=4, runtime_weights=True)
    sources = {path.name: path.read_text() for path in write_sources(block, None, None, tmp_path)}
    offsets = dict(re.findall(r"s_axilite port=(\w+) offset=(0x\w+)", sources["cam_top.cpp"]))
    names = {"class_select": "class select", "gate": "gate", "active_bank": "active bank", "build_id": "build id"}
    assert {offset: names.get(port, "banks") for port, offset in offsets.items()} == told
    # What the script names is there, and the top that it sets is the header's.
    script = sources["run_hls.tcl"]
    named = re.findall(r"^add_files (?:-tb )?(\S+)", script, re.M)
    write_golden(
        block,
        synthetic.tap(RESNET8, 1, 1),
        np.zeros((1, 1080), np.uint8),
        tmp_path,
        banks=np.zeros(2 * block.bank_words, np.uint32),
    )
    assert named == ["cam_top.cpp", "cam_tb.cpp", "golden.txt"]
    assert all((tmp_path / name).is_file() for name in named)
    (top,) = re.findall(r"^set_top (\w+)", script, re.M)
    assert f"void {top}(" in sources["cam_top.h"]
    steps = ["csim_design", "csynth_design", "cosim_design", "export_design"]
    assert [word for word in script.split() if word in steps] == steps


def test_storage_is_the_smaller_one_in_block_rams():
    ten_maps = storage_memory(RESNET8, 1, "maps")
    assert (ten_maps.bram18, ten_maps.bits) == (2, 2 * 640 * 17)
    thousand = CamSpec(14, 14, 512, 1000, 5, 5, 224, 224)
    assert storage_memory(thousand, 1, "maps").bram18 > 5 * storage_memory(thousand, 8, "tap").bram18
    assert (bram18(18, 1024), bram18(18, 1025), bram18(36, 512), bram18(1, 16384), bram18(37, 512)) == (1, 2, 1, 1, 2)


def test_cycles_follow_from_the_loops():
    cost = estimate_cost(choose_block(RESNET8))
    assert cost.interval == cost.cycles["accumulate"] == 8 * 8 * 128
    assert cost.cycles["emit"] == 16 + 40 + 32 * 33 + 0 + RESNET8.layout.length - RESNET8.layout.used_bytes
    faster = choose_block(RESNET8, pe=8)
    assert estimate_cost(faster).interval < 1400
    slow = choose_block(RESNET8, pe=8, target_cycles=10_000)
    assert (slow.class_pe, estimate_cost(slow).interval) == (2, 8 * 8 * 16 * 5)
    assert choose_block(RESNET8, pe=8, target_cycles=10_240).class_pe == 1
    assert [m.count for m in cost.multipliers if m.name == "maps"] == [10]
    assert cost.bram18 >= 2
    tap = estimate_cost(replace(faster, storage="tap"))
    assert tap.cycles["gather"] == 8 * 8 * 16


@st.composite
def blocks(draw):
    size = draw(st.sampled_from([4, 7, 8, 14, 16]))
    channels = draw(st.sampled_from([16, 32, 48, 64, 128, 256, 512]))
    classes = draw(st.one_of(st.integers(2, 24), st.sampled_from([100, 200, 1000])))
    tap_bits = draw(st.integers(2, 8))
    out = draw(st.sampled_from([32, 64, 96, 224]))
    spec = CamSpec(
        map_height=size,
        map_width=draw(st.sampled_from([size, size, 4, 7])),
        channels=channels,
        classes=classes,
        tap_bits=tap_bits,
        weight_bits=draw(st.integers(2, 8)),
        out_height=out,
        out_width=draw(st.sampled_from([out, out, 50])),
        sampling=draw(st.sampled_from(["half-pixel", "top-left"])),
        bias_bits=draw(st.sampled_from([0, 0, 16, 32])),
        shown=draw(st.sampled_from([1, 1, 1, 2])),
    )
    pes = [n for n in (1, 2, 4, 8, 16) if channels % n == 0 and n * tap_bits <= 128]
    class_pes = [n for n in range(1, 21) if classes % n == 0]
    return CamBlock(
        spec,
        pe=draw(st.sampled_from(pes)),
        class_pe=draw(st.sampled_from(class_pes)),
        storage=draw(st.sampled_from(["maps", "tap"] if classes <= 100 else ["tap"])),
        runtime_weights=draw(st.booleans()),
        out_bytes=draw(st.sampled_from([1, 2, 4, 8])),
    )


def check_block(block, seed, synthetic, cache_dir):
    """Random, constant and extreme frames back to back, random registers and banks: exact against the specification.

    The specification in turn stays within a level of float64.
    """
    spec = block.spec
    rng = np.random.default_rng(seed)
    weight, bias = synthetic.head(spec, seed)
    if seed % 4 == 0:
        weight = synthetic.extreme(spec)[0]
    tap = np.concatenate([synthetic.tap(spec, seed, 3), synthetic.extreme(spec)[1]])
    tap[1] = rng.integers(0, 1 << spec.tap_bits)
    free = run_cam(spec, tap, weight, bias)
    select = [None if rng.random() < 0.5 else int(rng.integers(spec.classes)) for _ in tap]
    gate = [int(rng.choice([NO_GATE, int(np.median(free.logits)), 2**31 - 1], p=[0.6, 0.3, 0.1])) for _ in tap]
    simulation = CamCsim(block, weight, bias, cache_dir)
    frames = expect(spec, tap, weight, bias, select, gate)
    bank = [0] * len(tap)
    if block.runtime_weights:
        other = synthetic.head(spec, seed + 1)
        simulation.load_bank(1, *other)
        bank = rng.integers(0, 2, len(tap)).tolist()
        second = expect(spec, tap, *other, select, gate)
        frames = [(first, last)[chosen] for first, last, chosen in zip(frames, second, bank, strict=True)]
    assert_equal(simulation.run(tap, select=select, gate=gate, bank=bank), frames)
    for frame in frames:
        if not frame.gated[0]:
            exact = heatmap_float64(spec, frame.maps[0][frame.shown_classes[0]])
            assert np.abs(frame.heatmaps[0] - exact).max() <= spec.heatmap_error_bound < 1


SAMPLE = (
    # The widest ranges of everything that is a width, on the largest map; two banks.
    CamBlock(
        CamSpec(16, 16, 512, 2, 8, 8, 224, 224, bias_bits=32), pe=16, storage="maps", runtime_weights=True, out_bytes=8
    ),
    # A map that no size is a multiple of, and the smallest types; top-k.
    CamBlock(CamSpec(7, 7, 16, 7, 2, 2, 96, 96, sampling="top-left", shown=2), pe=2, class_pe=7, storage="tap"),
)


@pytest.mark.parametrize("block", SAMPLE, ids=["widest", "smallest"])
def test_a_sample_of_the_space_equals_the_specification(block, synthetic, cache_dir):
    check_block(block, 4, synthetic, cache_dir)


@pytest.mark.verify
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(block=blocks(), seed=st.integers(0, 999))
def test_the_whole_space_equals_the_specification(block, seed, synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    check_block(block, seed, synthetic, folder)
    shutil.rmtree(folder)


@pytest.mark.verify
def test_a_frame_of_resnet8_takes_at_most_2_ms(synthetic, cache_dir, bar):
    weight, bias = synthetic.head(RESNET8, 1)
    tap = synthetic.tap(RESNET8, 1, 200)
    simulation = CamCsim(choose_block(RESNET8), weight, bias, cache_dir)
    times = []
    for _ in range(5):
        # Processor time: what a core of one's own would take, however busy this machine is.
        start = time.process_time()
        simulation.run(tap)
        times.append((time.process_time() - start) / len(tap))
    bar("C simulation of a frame of resnet8_5w5a, ms", round(1e3 * min(times), 3), "<=", 2)
