"""What the scripts say, and that the stand-ins refuse what Vivado would: a file, a port or a width that is wrong."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finn_build.adapter.stitch import each_file_once, stitch, wrapper_where_it_is
from finn_build.errors import CheckFailed, ToolFailed
from finn_build.rtl.netlist import read_blocks
from finn_build.stages.inputs import load_graph
from finn_build.vendor import sources
from finn_build.vendor.build import VendorBuild, VendorSources
from finn_build.vendor.design import Design
from finn_build.vendor.tools import Tools, find_tools

Prepared = tuple[Path, str]
COMPONENT = """<spirit:vendor>xilinx.com</spirit:vendor>
<spirit:library>hls</spirit:library>
<spirit:name>{name}</spirit:name>
<spirit:version>1.0</spirit:version>
<spirit:busInterface>in0_V axis Slave -1 0</spirit:busInterface>
<spirit:busInterface>out0_V axis Master 8 0</spirit:busInterface>
<spirit:busInterface>s_axi_control axilite Slave 32 6</spirit:busInterface>
<spirit:port>ap_clk I</spirit:port>
<spirit:port>ap_rst_n I</spirit:port>
"""


@pytest.fixture(scope="module")
def stitched(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """FINN's script for the small network, its C++ nodes stood in for, and the folder with the RTL."""
    built, folder = place / "build" / "tiny" / "codegen", tmp_path_factory.mktemp("s")
    graph = load_graph(built / "model.onnx")
    cpp = sources.hls_nodes(graph)
    sources.place_rtl(built / "nodes", [n.name for n in graph.graph.node if n.name not in cpp], folder / "rtl")
    for name in cpp:
        ip = folder / "hls" / name / f"project_{name}" / sources.HLS_IP
        ip.mkdir(parents=True)
        (ip / "component.xml").write_text(COMPONENT.format(name=name))
    placed = sources.without_dmas(sources.with_places(graph, folder / "rtl", folder / "hls"))
    made = stitch(placed, "xc7z020clg400-1", 10.0, folder / "project", "StreamingDataflowPartition_1")
    assert made.interfaces["s_axis"] == ["s_axis_0"]
    assert made.interfaces["m_axis"] == ["m_axis_0"]
    assert made.interfaces["axilite"] == ["s_axi_control_0"]
    return folder, made.script.read_text()


def test_the_stitched_hardware_is_the_simulated_one(place: Path, stitched: Prepared) -> None:
    """The same module files: by name, and those of the project's own by content."""
    folder, script = stitched
    # Beside the nodes' files: FINN's switch for the end of a simulation, and the wrapper that Vivado makes.
    added = [Path(name) for name in re.findall(r"^add_files -norecurse (/\S+)$", script, re.MULTILINE)]
    assert all(path.is_file() for path in added)
    by_name = {path.name: path for path in added}
    built = place / "build" / "tiny" / "codegen"
    graph = load_graph(built / "model.onnx")
    rtl = [node for node in graph.graph.node if node.op_type.endswith("_rtl")]
    simulated = {file.name: file for block in read_blocks(graph, built / "nodes", rtl) for file in block.sources}
    assert len(simulated) > len(rtl)
    # Vivado takes FINN's FIFO gauge and its DSP58 core along, which nothing instantiates on this chip.
    assert simulated.keys() <= by_name.keys()
    for name, file in simulated.items():
        old, new = file.read_text(), by_name[name].read_text()
        assert re.sub(r'"[^"]*"', '""', old) == re.sub(r'"[^"]*"', '""', new), name
    assert str(folder / "rtl") in script


def test_memory_files_are_named_by_absolute_paths_that_exist(stitched: Prepared) -> None:
    folder, _ = stitched
    named = [
        match
        for path in (folder / "rtl").rglob("*.v")
        for match in re.findall(r'"([^"\n%]+\.(?:dat|mem))"', path.read_text())
    ]
    assert named
    assert all(Path(name).is_absolute() and Path(name).is_file() for name in named)


