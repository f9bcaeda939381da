"""What a CAM block costs: cycles, memories, multipliers. The one place where they are computed.

Cycles follow from the loops (II = 1 each), without the few cycles that a pipeline takes to fill. Memories are counted
as 7-series block RAMs would hold them. No vendor tool is behind these figures: they are estimates until one has run.
"""

from dataclasses import dataclass
from typing import Literal

from cam_postproc.block import CamBlock, Storage
from cam_postproc.spec import CamSpec

# (width, depth) of the shapes of one 18 Kb block RAM: UG473, table 1-2.
BRAM18_SHAPES = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
LUTRAM_MAX_BITS = 2048
MAX_MULTIPLIERS = 512
DSP_MIN_PRODUCT_BITS = 12  # narrower products are cheaper in LUTs


@dataclass(frozen=True)
class Memory:
    """One memory of the block.

    Args:
        name: what it holds.
        width: bits of a word.
        depth: words.
        copies: 2 for a ping-pong buffer.
    """

    name: str
    width: int
    depth: int
    copies: int = 1

    @property
    def bits(self) -> int:
        """Of all copies."""
        return self.width * self.depth * self.copies

    @property
    def kind(self) -> Literal["lutram", "bram"]:
        """Small memories fit in LUTs."""
        return "lutram" if self.width * self.depth <= LUTRAM_MAX_BITS or self.depth <= 64 else "bram"

    @property
    def bram18(self) -> int:
        """Block RAMs of 18 Kb, all copies."""
        return self.copies * bram18(self.width, self.depth) if self.kind == "bram" else 0

    @property
    def lut(self) -> int:
        """LUTs as memory, all copies: RAM64M holds 3 bits of 64 words in 4 LUTs."""
        return self.copies * -(-self.depth // 64) * -(-4 * self.width // 3) if self.kind == "lutram" else 0


@dataclass(frozen=True)
class Multiplier:
    """`count` multipliers of a × b bits."""

    name: str
    count: int
    a_bits: int
    b_bits: int

    @property
    def dsp(self) -> int:
        """DSP48E1 (25 × 18, signed): tiles of 24 × 17 magnitude bits; none for narrow products."""
        if self.a_bits + self.b_bits < DSP_MIN_PRODUCT_BITS:
            return 0
        wide, narrow = max(self.a_bits, self.b_bits), min(self.a_bits, self.b_bits)
        return self.count * -(-(wide - 1) // 24) * -(-(narrow - 1) // 17)

    @property
    def lut(self) -> int:
        """LUTs of products that take no DSP: about one for each pair of bits."""
        return 0 if self.dsp else self.count * self.a_bits * self.b_bits


@dataclass(frozen=True)
class CamCost:
    """Estimates for a block.

    Args:
        cycles: of each process a frame; they overlap from frame to frame.
        interval: cycles from frame to frame: the slowest process.
        latency: cycles from a frame's first input beat to its last output beat.
        memories: every memory.
        multipliers: every multiplier.
    """

    cycles: dict[str, int]
    interval: int
    latency: int
    memories: tuple[Memory, ...]
    multipliers: tuple[Multiplier, ...]

    @property
    def bram18(self) -> int:
        """Block RAMs of 18 Kb."""
        return sum(memory.bram18 for memory in self.memories)

    @property
    def dsp(self) -> int:
        """DSP48E1."""
        return sum(multiplier.dsp for multiplier in self.multipliers)

    @property
    def lut(self) -> int:
        """LUTs of memories and narrow multipliers with their adders; control logic is not counted."""
        return sum(memory.lut for memory in self.memories) + sum(m.lut for m in self.multipliers)


def bram18(width: int, depth: int) -> int:
    """Fewest 18 Kb block RAMs for `depth` words of `width` bits."""
    return min(-(-width // w) * -(-depth // d) for w, d in BRAM18_SHAPES)


def storage_memory(spec: CamSpec, pe: int, storage: Storage) -> Memory:
    """The ping-pong buffer that tells the two storages apart."""
    if storage == "maps":
        return Memory("maps", spec.map_bits, spec.classes * spec.pixels, 2)
    return Memory("tap", pe * spec.tap_bits, spec.pixels * spec.channels // pe, 2)


def estimate_cost(block: CamBlock) -> CamCost:
    """Cycles, memories and multipliers of a block."""
    spec = block.spec
    folds = block.channel_fold * block.class_fold
    resize = spec.out_height * (spec.out_width + 1)
    divide = spec.dividend_bits + 4
    ranking = spec.shown * spec.classes if spec.shown > 1 else 0
    load = spec.classes * spec.channels if block.runtime_weights else 0
    emit = 16 + 4 * spec.classes + spec.shown * resize + spec.layout.length - spec.layout.used_bytes
    if block.storage == "maps":
        cycles = {
            "accumulate": (spec.classes if spec.bias_bits else 0) + spec.pixels * folds,
            "store": spec.pixels * spec.classes,
            "select": spec.classes + ranking + spec.shown * (3 * spec.pixels + divide) + resize,
            "emit": emit,
        }
        latency = cycles["accumulate"] + cycles["select"] + emit
    else:
        cycles = {
            "gather": spec.pixels * block.channel_fold,
            "select": block.channel_fold
            + folds
            + spec.classes
            + ranking
            + spec.shown * (spec.pixels * block.channel_fold + 2 * spec.pixels + divide)
            + resize,
            "emit": emit,
        }
        latency = sum(cycles.values())
    if load:
        cycles["load a bank (once)"] = load
    steady = [value for name, value in cycles.items() if not name.startswith("load")]
    return CamCost(cycles, max(steady), latency, _memories(block), _multipliers(block))


def choose_block(
    spec: CamSpec,
    pe: int = 1,
    *,
    target_cycles: int | None = None,
    storage: Storage | None = None,
    runtime_weights: bool = False,
    out_bytes: int = 1,
) -> CamBlock:
    """The smallest block that keeps up: the storage with fewer block RAMs, and the fewest classes at a time.

    Args:
        target_cycles: wanted cycles from frame to frame; None wants the least that `pe` allows.
        storage: None takes the smaller one, in block RAMs, then in bits.

    Raises:
        CamError: pe or out_bytes do not divide, or the output is narrower than the map.
    """
    CamBlock(spec, pe=pe, out_bytes=out_bytes)
    if storage is None:
        maps, tap = storage_memory(spec, pe, "maps"), storage_memory(spec, pe, "tap")
        storage = "maps" if (maps.bram18, maps.bits) <= (tap.bram18, tap.bits) else "tap"
    divisors = [
        n for n in range(1, spec.classes + 1) if spec.classes % n == 0 and (n == 1 or n * pe <= MAX_MULTIPLIERS)
    ]
    kept: Storage = storage
    blocks = [CamBlock(spec, pe, n, kept, runtime_weights, out_bytes) for n in divisors]
    intervals = [estimate_cost(block).interval for block in blocks]
    wanted = max(min(intervals), target_cycles or 0)
    return next(block for block, interval in zip(blocks, intervals, strict=True) if interval <= wanted)


def _memories(block: CamBlock) -> tuple[Memory, ...]:
    spec = block.spec
    memories = [storage_memory(spec, block.pe, block.storage)]
    weight_width = block.pe * block.class_pe * spec.weight_bits
    memories.append(Memory("weights", weight_width, block.channel_fold * block.class_fold))
    if block.runtime_weights:
        memories.append(Memory("two banks", 32, 2 * block.bank_words))
    if spec.bias_bits:
        memories.append(Memory("biases", spec.bias_bits, spec.classes))
    if block.storage == "maps":
        memories.append(Memory("logit sums", spec.logit_sum_bits, spec.classes))
        memories.append(Memory("logits to select", 32, spec.classes))
        if block.class_fold > 1:
            memories.append(Memory("a pixel's beats", block.beat_bits, block.channel_fold))
    else:
        memories.append(Memory("channel sums", block.pe * block.pool_bits, block.channel_fold, 2))
        memories.append(Memory("logit sums", block.class_pe * spec.logit_sum_bits, block.class_fold))
    memories += [
        Memory("logits", 32, spec.classes),
        Memory("logits to emit", 32, spec.classes),
        Memory("shown map", spec.map_bits, spec.pixels),
        Memory("shown levels", spec.level_bits, spec.pixels),
        Memory("levels", spec.level_bits, spec.shown * spec.pixels, 2),
        Memory("row positions", 6 + spec.rows.fraction_bits, spec.out_height, 2),
        Memory("column positions", 7 + spec.columns.fraction_bits, spec.out_width, 2),
    ]
    return tuple(memories)


def _multipliers(block: CamBlock) -> tuple[Multiplier, ...]:
    spec = block.spec
    tall_bits = spec.level_bits + spec.rows.fraction_bits + 1
    products = [
        Multiplier("reciprocal", 1, spec.range_bits + 1, spec.reciprocal_bits + 1),
        Multiplier("between rows", 2, spec.level_bits + 1, spec.rows.fraction_bits + 1),
        Multiplier("between columns", 2, tall_bits, spec.columns.fraction_bits + 1),
    ]
    if block.storage == "maps":
        products.append(Multiplier("maps", block.pe * block.class_pe, spec.weight_bits, spec.tap_bits + 1))
    else:
        products.append(Multiplier("logits", block.pe * block.class_pe, spec.weight_bits, block.pool_bits + 1))
        products.append(Multiplier("maps", block.pe, spec.weight_bits, spec.tap_bits + 1))
    return tuple(products)
