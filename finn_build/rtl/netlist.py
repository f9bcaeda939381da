"""The specialised graph as blocks of RTL and the streams between them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from finn_build.errors import CheckFailed, UserError

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

_PORT = re.compile(
    r"^\s*(?:\(\*.*?\*\)\s*)*(input|output)\s+(?:wire|reg|logic)?\s*(\[[^\]]*\])?\s*(\w+)\s*[,;)]?", re.M
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
MEMORY_STREAM = "m_axis_0"


@dataclass(frozen=True)
class Port:
    """A stream of a block.

    Args:
        name: prefix, e.g. in0_V.
        bits: of TDATA.
        tensor: the graph's tensor that it carries.
    """

    name: str
    bits: int
    tensor: str


@dataclass(frozen=True)
class Block:
    """One node.

    Args:
        name: the node's.
        op: the generic operator.
        module: its wrapper's module.
        memory: the module of its weights' memory, or None.
        inputs: streams in; constants are none.
        outputs: streams out.
        ports: every port of the wrapper, with its direction.
        memory_ports: likewise of the memory's wrapper.
        sources: SystemVerilog files, in the order of compilation.
        depth: of a FIFO, in words; 0 for anything else.
        memory_bits: of a word of its weights' memory, whole bytes; 0 without one.
        control_bits: of the addresses of its registers, behind AXI-lite; 0 without any.
    """

    name: str
    op: str
    module: str
    memory: str | None
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    ports: dict[str, str]
    memory_ports: dict[str, str]
    sources: tuple[Path, ...]
    depth: int = 0
    memory_bits: int = 0
    control_bits: int = 0


@dataclass(frozen=True)
class Edge:
    """A stream between two blocks, or between one and the outside (None).

    Args:
        tensor: what it carries.
        bits: of TDATA.
        words: of an image.
        producer: block and port.
        consumer: block and port.
    """

    tensor: str
    bits: int
    words: int
    producer: tuple[str, str] | None
    consumer: tuple[str, str] | None

    @property
    def title(self) -> str:
        """From where to where."""
        ends = [end[0] if end else "outside" for end in (self.producer, self.consumer)]
        return " → ".join(ends)


@dataclass(frozen=True)
class Netlist:
    """Blocks in the graph's order and the streams between them.

    Args:
        blocks: all nodes that are hardware here.
        edges: all streams.
        input: the stream from outside, and its values' bits.
        output: the stream to outside, and its values' bits.
        folder: the generated code; memory files are named relative to it.
    """

    blocks: tuple[Block, ...]
    edges: tuple[Edge, ...]
    input: Edge
    output: Edge
    input_value_bits: int
    output_value_bits: int
    output_values: int
    folder: Path


def read_netlist(model: "ModelWrapper", folder: Path, *, end_at: str | None = None) -> Netlist:
    """Collects what the generated code of a graph consists of.

    Args:
        model: specialised and connected, with FIFOs; its nodes' code lies in `folder`, a folder each.
        folder: of the generated code.
        end_at: leave this operator and all behind it out, for instance the CAM block where it is C++.

    Raises:
        UserError: a node has no generated RTL.
        CheckFailed: a memory file is missing or empty, or two streams that are one differ in width.
    """
    folder = folder.resolve()
    nodes = [node for node in model.graph.node if not str(node.op_type).startswith("IODMA")]
    if end_at is not None:
        nodes = _before(nodes, end_at)
    blocks = read_blocks(model, folder, nodes)
    words = {tensor: count for node in nodes for tensor, count in _words(node, bits=False).items()}
    value_bits = {tensor: count for node in nodes for tensor, count in _words(node, bits=True).items()}
    edges = _edges(blocks, words)
    outside = [edge for edge in edges if edge.producer is None], [edge for edge in edges if edge.consumer is None]
    for found, what in zip(outside, ("input", "output"), strict=True):
        if len(found) != 1:
            got = ", ".join(edge.tensor for edge in found) or "none"
            raise UserError(f"accelerator {what}", "one stream", got, "end the graph at the tap or the CAM block")
    first, last = outside[0][0], outside[1][0]
    values = _values(model, last.tensor)
    return Netlist(blocks, edges, first, last, value_bits[first.tensor], value_bits[last.tensor], values, folder)


def read_blocks(model: "ModelWrapper", folder: Path, nodes: Iterable["NodeProto"]) -> tuple[Block, ...]:
    """Nodes of a specialised graph as blocks; their generated code lies below `folder`, a folder each.

    Raises:
        UserError: a node has no generated RTL.
    """
    from finn_build.adapter import finn_session
    from finn_build.nodes.registry import register_nodes
    from finn_build.nodes.variants import register_rtl_nodes

    register_nodes()
    register_rtl_nodes()
    with TemporaryDirectory() as scratch, finn_session(Path(scratch)):
        return tuple(_block(model, node, folder.resolve()) for node in nodes)


def memory_files(netlist: Netlist) -> list[Path]:
    """Files that the memories are initialised from, below the netlist's folder."""
    return sorted(path for block in netlist.blocks for path in (netlist.folder / block.name).glob("*.dat"))