def test_a_memory_file_that_is_missing_stops_before_any_tool(place: Path, tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    shutil.copytree(place / "build" / "tiny" / "codegen" / "nodes" / "MVAU_rtl_0", nodes / "MVAU_rtl_0")
    (nodes / "MVAU_rtl_0" / "memblock.dat").unlink()
    with pytest.raises(CheckFailed, match=r"reads MVAU_rtl_0/memblock\.dat"):
        sources.place_rtl(nodes, ["MVAU_rtl_0"], tmp_path / "rtl")


def test_two_files_of_one_name_have_to_be_the_same(tmp_path: Path) -> None:
    for folder, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.sv").write_text(text)
    line = "add_files -norecurse {}/m.sv\n"
    same = line.format(tmp_path / "a") + line.format(tmp_path / "b")
    assert each_file_once(same) == line.format(tmp_path / "a")
    with pytest.raises(CheckFailed, match="share a name"):
        each_file_once(same + line.format(tmp_path / "c"))
    with pytest.raises(CheckFailed, match="makes its wrapper otherwise"):
        wrapper_where_it_is(same, tmp_path, "design")


Change = Callable[[str], str]


@pytest.fixture
def vivado(stand_ins: Path, stitched: Prepared, dependencies: Path, tmp_path: Path) -> Callable[[str], None]:
    """Runs a script that a test changed."""
    tools = find_tools()
    assert isinstance(tools, Tools)
    made_of = VendorSources("tiny", Path(), Path(), "xc7z020clg400-1", 100.0, "0x00000001", 0, dependencies)
    build = VendorBuild(made_of, tools, tmp_path, lambda fraction: None)
    return lambda script: build._vivado(tmp_path, script)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.replace("stream_fork.sv", "stream_frok.sv"), "does not exist"),
        (lambda s: s.replace("-reference ElementwiseAdd_rtl_0 ", "-reference ElementwiseAdd_rtl_9 "), "is invalid"),
        (lambda s: s.replace("xc7z020clg400-1", "xc7z010clg400-1"), "part could not be found"),
        (lambda s: s.replace("StreamingFIFO_rtl_2/out0_V] ", "StreamingFIFO_rtl_2/out1_V] ", 1), "No interface pins"),
        (
            lambda s: s.replace("connect_bd_net [get_bd_ports ap_clk] [get_bd_pins StreamingFIFO_rtl_2/ap_clk]\n", ""),
            "not",
        ),
        (
            lambda s: re.sub(r"connect_bd_intf_net \[get_bd_intf_pins StreamingFIFO_rtl_2/out0_V\].*\n", "", s),
            "not connected",
        ),
        (lambda s: s + "no_such_command\n", "invalid command name"),
    ],
)
def test_the_stand_in_refuses_what_vivado_would(
    change: Change, words: str, stitched: Prepared, vivado: Callable[[str], None], tmp_path: Path
) -> None:
    folder, script = stitched
    # Up to the packaging, in a project of the test's own.
    head = script[: script.index("make_wrapper")].rpartition("\n")[0] + "\n"
    head = head.replace(str(folder / "project"), str(tmp_path))
    changed = change(head)
    assert changed != head
    with pytest.raises(ToolFailed, match=words):
        vivado(changed)
    for left in tmp_path.glob("finn_vivado_stitch_proj.*"):
        left.unlink()
    vivado(head)


def test_the_block_design_names_what_the_driver_asks_for() -> None:
    given = {"part": "xc7z020clg400-1", "clock_mhz": 125.0, "boards": Path("/b"), "repositories": (Path("/ip"),)}
    design = Design(
        **given, vlnv="a:b:c:1.0", input_node="IODMA_hls_0", output_node="IODMA_hls_1", control="s_axi_control_0",
        marks={"build_id": 0x1234ABCD, "packet_bytes": 288},
    )  # fmt: skip
    script = design.script()
    assert "set clock_mhz 125\n" in script
    assert "xilinx.com:hls:IODMA_hls_0:1.0 idma0" in script
    assert "xilinx.com:hls:IODMA_hls_1:1.0 odma0" in script
    assert "create_bd_cell -type ip -vlnv a:b:c:1.0 StreamingDataflowPartition_1" in script
    assert "CONFIG.CONST_VAL 0x1234ABCD" in script
    assert [slave.address for slave in design.slaves] == ["0x40000000", "0x40010000", "0x41000000"]
    without = Design(**given, vlnv="v", input_node="i", output_node="o", control=None, marks={})
    assert "s_axi_control_0" not in without.script()
