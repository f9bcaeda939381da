"""What makes the SystemVerilog CAM block this design's: parameters, memory contents, a wrapper with FINN's ports.

All widths come from `CamSpec`; nothing is derived a second time in SystemVerilog that the specification states.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cam_postproc.arithmetic import Int32, check_head
from cam_postproc.block import CamBlock
from cam_postproc.errors import CamError
from cam_postproc.spec import Taps

MODULES = ("cam_maps", "cam_loader", "cam_normalise", "cam_resize", "cam_pack", "cam_registers", "cam")
CONTROL = "s_axi_control"
"""The AXI-lite slave, under the C++ block's name for it."""
BANKS = 0x1000
"""Address of the weight banks; the registers lie below."""
_FOLDER = Path(__file__).with_name("sv")


def module_files() -> list[Path]:
    """The SystemVerilog files, submodules first."""
    return [_FOLDER / f"{name}.sv" for name in MODULES]


def check_block(block: CamBlock) -> None:
    """Checks that the SystemVerilog block can be built so.

    Raises:
        CamError: the block keeps the tap.
    """
    if block.storage != "maps":
        raise CamError("CAM storage", "maps, in SystemVerilog", block.storage, 'use cam.backend = "hls"')


def longest_interval(block: CamBlock) -> int:
    """Most cycles from frame to frame without pauses: to take a frame in, or to make its packet."""
    return max(_taking(block), _sending(block))


def longest_latency(block: CamBlock) -> int:
    """Most cycles from a frame's first word in to its packet's last word out, without pauses and frames before it."""
    return _taking(block) + _sending(block)


def _taking(block: CamBlock) -> int:
    return block.spec.pixels * block.channel_fold * block.class_fold


def _sending(block: CamBlock) -> int:
    spec = block.spec
    scan = spec.classes + 3
    normalise = 2 * spec.pixels + spec.range_bits + spec.dividend_bits + 16
    resize = spec.out_height * (spec.out_width + 2 * spec.map_width + 5) + 8
    return spec.shown * (scan + normalise + resize) + resize + 16 + 5 * spec.classes + 16


def block_parameters(block: CamBlock, data: str) -> dict[str, int | str]:
    """Parameters of the module `cam`; `data` comes before the names of its memory files."""
    spec = block.spec
    return {
        "MAP_HEIGHT": spec.map_height,
        "MAP_WIDTH": spec.map_width,
        "CHANNELS": spec.channels,
        "CLASSES": spec.classes,
        "PE": block.pe,
        "LANES": block.class_pe,
        "TAP_BITS": spec.tap_bits,
        "WEIGHT_BITS": spec.weight_bits,
        "BIAS_BITS": spec.bias_bits,
        "MAP_BITS": spec.map_bits,
        "SUM_BITS": spec.logit_sum_bits,
        "RANGE_BITS": spec.range_bits,
        "GUARD": spec.guard_bits,
        "SHIFT": spec.reciprocal_shift,
        "OUT_HEIGHT": spec.out_height,
        "OUT_WIDTH": spec.out_width,
        "FY": spec.rows.fraction_bits,
        "FX": spec.columns.fraction_bits,
        "SHOWN": spec.shown,
        "LENGTH": spec.layout.length,
        "RUNTIME": int(block.runtime_weights),
        "WEIGHTS": "" if block.runtime_weights else f"{data}weights.dat",
        "BIASES": f"{data}biases.dat" if spec.bias_bits and not block.runtime_weights else "",
        "ROWS": f"{data}rows.dat",
        "COLUMNS": f"{data}columns.dat",
    }


