"""Every module of the project's own against numpy: random data, random pauses on every side, images back to back."""

from dataclasses import dataclass

import numpy as np
import pytest

from finn_build.nodes.mvu import MODULES
from finn_build.nodes.wrappers import add_wrapper, fifo_wrapper, fork_wrapper, mvu_wrapper, padded, source
from finn_build.resources.chains import core_timing
from finn_build.rtl.bench import Instance, bench_design
from finn_build.rtl.design import Stream
from finn_build.rtl.library import rtl_library
from finn_build.rtl.verilator import build
from finn_build.rtl.words import pack_words, unpack_words


@dataclass(frozen=True)
class Add:
    pe: int
    lhs: tuple[int, bool]
    rhs: tuple[int, bool]

    @property
    def out_bits(self):
        low = sum(-(1 << (bits - 1)) if signed else 0 for bits, signed in (self.lhs, self.rhs))
        high = sum((1 << (bits - signed)) - 1 for bits, signed in (self.lhs, self.rhs))
        return high.bit_length() if low == 0 else 1 + max((-low - 1).bit_length(), high.bit_length())


@dataclass(frozen=True)
class Mvu:
    mw: int
    mh: int
    pe: int
    simd: int
    weight_bits: int
    activation_bits: int
    signed: bool = False
    accumulator_bits: int = 24
    chain: bool = False

    @property
    def folds(self):
        return self.mw // self.simd


FORKS = {"fork2": (5, 2), "fork3": (33, 3)}
ADDS = {
    "add_s5s5": Add(4, (5, True), (5, True)),
    "add_u4s9": Add(3, (4, False), (9, True)),
    "add_s3u8": Add(1, (3, True), (8, False)),
    "add_u8u2": Add(2, (8, False), (2, False)),
}
MVUS = {
    "mvu_one": Mvu(1, 1, 1, 1, 4, 4),
    "mvu_serial": Mvu(6, 4, 1, 1, 5, 5),
    "mvu_wide": Mvu(12, 8, 4, 3, 5, 5),
    "mvu_image": Mvu(9, 4, 2, 3, 5, 8),
    "mvu_signed": Mvu(8, 6, 3, 4, 3, 6, signed=True),
    "mvu_no_fold": Mvu(4, 4, 4, 4, 2, 2),
    "mvu_bit": Mvu(10, 2, 1, 5, 4, 1),
    "mvu_weight_bit": Mvu(8, 4, 2, 4, 1, 4),
    "mvu_tree": Mvu(14, 4, 2, 7, 6, 6),
    "chain_one": Mvu(1, 1, 1, 1, 4, 4, chain=True),
    "chain_odd": Mvu(12, 6, 3, 4, 5, 5, chain=True),
    "chain_image": Mvu(27, 4, 2, 27, 5, 8, chain=True),
    "chain_signed": Mvu(10, 6, 2, 5, 3, 6, signed=True, chain=True),
    "chain_full": Mvu(32, 2, 2, 16, 7, 6, chain=True),
    "chain_three": Mvu(45, 3, 3, 45, 4, 4, chain=True),
    "chain_short": Mvu(82, 2, 1, 41, 5, 5, chain=True),
}
FIFOS = {"fifo2": (8, 2), "fifo5": (3, 5), "fifo32": (70, 32)}


def ports(inputs, outputs):
    return tuple(Stream(n, padded(b)) for n, b in inputs), tuple(Stream(n, padded(b)) for n, b in outputs)


@pytest.fixture(scope="module")
def bench(programs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    texts, instances = [], []
    for name, (bits, outputs) in FORKS.items():
        texts.append(fork_wrapper(name, bits, outputs))
        instances.append(Instance(name, *ports([("in0_V", bits)], [(f"out{i}_V", bits) for i in range(outputs)])))
    for name, add in ADDS.items():
        texts.append(add_wrapper(name, add.pe, add.lhs, add.rhs, add.out_bits))
        streams = [("in0_V", add.pe * add.lhs[0]), ("in1_V", add.pe * add.rhs[0])]
        instances.append(Instance(name, *ports(streams, [("out0_V", add.pe * add.out_bits)])))
    for name, mvu in MVUS.items():
        texts.append(
            mvu_wrapper(
                name, mw=mvu.mw, mh=mvu.mh, pe=mvu.pe, simd=mvu.simd, weight_bits=mvu.weight_bits,
                activation_bits=mvu.activation_bits, signed_activations=mvu.signed,
                accumulator_bits=mvu.accumulator_bits, chain=mvu.chain,
                queue=core_timing(mvu.simd, mvu.folds, chain=mvu.chain).queue,
            )
        )  # fmt: skip
        streams = [("in0_V", mvu.simd * mvu.activation_bits), ("in1_V", mvu.pe * mvu.simd * mvu.weight_bits)]
        outputs = [("out0_V", mvu.pe * mvu.accumulator_bits)]
        instances.append(Instance(name, *ports(streams, outputs), clocks=("ap_clk2x",)))
    for name, (bits, depth) in FIFOS.items():
        texts.append(fifo_wrapper(name, bits, depth))
        instances.append(Instance(name, *ports([("in0_V", bits)], [("out0_V", bits)]), open_ports=("high_water",)))
    wrappers = folder / "wrappers.v"
    wrappers.write_text("\n".join(texts))
    own = [source(name) for name in ("stream_skid", "stream_fork", "residual_add", *MODULES)]
    sources = [*own, rtl_library() / "mvu" / "replay_buffer.sv", wrappers]
    return build(bench_design("bench", instances, sources, folder), programs)


def integers(rng, shape, bits, signed):
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape) if signed else rng.integers(0, 1 << bits, shape)


