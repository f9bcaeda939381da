"""The SystemVerilog block against the integer model, bit for bit: sizes, folds, registers, pauses, back to back."""

from itertools import pairwise

import numpy as np
import pytest

from cam_postproc.arithmetic import run_cam
from cam_postproc.block import CamBlock
from cam_postproc.errors import CamError
from cam_postproc.hls.sources import pack_bank
from cam_postproc.rtl import CONTROL, control_address_bits, longest_interval, longest_latency, module_files, write_block
from cam_postproc.spec import ARGMAX, NO_GATE, CamSpec
from finn_build.rtl.bench import Instance, bench_design
from finn_build.rtl.design import Access, Stream
from finn_build.rtl.verilator import build
from finn_build.rtl.words import pack_words

# Each block differs from the others in something that changes the hardware.
BLOCKS = {
    "plain": CamBlock(CamSpec(8, 8, 16, 10, 5, 5, 32, 32), pe=4, class_pe=2),
    "biased": CamBlock(CamSpec(4, 4, 8, 6, 6, 6, 16, 16, bias_bits=9), pe=1, class_pe=3),
    "oblong": CamBlock(CamSpec(3, 5, 12, 7, 4, 3, 14, 9, shown=3), pe=3, class_pe=7),
    "inexact": CamBlock(CamSpec(7, 7, 4, 3, 8, 8, 24, 30, sampling="top-left"), pe=2, class_pe=1, out_bytes=4),
    "pixel": CamBlock(CamSpec(1, 1, 6, 2, 1, 2, 5, 3, shown=2), pe=6, class_pe=2, out_bytes=8),
    "loaded": CamBlock(CamSpec(5, 4, 12, 6, 5, 4, 10, 8, bias_bits=12), pe=3, class_pe=2, runtime_weights=True),
    "unbiased": CamBlock(CamSpec(2, 3, 3, 5, 4, 7, 6, 6), pe=3, class_pe=5, runtime_weights=True),
    "same": CamBlock(CamSpec(6, 4, 2, 5, 3, 4, 6, 4, bias_bits=32), pe=2, class_pe=1),
}
FRAMES = 6


def head(block, seed):
    spec, rng = block.spec, np.random.default_rng(seed)
    half = 1 << (spec.weight_bits - 1)
    weight = rng.integers(-half, half, (spec.classes, spec.channels)).astype(np.int8)
    weight[0] = -half
    if not spec.bias_bits:
        return weight, None
    bias_half = 1 << (spec.bias_bits - 1)
    bias = rng.integers(-bias_half, bias_half, spec.classes).astype(np.int32)
    if spec.bias_bits == 32:
        # Logits saturate on either side, and two classes tie.
        bias[:4] = [-bias_half, bias_half - 1, bias_half - 1, -bias_half + 7]
    return weight, bias


def taps(block, seed):
    spec, rng = block.spec, np.random.default_rng(seed + 50)
    shape = (FRAMES, spec.map_height, spec.map_width, spec.channels)
    tap = rng.integers(0, 1 << spec.tap_bits, shape).astype(np.uint8)
    tap[1] = 0
    tap[2] = (1 << spec.tap_bits) - 1
    tap[3] = 0
    tap[3, -1, 0] = (1 << spec.tap_bits) - 1
    return tap