def write_block(
    block: CamBlock, fc_weight: npt.NDArray[np.int8], bias: Int32 | None, folder: Path, name: str
) -> list[Path]:
    """Writes the wrapper NAME.v and the memory files NAME_*.dat; the modules themselves stay where they are.

    Args:
        block: what is built; it keeps maps. With weights loaded at run time, a host writes them (`hls.pack_bank`).
        fc_weight: INT<weight_bits> as int8 [K, C].
        bias: INT<bias_bits> as int32 [K], or None.
        folder: takes the files; $readmemh finds them by name alone, from the folder in which the tool runs.
        name: of the wrapper's module.

    Returns:
        The files written, the wrapper first.

    Raises:
        CamError: a block that SystemVerilog does not have, or arrays that do not fit it.
    """
    check_block(block)
    spec = block.spec
    biases = check_head(spec, fc_weight, bias)
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = folder / f"{name}.v"
    wrapper.write_text(cam_wrapper(block, name, f"{name}_"))
    memories = {
        "rows": _taps(spec.rows, spec.pixels, spec.map_width),
        "columns": _taps(spec.columns, spec.map_width, 1),
    }
    if not block.runtime_weights:
        # Words of a pixel's beats, class groups inside: [beat][group][lane][channel].
        lanes = fc_weight.reshape(block.class_fold, block.class_pe, block.channel_fold, block.pe).transpose(2, 0, 1, 3)
        wide = block.class_pe * block.pe
        memories["weights"] = _lines(lanes.reshape(-1, wide), [spec.weight_bits] * wide)
        if spec.bias_bits:
            memories["biases"] = _lines(biases[:, None], [spec.bias_bits])
    content = repr(block) + "".join(f"{name}{lines}" for name, lines in sorted(memories.items()))
    memories["build_id"] = [hashlib.sha256(content.encode()).hexdigest()[:8]]
    files = [wrapper]
    for memory, lines in memories.items():
        path = folder / f"{name}_{memory}.dat"
        path.write_text("\n".join(lines) + "\n")
        files.append(path)
    return files


def read_weights(block: CamBlock, folder: Path, name: str) -> npt.NDArray[np.int64]:
    """The classifier's weights [K, C], read back from the memory file that `write_block` wrote."""
    spec, lanes = block.spec, block.class_pe * block.pe
    mask, half = (1 << spec.weight_bits) - 1, 1 << (spec.weight_bits - 1)
    words = [int(line, 16) for line in (folder / f"{name}_weights.dat").read_text().split()]
    values = [[((word >> (spec.weight_bits * lane)) & mask ^ half) - half for lane in range(lanes)] for word in words]
    shape = (block.channel_fold, block.class_fold, block.class_pe, block.pe)
    folded = np.array(values, dtype=np.int64).reshape(shape)
    return folded.transpose(1, 2, 0, 3).reshape(spec.classes, spec.channels)


def read_biases(block: CamBlock, folder: Path, name: str) -> npt.NDArray[np.int64]:
    """The classifier's biases [K], likewise; zeros where the block has none."""
    bits = block.spec.bias_bits
    if not bits:
        return np.zeros(block.spec.classes, dtype=np.int64)
    half = 1 << (bits - 1)
    words = [int(line, 16) for line in (folder / f"{name}_biases.dat").read_text().split()]
    return np.array([(word ^ half) - half for word in words], dtype=np.int64)


def control_address_bits(block: CamBlock) -> int:
    """Of the AXI-lite slave: the registers alone, or the two weight banks behind them."""
    return (BANKS + 8 * block.bank_words - 1).bit_length() if block.runtime_weights else 6