def cases(seed):
    """Words for every stream of the bench, and the words expected."""
    rng = np.random.default_rng(seed)
    stimulus, expected = {}, {}
    for name, (bits, outputs) in FORKS.items():
        words = pack_words(rng.integers(0, 1 << bits, (500, 1)), bits)
        stimulus[f"{name}_in0_V"] = words
        expected |= {f"{name}_out{i}_V": words for i in range(outputs)}
    for name, add in ADDS.items():
        lhs, rhs = (integers(rng, (500, add.pe), *operand) for operand in (add.lhs, add.rhs))
        for operand, values in ((add.lhs, lhs), (add.rhs, rhs)):
            values[0], values[1] = integers_limits(*operand)
        stimulus[f"{name}_in0_V"] = pack_words(lhs, add.lhs[0])
        stimulus[f"{name}_in1_V"] = pack_words(rhs, add.rhs[0])
        expected[f"{name}_out0_V"] = pack_words(lhs + rhs, add.out_bits)
    for name, mvu in MVUS.items():
        vectors = 40
        weight = integers(rng, (mvu.mh, mvu.mw), mvu.weight_bits, True)
        x = integers(rng, (vectors, mvu.mw), mvu.activation_bits, mvu.signed)
        weight[0] = -(1 << (mvu.weight_bits - 1))
        x[1] = integers_limits(mvu.activation_bits, mvu.signed)[1]
        stimulus[f"{name}_in0_V"] = pack_words(x.reshape(-1, mvu.simd), mvu.activation_bits)
        folds = weight.reshape(mvu.mh // mvu.pe, mvu.pe, mvu.mw // mvu.simd, mvu.simd).transpose(0, 2, 1, 3)
        words = folds.reshape(-1, mvu.pe * mvu.simd)
        stimulus[f"{name}_in1_V"] = pack_words(np.tile(words, (vectors, 1)), mvu.weight_bits)
        expected[f"{name}_out0_V"] = pack_words((x @ weight.T).reshape(-1, mvu.pe), mvu.accumulator_bits)
    for name, (bits, _) in FIFOS.items():
        words = pack_words(rng.integers(0, 1 << min(bits, 62), (500, 1)), bits)
        stimulus[f"{name}_in0_V"] = expected[f"{name}_out0_V"] = words
    return stimulus, expected


def integers_limits(bits, signed):
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def run(bench, stimulus, expected, folder, **options):
    size = {stream.name: stream.word_bytes for stream in bench.design.outputs}
    wanted = {name: len(data) // size[name] for name, data in expected.items()}
    return bench.run(stimulus, wanted, folder=folder, **options)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_module_is_exact(bench, tmp_path, seed):
    stimulus, expected = cases(seed or 0)
    result = run(bench, stimulus, expected, tmp_path, stalls_seed=seed, stall_percent=50 if seed == 2 else 20)
    assert (result.status, result.excess) == ("done", False)
    assert [name for name, data in expected.items() if result.outputs[name] != data] == []


def test_a_word_a_cycle_without_pauses(bench, tmp_path):
    stimulus, expected = cases(3)
    result = run(bench, stimulus, expected, tmp_path)
    for name in (*FORKS, *ADDS, "fifo5", "fifo32"):
        side = result.sides[f"{name}_out0_V"]
        assert side.last[-1] - side.first[0] + 1 == side.words, name
    for name, mvu in MVUS.items():
        first, last = result.sides[f"{name}_in1_V"].first[0], result.sides[f"{name}_in1_V"].last[-1]
        words = 40 * mvu.mw * mvu.mh // (mvu.pe * mvu.simd)
        # Only loading the first vector and a rewind at its end keep the weights from moving in every cycle.
        assert last - first + 1 <= words + mvu.mw // mvu.simd + 2, name


def test_a_consumer_that_stops_does_not_change_what_the_others_get(bench, tmp_path):
    stimulus, expected = cases(4)
    wanted = dict.fromkeys(expected, 0) | {"fork2_out0_V": 400}
    result = bench.run(stimulus, wanted, folder=tmp_path, stalls_seed=7)
    words = expected["fork2_out0_V"]
    assert result.outputs["fork2_out0_V"][:400] == words[:400]
    assert words.startswith(result.outputs["fork2_out1_V"])


def test_a_stream_that_ends_early_is_seen(bench, tmp_path):
    stimulus, expected = cases(5)
    stimulus["add_s5s5_in1_V"] = stimulus["add_s5s5_in1_V"][:-3]
    result = run(bench, stimulus, expected, tmp_path, idle_cycles=200)
    assert result.status == "stuck"
    assert result.sides["add_s5s5_out0_V"].words == 499


def test_words_round_trip():
    values = np.random.default_rng(0).integers(-16, 16, (50, 7))
    assert np.array_equal(unpack_words(pack_words(values, 5), 7, 5, signed=True), values)
    with pytest.raises(ValueError, match="5 bits cannot hold"):
        pack_words([[32]], 5)
    with pytest.raises(ValueError, match="whole number of words"):
        unpack_words(b"\0\0\0", 7, 5, signed=True)
