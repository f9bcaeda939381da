"""Which operators become RTL of the project's own, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from finn_build.errors import CheckFailed, UserError
from finn_build.nodes.variants import choose_rtl, register_rtl_nodes, require_rtl
from finn_build.rtl.library import rtl_library

HLS = "finn.custom_op.fpgadataflow.hls"
RTL = "finn.custom_op.fpgadataflow.rtl"
PART = "xc7z020clg400-1"


def graph(node, shapes, outputs=("out",)):
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    inputs = [infos[name] for name in node.input if name in infos]
    model = ModelWrapper(qonnx_make_model(helper.make_graph([node], "one", inputs, [infos[name] for name in outputs])))
    for name in shapes:
        model.set_tensor_datatype(name, DataType["INT4"])
    return model


def add_node(domain=HLS, op="ElementwiseAdd_hls", rhs=(1, 2, 2, 8)):
    return helper.make_node(
        op, ["a", "b"], ["out"], name="add", domain=domain, backend="fpgadataflow", lhs_dtype="INT4", rhs_dtype="UINT7",
        out_dtype="INT9", lhs_shape=[1, 2, 2, 8], rhs_shape=list(rhs), out_shape=[1, 2, 2, 8], PE=4,
    )  # fmt: skip


def fork_node(domain=HLS, op="DuplicateStreams_hls"):
    return helper.make_node(
        op, ["a"], ["out", "out2"], name="fork", domain=domain, backend="fpgadataflow", NumChannels=8, PE=2,
        NumOutputStreams=2, inputDataType="INT4", numInputVectors=[1, 2, 2],
    )  # fmt: skip


ADD = {"a": [1, 2, 2, 8], "b": [1, 2, 2, 8], "out": [1, 2, 2, 8]}
FORK = {"a": [1, 2, 2, 8], "out": [1, 2, 2, 8], "out2": [1, 2, 2, 8]}


def test_forks_and_additions_become_rtl_and_compute_the_same():
    model = graph(add_node(), ADD)
    with pytest.raises(CheckFailed, match="add is ElementwiseAdd_hls, which only vendor tools"):
        require_rtl(model)
    assert choose_rtl(model) == ["add"]
    assert choose_rtl(model) == []
    require_rtl(model)
    node = getCustomOp(model.graph.node[0])
    assert type(node).__module__ == "finn_build.nodes.residual_add"
    assert (node.get_instream_width(0), node.get_instream_width(1), node.get_outstream_width()) == (16, 28, 36)
    assert node.get_exp_cycles() == 8
    assert 0 < node.lut_estimation(PART) < 200
    rng = np.random.default_rng(0)
    context = {name: rng.integers(0, 8, ADD[name]).astype(np.float32) for name in ("a", "b")} | {"out": None}
    node.execute_node(context, model.graph)
    assert np.array_equal(context["out"], context["a"] + context["b"])


def test_the_fork_writes_its_modules_beside_its_wrapper(tmp_path):
    model = graph(fork_node(), FORK, ("out", "out2"))
    choose_rtl(model)
    node = getCustomOp(model.graph.node[0])
    node.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    node.generate_hdl(model, PART, 10.0)
    assert node.get_rtl_file_list() == ["stream_skid.sv", "stream_fork.sv", "fork.v"]
    assert all(Path(file).stat().st_size > 100 for file in node.get_rtl_file_list(abspath=True))
    assert "stream_fork #(.WIDTH(8), .OUTPUTS(2))" in (tmp_path / "fork.v").read_text()
    commands = node.code_generation_ipi()
    assert commands[-1] == "create_bd_cell -type module -reference fork fork"
    assert commands[0] == f"add_files -norecurse {tmp_path / 'stream_skid.sv'}"
    assert [name for name, _ in node.get_verilog_top_module_intf_names()["m_axis"]] == ["out0_V", "out1_V"]
    context = {"a": np.arange(32, dtype=np.float32).reshape(1, 2, 2, 8)}
    node.execute_node(context, model.graph)
    assert np.array_equal(context["out"], context["a"])
    assert np.array_equal(context["out2"], context["a"])


def test_a_broadcast_or_constant_operand_is_refused():
    with pytest.raises(UserError, match="node add: expected two streams of one shape, got "):
        choose_rtl(graph(add_node(rhs=(1, 1, 1, 8)), {**ADD, "b": [1, 1, 1, 8]}))
    model = graph(add_node(), ADD)
    model.set_initializer("b", np.ones((1, 2, 2, 8), np.float32))
    with pytest.raises(UserError, match="got constant b"):
        choose_rtl(model)


def matrix_node(**changed):
    values = {
        "MW": 12, "MH": 8, "PE": 8, "SIMD": 3, "inputDataType": "UINT5", "weightDataType": "INT5",
        "outputDataType": "INT14", "accDataType": "INT14", "noActivation": 1, "ActVal": 0, "binaryXnorMode": 0,
        "numInputVectors": [1, 2, 2], "resType": "lut", "mem_mode": "internal_decoupled", "ram_style": "distributed",
    }  # fmt: skip
    return helper.make_node(
        "MVAU_rtl", ["a", "w"], ["out"], name="matrix", domain=RTL, backend="fpgadataflow", **{**values, **changed}
    )


def matrix(**changed):
    register_rtl_nodes()
    model = graph(matrix_node(**changed), {"a": [1, 2, 2, 12], "out": [1, 2, 2, 8]})
    weights = np.random.default_rng(0).integers(-15, 16, (12, 8)).astype(np.float32)
    model.set_initializer("w", weights)
    model.set_tensor_datatype("w", DataType["INT5"])
    return model, getCustomOp(model.graph.node[0])


def test_multipliers_in_luts_take_no_dsp():
    _, in_luts = matrix()
    _, in_dsps = matrix(resType="auto")
    assert in_luts.dsp_estimation(PART) == 0
    assert in_luts.lut_estimation(PART) > 500
    # W5A5: three of a DSP's lanes, so PE 8 takes three DSPs a SIMD lane, where FINN says two.
    assert in_dsps.dsp_estimation(PART) == 9


def test_two_lanes_share_a_dsp_of_a_chain():
    _, chain = matrix(resType="dsp", dspStyle="chain", PE=4, SIMD=6)
    assert chain.dsp_estimation(PART) == 2 * 6
    assert 0 < chain.lut_estimation(PART) < matrix(PE=4, SIMD=6)[1].lut_estimation(PART)


@pytest.mark.parametrize(
    ("part", "changed", "said"),
    [
        ("xck26-sfvc784-2LV-c", {}, "expected lanes: chains are written for DSP48E1, got chain on xck26"),
        (PART, {"inputDataType": "UINT16"}, "2·W + A + ⌈log2 chain⌉ up to 24, got SIMD 3, W5 A16; take lanes"),
    ],
)
def test_chains_refuse_what_they_cannot_hold(tmp_path, part, changed, said):
    model, node = matrix(resType="dsp", dspStyle="chain", **changed)
    node.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with pytest.raises(UserError) as caught:
        node.generate_hdl(model, part, 10.0)
    assert said in str(caught.value)


def test_lut_multipliers_keep_the_weights_memory(tmp_path):
    from finn_build.adapter import finn_session

    model, node = matrix()
    code = tmp_path / "code"
    code.mkdir()
    node.set_nodeattr("code_gen_dir_ipgen", str(code))
    with finn_session(tmp_path / "finn"):
        node.generate_hdl(model, PART, 10.0)
        files = node.get_rtl_file_list(abspath=True)
        commands = node.code_generation_ipi()
    names = [file.rpartition("/")[2] for file in files]
    expected = {"replay_buffer.sv", "mvu_own.sv", "weight_rom.sv", "matrix_wrapper.v", "matrix_memstream_wrapper.v"}
    assert expected <= set(names)
    assert "mvu.sv" not in names
    assert (code / "memblock.dat").read_text().count("\n") == 12 * 8 // (8 * 3)
    assert f"add_files -norecurse {rtl_library()}/mvu/replay_buffer.sv" in commands
    assert "create_bd_cell -type hier -reference matrix /matrix/matrix" in commands


def test_lut_multipliers_refuse_other_memory_modes(tmp_path):
    model, node = matrix(mem_mode="external")
    node.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with pytest.raises(UserError, match="node matrix, mem_mode: expected internal_decoupled with resType lut"):
        node.generate_hdl(model, PART, 10.0)