def _before(nodes: list["NodeProto"], op: str) -> list["NodeProto"]:
    behind: set[str] = set()
    kept = []
    for node in nodes:
        if str(node.op_type).rpartition("_")[0] == op or behind & set(node.input):
            behind |= set(node.output)
        else:
            kept.append(node)
    # What only leads there is left out as well: the FIFO in front of the block stays, none behind it does.
    return kept


def _block(model: "ModelWrapper", node: "NodeProto", folder: Path) -> Block:
    from qonnx.custom_op.registry import getCustomOp

    instance = getCustomOp(node)
    if not str(node.domain).endswith(".rtl"):
        raise UserError(f"node {node.name}", "RTL", str(node.op_type), "choose its RTL variant, or a C++ CAM block")
    own = folder / node.name
    kept = instance.get_nodeattr("code_gen_dir_ipgen")
    instance.set_nodeattr("code_gen_dir_ipgen", str(own))
    try:
        files = [Path(file) for file in instance.get_rtl_file_list(abspath=True)]
    finally:
        instance.set_nodeattr("code_gen_dir_ipgen", kept)
    module = str(instance.get_nodeattr("gen_top_module"))
    for file in files:
        if not file.is_file():
            raise UserError(
                f"node {node.name}", f"generated code with {file.name}", "no such file", "run codegen again"
            )
    names = instance.get_verilog_top_module_intf_names()
    streams = [name for name in node.input if model.get_initializer(name) is None]
    memories = [file for file in files if file.name.endswith("_memstream_wrapper.v")]
    ports = _ports(files, module)
    return Block(
        name=str(node.name),
        op=str(node.op_type).rpartition("_")[0],
        module=module,
        memory=memories[0].stem if memories else None,
        inputs=tuple(Port(n, int(b), t) for (n, b), t in zip(names["s_axis"], streams, strict=True)),
        outputs=tuple(Port(n, int(b), t) for (n, b), t in zip(names["m_axis"], node.output, strict=True)),
        ports=ports,
        memory_ports=_ports(files, memories[0].stem) if memories else {},
        sources=tuple(files),
        depth=int(instance.get_nodeattr("depth")) if node.op_type == "StreamingFIFO_rtl" else 0,
        memory_bits=int(instance.get_instream_width_padded(1)) if memories else 0,
        control_bits=int(getattr(instance, "control_bits", 0)),
    )


def _ports(files: Iterable[Path], module: str) -> dict[str, str]:
    """Port name → input or output, from the module's header or, in the old style, its body's declarations."""
    for file in files:
        text = _COMMENT.sub("", file.read_text(encoding="utf-8"))
        match = re.search(rf"\bmodule\s+{module}\b(.*?)\bendmodule\b", text, re.S)
        if match is not None:
            found = {name: way for way, _, name in _PORT.findall(match[1])}
            if found:
                return found
    raise UserError(f"module {module}", "a definition with ports in the generated code", "none", "run codegen again")


def _words(node: "NodeProto", *, bits: bool) -> dict[str, int]:
    """Tensor → words an image on its stream, or bits of a value."""
    import math

    from qonnx.custom_op.registry import getCustomOp

    instance = getCustomOp(node)
    found = {}
    for index, tensor in enumerate(node.output):
        shape = instance.get_folded_output_shape(index)
        found[tensor] = int(instance.get_output_datatype(index).bitwidth()) if bits else math.prod(shape[:-1])
    first = node.input[0]
    found.setdefault(
        first,
        int(instance.get_input_datatype(0).bitwidth()) if bits else math.prod(instance.get_folded_input_shape(0)[:-1]),
    )
    return {tensor: int(count) for tensor, count in found.items()}


def _values(model: "ModelWrapper", tensor: str) -> int:
    import math

    return int(math.prod(model.get_tensor_shape(tensor)))


def _edges(blocks: tuple[Block, ...], words: dict[str, int]) -> tuple[Edge, ...]:
    producers: dict[str, tuple[Block, Port]] = {}
    consumers: dict[str, tuple[Block, Port]] = {}
    for block in blocks:
        for port in block.outputs:
            producers[port.tensor] = (block, port)
        for port in block.inputs:
            if port.tensor in consumers:
                what = f"{port.tensor} feeds {consumers[port.tensor][0].name} and {block.name} without a fork"
                raise CheckFailed("rtl", what, "the graph lacks a DuplicateStreams node")
            consumers[port.tensor] = (block, port)
    edges = []
    for tensor in dict.fromkeys([*(p.tensor for b in blocks for p in b.inputs), *producers]):
        source, sink = producers.get(tensor), consumers.get(tensor)
        widths: set[Any] = {end[1].bits for end in (source, sink) if end}
        if len(widths) != 1 and source and sink:
            what = f"{source[0].name} sends words of {source[1].bits} bits, {sink[0].name} takes {sink[1].bits}"
            raise CheckFailed("rtl", what, "a width converter is missing between them")
        edges.append(
            Edge(
                tensor,
                int(widths.pop()),
                words[tensor],
                (source[0].name, source[1].name) if source else None,
                (sink[0].name, sink[1].name) if sink else None,
            )
        )
    return tuple(edges)
