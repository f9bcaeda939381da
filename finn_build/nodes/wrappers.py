"""Verilog wrappers that give this project's modules the ports that FINN's stitching expects.

Each is a module NAME with ap_clk, ap_rst_n and the streams in0_V, in1_V, …, out0_V, out1_V, …, whose TDATA is padded to
whole bytes. Vivado's block design and the simulated top take the same file.
"""

from collections.abc import Sequence
from pathlib import Path

from finn_build.errors import UserError
from finn_build.resources.chains import MOST_CHAIN

SOURCES = Path(__file__).with_name("sv")


def source(name: str) -> Path:
    """The SystemVerilog file of a module of this package."""
    return SOURCES / f"{name}.sv"


def padded(bits: int) -> int:
    """TDATA's bits for a payload."""
    return -(-bits // 8) * 8


def fork_wrapper(name: str, payload_bits: int, outputs: int) -> str:
    """Wraps stream_fork: in0_V to out0_V … out{outputs-1}_V.

    Args:
        name: of the wrapper's module.
        payload_bits: PE · bits of an element.
        outputs: number of consumers.
    """
    names = [f"out{i}_V" for i in range(outputs)]
    wide = padded(payload_bits)
    body = [
        f"\twire [{outputs * wide - 1}:0] odat;",
        f"\tstream_fork #(.WIDTH({wide}), .OUTPUTS({outputs})) impl (",
        "\t\t.clk(ap_clk), .rst(!ap_rst_n),",
        "\t\t.idat(in0_V_TDATA), .ivld(in0_V_TVALID), .irdy(in0_V_TREADY),",
        "\t\t.odat(odat),",
        f"\t\t.ovld({{{', '.join(f'{n}_TVALID' for n in reversed(names))}}}),",
        f"\t\t.ordy({{{', '.join(f'{n}_TREADY' for n in reversed(names))}}})",
        "\t);",
    ]
    body += [f"\tassign {n}_TDATA = odat[{i * wide} +: {wide}];" for i, n in enumerate(names)]
    return _module(name, [("in0_V", payload_bits)], [(n, payload_bits) for n in names], body)


def add_wrapper(name: str, pe: int, lhs: tuple[int, bool], rhs: tuple[int, bool], out_bits: int) -> str:
    """Wraps residual_add: in0_V + in1_V to out0_V.

    Args:
        name: of the wrapper's module.
        pe: lanes.
        lhs: bits and signedness of in0_V's elements.
        rhs: likewise of in1_V's.
        out_bits: of a sum.
    """
    body = [
        f"\tresidual_add #(.PE({pe}), .LHS_WIDTH({lhs[0]}), .RHS_WIDTH({rhs[0]}),",
        f"\t\t.LHS_SIGNED({int(lhs[1])}), .RHS_SIGNED({int(rhs[1])}), .OUT_WIDTH({out_bits})) impl (",
        "\t\t.clk(ap_clk), .rst(!ap_rst_n),",
        f"\t\t.ldat(in0_V_TDATA[{pe * lhs[0] - 1}:0]), .lvld(in0_V_TVALID), .lrdy(in0_V_TREADY),",
        f"\t\t.rdat(in1_V_TDATA[{pe * rhs[0] - 1}:0]), .rvld(in1_V_TVALID), .rrdy(in1_V_TREADY),",
        f"\t\t.odat(out0_V_TDATA[{pe * out_bits - 1}:0]), .ovld(out0_V_TVALID), .ordy(out0_V_TREADY)",
        "\t);",
        *_pad("out0_V", pe * out_bits),
    ]
    return _module(name, [("in0_V", pe * lhs[0]), ("in1_V", pe * rhs[0])], [("out0_V", pe * out_bits)], body)


def mvu_wrapper(
    name: str,
    *,
    mw: int,
    mh: int,
    pe: int,
    simd: int,
    weight_bits: int,
    activation_bits: int,
    signed_activations: bool,
    accumulator_bits: int,
    chain: bool = False,
    queue: int = 16,
) -> str:
    """Wraps mvu_own with the ports of FINN's mvu_vvu_axi_wrapper: in0_V activations, in1_V weights, out0_V sums."""
    sizes = [
        f".MW({mw}), .MH({mh}), .PE({pe}), .SIMD({simd})",
        f".WEIGHT_WIDTH({weight_bits}), .ACTIVATION_WIDTH({activation_bits})",
        f".SIGNED_ACTIVATIONS({int(signed_activations)}), .ACCU_WIDTH({accumulator_bits})",
        f".CHAIN({int(chain)}), .QUEUE({queue}), .MOST_CHAIN({MOST_CHAIN})",
    ]
    weights, activations, sums = pe * simd * weight_bits, simd * activation_bits, pe * accumulator_bits
    body = [
        f"\tmvu_own #({', '.join(sizes)}) impl (",
        "\t\t.clk(ap_clk), .rst(!ap_rst_n),",
        f"\t\t.wdat(in1_V_TDATA[{weights - 1}:0]), .wvld(in1_V_TVALID), .wrdy(in1_V_TREADY),",
        f"\t\t.idat(in0_V_TDATA[{activations - 1}:0]), .ivld(in0_V_TVALID), .irdy(in0_V_TREADY),",
        f"\t\t.odat(out0_V_TDATA[{sums - 1}:0]), .ovld(out0_V_TVALID), .ordy(out0_V_TREADY)",
        "\t);",
        *_pad("out0_V", sums),
    ]
    # FINN's block design connects ap_clk2x of every MVU, pumped or not.
    return _module(name, [("in0_V", activations), ("in1_V", weights)], [("out0_V", sums)], body, clocks=("ap_clk2x",))


def rom_wrapper(text: str) -> str:
    """FINN's wrapper of a weights' memory with weight_rom in it: same module, parameters and ports.

    Args:
        text: of the wrapper that FINN's template gives.

    Raises:
        UserError: the template is another one.
    """
    begin, end = text.find("\tmemstream_axi #("), text.rfind("endmodule")
    if begin < 0 or end < begin:
        remedy = "pin finn-plus 1.6.1, or adapt rom_wrapper of finn_build/nodes/wrappers.py"
        raise UserError("FINN's memstream wrapper", "an instance of memstream_axi", "none", remedy)
    low = [
        f"s_axilite_{name}" for name in ("AWREADY", "WREADY", "BVALID", "BRESP", "ARREADY", "RVALID", "RRESP", "RDATA")
    ]
    body = [
        "\tweight_rom #(.DEPTH(DEPTH), .WIDTH(WIDTH), .INIT_FILE(INIT_FILE), .RAM_STYLE(RAM_STYLE)) core (",
        "\t\t.clk(ap_clk), .rst(!ap_rst_n),",
        "\t\t.odat(m_axis_0_tdata), .ovld(m_axis_0_tvalid), .ordy(m_axis_0_tready)",
        "\t);",
        *(f"\tassign {port} = 0;" for port in (*low, "s_axis_0_tready")),
    ]
    return text[:begin] + "\n".join(body) + "\n\n" + text[end:]


def fifo_wrapper(name: str, payload_bits: int, depth: int, ram_style: str = "auto") -> str:
    """Wraps stream_fifo: in0_V to out0_V, with its high-water mark as output."""
    wide = padded(payload_bits)
    body = [
        f'\tstream_fifo #(.WIDTH({wide}), .DEPTH({depth}), .RAM_STYLE("{ram_style}")) impl (',
        "\t\t.clk(ap_clk), .rst(!ap_rst_n),",
        "\t\t.idat(in0_V_TDATA), .ivld(in0_V_TVALID), .irdy(in0_V_TREADY),",
        "\t\t.odat(out0_V_TDATA), .ovld(out0_V_TVALID), .ordy(out0_V_TREADY),",
        "\t\t.high_water(high_water)",
        "\t);",
    ]
    extra = ("output [31:0] high_water",)
    return _module(name, [("in0_V", payload_bits)], [("out0_V", payload_bits)], body, extra=extra)


def _pad(port: str, payload_bits: int) -> list[str]:
    wide = padded(payload_bits)
    return [f"\tassign {port}_TDATA[{wide - 1}:{payload_bits}] = 0;"] if wide > payload_bits else []


def _module(
    name: str,
    inputs: Sequence[tuple[str, int]],
    outputs: Sequence[tuple[str, int]],
    body: Sequence[str],
    *,
    clocks: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> str:
    """Verilog of a wrapper; (port, payload bits) a stream."""
    buses = ":".join(port for port, _ in (*inputs, *outputs))
    parameter = f'(* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF {buses}, ASSOCIATED_RESET ap_rst_n" *)'
    ports = [f"{parameter}\n\tinput ap_clk", *(f"input {clock}" for clock in clocks)]
    ports.append('(* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)\n\tinput ap_rst_n')
    for port, bits in inputs:
        ports += [f"input [{padded(bits) - 1}:0] {port}_TDATA", f"input {port}_TVALID", f"output {port}_TREADY"]
    for port, bits in outputs:
        ports += [f"output [{padded(bits) - 1}:0] {port}_TDATA", f"output {port}_TVALID", f"input {port}_TREADY"]
    ports += extra
    head = f"module {name} (\n\t" + ",\n\t".join(ports) + "\n);\n"
    return head + "\n".join(body) + "\nendmodule\n"
