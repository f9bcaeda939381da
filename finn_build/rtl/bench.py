"""A top that holds several modules side by side, each with its own streams: one program tests them all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finn_build.rtl.design import LITE_PINS, Design, Stream, lite_ports


@dataclass(frozen=True)
class Instance:
    """A module under test, with FINN's ports (in0_V …, out0_V …, ap_clk, ap_rst_n).

    Args:
        module: its name; the bench's streams are MODULE_PORT.
        inputs: its input streams.
        outputs: its output streams.
        scalars: plain inputs: name and bits.
        lites: AXI-lite slaves: prefix and address bits; the bench's are MODULE_PREFIX.
        clocks: further clock inputs, tied to ap_clk.
        open_ports: outputs left open.
    """

    module: str
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    scalars: tuple[tuple[str, int], ...] = ()
    lites: tuple[tuple[str, int], ...] = ()
    clocks: tuple[str, ...] = ()
    open_ports: tuple[str, ...] = ()


def bench_design(top: str, instances: Sequence[Instance], sources: Sequence[Path], folder: Path) -> Design:
    """Writes the top into `folder` and describes the whole.

    Args:
        top: name of the bench's module.
        instances: modules under test, each module once.
        sources: their files, packages first.
        folder: takes TOP.sv.
    """
    ports, body = ["input ap_clk", "input ap_rst_n"], []
    inputs: list[Stream] = []
    outputs: list[Stream] = []
    scalars: list[str] = []
    lites: list[str] = []
    for item in instances:
        pins = [".ap_clk(ap_clk)", ".ap_rst_n(ap_rst_n)", *(f".{clock}(ap_clk)" for clock in item.clocks)]
        for stream, way in (*((s, "input") for s in item.inputs), *((s, "output") for s in item.outputs)):
            name = f"{item.module}_{stream.name}"
            back = "output" if way == "input" else "input"
            ports += [f"{way} [{stream.bits - 1}:0] {name}_TDATA", f"{way} {name}_TVALID", f"{back} {name}_TREADY"]
            pins += [f".{stream.name}_{pin}({name}_{pin})" for pin in ("TDATA", "TVALID", "TREADY")]
            (inputs if way == "input" else outputs).append(Stream(name, stream.bits))
        for scalar, bits in item.scalars:
            ports.append(f"input [{bits - 1}:0] {item.module}_{scalar}")
            pins.append(f".{scalar}({item.module}_{scalar})")
            scalars.append(f"{item.module}_{scalar}")
        for lite, address_bits in item.lites:
            lites.append(f"{item.module}_{lite}")
            ports += lite_ports(f"{item.module}_{lite}", address_bits)
            pins += [f".{lite}_{pin}({item.module}_{lite}_{pin})" for pin in LITE_PINS]
        pins += [f".{port}()" for port in item.open_ports]
        body.append(f"\t{item.module} u_{item.module} (\n\t\t" + ",\n\t\t".join(pins) + "\n\t);")
    text = f"module {top} (\n\t" + ",\n\t".join(ports) + "\n);\n" + "\n".join(body) + "\nendmodule\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{top}.sv"
    path.write_text(text)
    return Design(top, (*sources, path), tuple(inputs), tuple(outputs), tuple(scalars), tuple(lites))