@pytest.fixture(scope="module")
def bench(programs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cam")
    instances, wrappers = [], []
    for seed, (name, block) in enumerate(BLOCKS.items()):
        wrappers.append(write_block(block, *head(block, seed), folder, name)[0])
        instances.append(
            Instance(
                name,
                (Stream("in0_V", -(-block.beat_bits // 8) * 8),),
                (Stream("out0_V", 8 * block.out_bytes),),
                lites=((CONTROL, control_address_bits(block)),),
            )
        )
    design = bench_design("cam_bench", instances, [*module_files(), *wrappers], folder)
    return build(design, programs), folder


def access(name, beat, address, value=None):
    return Access(f"{name}_{CONTROL}", f"{name}_in0_V", beat, address, value)


def registers(name, beat, select, gate):
    return [access(name, beat, 0x10, select), access(name, beat, 0x18, gate & 0xFFFFFFFF)]


def bank_writes(name, beat, bank, words):
    first = 0x1000 + 4 * bank * len(words)
    return [access(name, beat, first + 4 * index, int(word)) for index, word in enumerate(words)]


def simulate(bench, tmp_path, seed, select, gate, **options):
    """Packets of every block, and those expected; registers are set once a run."""
    simulator, memories = bench
    stimulus, wanted, expected, accesses = {}, {}, {}, []
    for number, (name, block) in enumerate(BLOCKS.items()):
        spec = block.spec
        tap = taps(block, seed)
        chosen = None if select is None else select % spec.classes
        packets = run_cam(spec, tap, *head(block, number), select=chosen, gate=gate).packet
        stimulus[f"{name}_in0_V"] = pack_words(tap.reshape(-1, block.pe), spec.tap_bits)
        expected[name] = packets
        wanted[f"{name}_out0_V"] = packets.size // block.out_bytes
        if block.runtime_weights:
            accesses += bank_writes(name, 0, 0, pack_bank(block, *head(block, number)))
        accesses += registers(name, 0, ARGMAX if chosen is None else chosen, gate)
    frame_words = {f"{name}_in0_V": block.spec.pixels * block.channel_fold for name, block in BLOCKS.items()}
    frame_words |= {f"{name}_out0_V": block.spec.layout.length // block.out_bytes for name, block in BLOCKS.items()}
    result = simulator.run(
        stimulus, wanted, folder=tmp_path, work=memories, accesses=accesses, frame_words=frame_words, **options
    )
    got = {
        name: np.frombuffer(result.outputs[f"{name}_out0_V"], np.uint8).reshape(FRAMES, -1)
        for name in BLOCKS
        if result.status == "done"
    }
    return result, got, expected


@pytest.mark.parametrize(
    ("seed", "select", "gate", "stalls"),
    [(1, None, NO_GATE, None), (2, 1, NO_GATE, 3), (3, None, 40, 4), (4, 5, -30, None), (5, None, NO_GATE, 5)],
)
def test_every_packet_equals_the_models(bench, tmp_path, seed, select, gate, stalls):
    result, got, expected = simulate(bench, tmp_path, seed, select, gate, stalls_seed=stalls)
    assert (result.status, result.excess) == ("done", False)
    for name in BLOCKS:
        assert np.array_equal(got[name], expected[name]), name


def test_frames_follow_at_the_stated_interval_and_the_first_comes_within_the_stated_latency(bench, tmp_path):
    result, _, _ = simulate(bench, tmp_path, 6, None, NO_GATE)
    for name, block in BLOCKS.items():
        last = result.sides[f"{name}_out0_V"].last
        latency = last[0] - result.sides[f"{name}_in0_V"].first[0] + 1
        assert 0.7 * longest_latency(block) <= latency <= longest_latency(block), name
        intervals = [b - a for a, b in pairwise(last[1:])]
        assert max(intervals) <= longest_interval(block), name
        assert max(intervals) >= 0.7 * longest_interval(block), name


def test_registers_are_sampled_at_a_frames_first_word(bench, tmp_path):
    simulator, memories = bench
    block = BLOCKS["plain"]
    spec, tap, (weight, bias) = block.spec, taps(block, 9), head(block, 0)
    words = spec.pixels * block.channel_fold
    stimulus = {s.name: b"" for s in simulator.design.inputs}
    stimulus["plain_in0_V"] = pack_words(tap.reshape(-1, block.pe), spec.tap_bits)
    wanted = {s.name: 0 for s in simulator.design.outputs} | {"plain_out0_V": FRAMES * spec.layout.length}
    # Class f from the middle of frame f - 1 on: it must show from frame f on, and not before.
    accesses = registers("plain", 0, 0, NO_GATE)
    for frame in range(1, FRAMES):
        accesses.append(access("plain", words * frame - words // 2, 0x10, frame))
    result = simulator.run(stimulus, wanted, folder=tmp_path, work=memories, accesses=accesses)
    got = np.frombuffer(result.outputs["plain_out0_V"], np.uint8).reshape(FRAMES, -1)
    for frame in range(FRAMES):
        one = run_cam(spec, tap[frame : frame + 1], weight, bias, select=frame, first_frame=frame)
        assert np.array_equal(got[frame], one.packet[0]), frame


def test_registers_and_banks_read_as_they_were_written(bench, tmp_path):
    simulator, memories = bench
    block = BLOCKS["loaded"]
    stimulus = {s.name: b"" for s in simulator.design.inputs}
    stimulus["loaded_in0_V"] = pack_words(taps(block, 3)[:1].reshape(-1, block.pe), block.spec.tap_bits)
    wanted = {s.name: 0 for s in simulator.design.outputs} | {"loaded_out0_V": block.spec.layout.length}
    banks = [pack_bank(block, *head(block, seed)) for seed in (20, 21)]
    places = [0x10, 0x18, 0x20, 0x30, 0x40, *range(0x1000, 0x1000 + 8 * block.bank_words, 4)]
    accesses = [access("loaded", 0, 0x10), access("loaded", 0, 0x18), access("loaded", 0, 0x20)]
    accesses += registers("loaded", 0, 3, -77)
    accesses += [*bank_writes("loaded", 0, 0, banks[0]), *bank_writes("loaded", 0, 1, banks[1])]
    accesses += [access("loaded", 0, 0x30, 1), access("loaded", 0, 0x40, 1), access("loaded", 0, 0x20, 1)]
    accesses += [access("loaded", 0, place) for place in places]
    # While the block copies a bank, a read of one waits.
    accesses += [access("loaded", 1, 0x1000)]
    result = simulator.run(stimulus, wanted, folder=tmp_path, work=memories, accesses=accesses)
    answers = result.answers[f"loaded_{CONTROL}"]
    build_id = int((memories / "loaded_build_id.dat").read_text(), 16)
    assert answers[:3] == [ARGMAX, NO_GATE & ARGMAX, 0]
    assert answers[3:8] == [3, -77 & ARGMAX, 1, build_id, 0]
    assert answers[8:-1] == [*banks[0].tolist(), *banks[1].tolist()]
    assert answers[-1] == banks[0][0]


@pytest.mark.parametrize(("name", "stalls"), [("loaded", None), ("loaded", 7), ("unbiased", 8)])
def test_a_bank_takes_effect_at_the_frame_after_its_switch(bench, tmp_path, name, stalls):
    simulator, memories = bench
    block = BLOCKS[name]
    spec, tap = block.spec, taps(block, 4)
    words = spec.pixels * block.channel_fold
    heads = [head(block, 30 + number) for number in range(4)]
    # The idle bank is written during a frame, then switched to: from the next frame on it counts. Bank 0 comes twice.
    plan = [0, 1, 1, 2, 3, 3]
    accesses = [*bank_writes(name, 0, 0, pack_bank(block, *heads[0])), *registers(name, 0, ARGMAX, NO_GATE)]
    for frame in range(1, FRAMES):
        if plan[frame] != plan[frame - 1]:
            beat = words * (frame - 1) + 1
            accesses += bank_writes(name, beat, plan[frame] % 2, pack_bank(block, *heads[plan[frame]]))
            accesses.append(access(name, beat, 0x20, plan[frame] % 2))
    stimulus = {s.name: b"" for s in simulator.design.inputs}
    stimulus[f"{name}_in0_V"] = pack_words(tap.reshape(-1, block.pe), spec.tap_bits)
    wanted = {s.name: 0 for s in simulator.design.outputs}
    wanted[f"{name}_out0_V"] = FRAMES * spec.layout.length // block.out_bytes
    result = simulator.run(stimulus, wanted, folder=tmp_path, work=memories, accesses=accesses, stalls_seed=stalls)
    got = np.frombuffer(result.outputs[f"{name}_out0_V"], np.uint8).reshape(FRAMES, -1)
    for frame, number in enumerate(plan):
        one = run_cam(spec, tap[frame : frame + 1], *heads[number], first_frame=frame)
        assert np.array_equal(got[frame], one.packet[0]), frame


def test_a_wrong_weight_word_is_seen(bench, tmp_path):
    simulator, memories = bench
    damaged = tmp_path / "memories"
    damaged.mkdir()
    for path in memories.glob("*.dat"):
        (damaged / path.name).write_bytes(path.read_bytes())
    lines = (damaged / "plain_weights.dat").read_text().split()
    lines[3] = f"{int(lines[3], 16) ^ 1:0{len(lines[3])}x}"
    (damaged / "plain_weights.dat").write_text("\n".join(lines) + "\n")
    _, got, expected = simulate((simulator, damaged), tmp_path / "run", 1, None, NO_GATE)
    assert not np.array_equal(got["plain"], expected["plain"])
    assert np.array_equal(got["biased"], expected["biased"])


def test_blocks_that_only_the_cpp_has_are_refused(tmp_path):
    block = CamBlock(BLOCKS["plain"].spec, storage="tap")
    with pytest.raises(CamError, match=r"expected maps, in SystemVerilog, got tap"):
        write_block(block, *head(block, 0), tmp_path, "refused")