def cam_wrapper(block: CamBlock, name: str, data: str) -> str:
    """Verilog of module `name` around `cam`: in0_V the tap, out0_V the packet, registers behind s_axi_control."""
    in_bits, out_bits, address = block.beat_bits, 8 * block.out_bytes, control_address_bits(block)
    padded = -(-in_bits // 8) * 8
    index = max(1, (2 * block.bank_words - 1).bit_length())
    parameters = ", ".join(
        f'.{key}("{value}")' if isinstance(value, str) else f".{key}({value})"
        for key, value in block_parameters(block, data).items()
    )
    registers = (
        f".ADDRESS_BITS({address}), .BANK_WORDS({block.bank_words if block.runtime_weights else 0}), "
        f'.BUILD_ID("{data}build_id.dat")'
    )
    # Without run-time banks the registers' index is a bit that nobody reads.
    bank = index if block.runtime_weights else 1
    return f"""module {name} (
	(* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF in0_V:out0_V:{CONTROL}, ASSOCIATED_RESET ap_rst_n" *)
	input ap_clk,
	(* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
	input ap_rst_n,
	input [{address - 1}:0] {CONTROL}_AWADDR,
	input {CONTROL}_AWVALID,
	output {CONTROL}_AWREADY,
	input [31:0] {CONTROL}_WDATA,
	input [3:0] {CONTROL}_WSTRB,
	input {CONTROL}_WVALID,
	output {CONTROL}_WREADY,
	output [1:0] {CONTROL}_BRESP,
	output {CONTROL}_BVALID,
	input {CONTROL}_BREADY,
	input [{address - 1}:0] {CONTROL}_ARADDR,
	input {CONTROL}_ARVALID,
	output {CONTROL}_ARREADY,
	output [31:0] {CONTROL}_RDATA,
	output [1:0] {CONTROL}_RRESP,
	output {CONTROL}_RVALID,
	input {CONTROL}_RREADY,
	input [{padded - 1}:0] in0_V_TDATA,
	input in0_V_TVALID,
	output in0_V_TREADY,
	output [{out_bits - 1}:0] out0_V_TDATA,
	output out0_V_TVALID,
	input out0_V_TREADY
);
	wire [7:0] dat;
	wire vld, rdy;
	wire [31:0] class_select, gate, bank_data, bank_word;
	wire active_bank, bank_write, bank_free;
	wire [{bank - 1}:0] bank_index, bank_read_index;
	cam_registers #({registers}) registers (
		.clk(ap_clk), .rst(!ap_rst_n),
		.awaddr({CONTROL}_AWADDR), .awvalid({CONTROL}_AWVALID), .awready({CONTROL}_AWREADY),
		.wdata({CONTROL}_WDATA), .wstrb({CONTROL}_WSTRB), .wvalid({CONTROL}_WVALID), .wready({CONTROL}_WREADY),
		.bresp({CONTROL}_BRESP), .bvalid({CONTROL}_BVALID), .bready({CONTROL}_BREADY),
		.araddr({CONTROL}_ARADDR), .arvalid({CONTROL}_ARVALID), .arready({CONTROL}_ARREADY),
		.rdata({CONTROL}_RDATA), .rresp({CONTROL}_RRESP), .rvalid({CONTROL}_RVALID), .rready({CONTROL}_RREADY),
		.class_select(class_select), .gate(gate), .active_bank(active_bank),
		.bank_write(bank_write), .bank_index(bank_index), .bank_data(bank_data),
		.bank_free(bank_free), .bank_read_index(bank_read_index), .bank_word(bank_word)
	);
	cam #({parameters}) impl (
		.clk(ap_clk), .rst(!ap_rst_n), .select(class_select), .gate(gate), .active_bank(active_bank),
		.bank_write(bank_write), .bank_index({{{index}{{1'b0}}}} | bank_index), .bank_data(bank_data),
		.bank_free(bank_free), .bank_read_index({{{index}{{1'b0}}}} | bank_read_index), .bank_word(bank_word),
		.idat(in0_V_TDATA[{in_bits - 1}:0]), .ivld(in0_V_TVALID), .irdy(in0_V_TREADY),
		.odat(dat), .ovld(vld), .ordy(rdy)
	);
	cam_pack #(.BYTES({block.out_bytes})) pack (
		.clk(ap_clk), .rst(!ap_rst_n), .idat(dat), .ivld(vld), .irdy(rdy),
		.odat(out0_V_TDATA), .ovld(out0_V_TVALID), .ordy(out0_V_TREADY)
	);
endmodule
"""


def _taps(taps: Taps, positions: int, stride: int) -> list[str]:
    """{high, low, weight} of each output row or column: positions in steps of `stride`, at least one bit each."""
    position_bits = max(1, (positions - 1).bit_length())
    widths = [max(1, taps.fraction_bits), position_bits, position_bits]
    return _lines(np.stack([taps.weight, taps.low * stride, taps.high * stride], axis=1), widths)


def _lines(values: npt.NDArray[np.integer], widths: Iterable[int]) -> list[str]:
    """Hexadecimal words for $readmemh, one a row: field 0 in the low bits, negative values in two's complement."""
    widths = list(widths)
    digits = -(-sum(widths) // 4)
    lines = []
    for row in values:
        word, at = 0, 0
        for value, width in zip(row, widths, strict=True):
            word |= (int(value) & ((1 << width) - 1)) << at
            at += width
        lines.append(f"{word:0{digits}x}")
    return lines
