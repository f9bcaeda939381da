import numpy as np
import pytest
from graph_helpers import PART, SIZE, chain, images, run
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from cam_postproc.arithmetic import run_cam
from cam_postproc.cost import estimate_cost
from cam_postproc.packet import decode_packets
from finn_build.adapter import quiet
from finn_build.graph.specialise import specialise
from finn_build.graph.tap import cut_at_tap
from finn_build.nodes import register_nodes
from finn_build.nodes.cam import CamNode, append_cam
from finn_build.nodes.cam_hls import split_top


@pytest.fixture(scope="module")
def block() -> CamNode:
    return CamNode(chain().head, (SIZE, SIZE))


@pytest.mark.parametrize("bias", [False, True])
def test_the_node_computes_the_integer_specification(bias: bool) -> None:
    c = chain(fc_bias=bias)
    block = CamNode(c.head, (12, 10), "top-left", shown=2)
    model = append_cam(cut_at_tap(c.lowered), block, "packet")
    expected = run(c.lowered)
    for index in (0, 3):
        with quiet():
            out = execute_onnx(model, {"image": images()[index : index + 1].astype(np.float32)})["packet"]
        tap = expected["tap"][index : index + 1].astype(np.uint8)
        wanted = run_cam(block.spec, tap, c.head.fc_weight, c.head.bias)
        assert np.array_equal(out, wanted.packet)
        packet = decode_packets(block.spec.layout, out.astype(np.uint8))
        assert np.array_equal(packet.logits, expected["logits"][index : index + 1])
        assert packet.maps.shape == (1, 2, 12, 10)


def test_shapes_types_and_streams_follow_the_folding(block: CamNode) -> None:
    model = append_cam(cut_at_tap(chain().lowered), block, "packet")
    node = getCustomOp(model.graph.node[-1])
    length = block.spec.layout.length
    assert node.get_normal_input_shape() == (1, 4, 4, 8)
    assert node.get_normal_output_shape() == (1, length)
    node.set_nodeattr("PE", 4)
    node.set_nodeattr("OutBytes", 8)
    assert node.get_folded_input_shape() == (1, 4, 4, 2, 4)
    assert node.get_folded_output_shape() == (1, length // 8, 8)
    assert (node.get_instream_width(0), node.get_instream_width(1), node.get_outstream_width()) == (16, 0, 64)
    assert (node.get_input_datatype(), node.get_output_datatype()) == (DataType["UINT4"], DataType["UINT8"])
    assert node.get_number_output_values() == length // 8
    assert node.get_exp_cycles() == estimate_cost(node.block).interval
    node.set_nodeattr("PE", 3)
    with pytest.raises(ValueError, match="PE 3 does not divide 8 channels"):
        node.get_folded_input_shape()


def test_registering_twice_changes_nothing() -> None:
    from finn.custom_op import fpgadataflow

    register_nodes()
    before = dict(fpgadataflow.custom_op)
    register_nodes()
    assert fpgadataflow.custom_op == before
    node = helper.make_node("ClassActivationMap_hls", ["a"], ["b"], domain="finn.custom_op.fpgadataflow.hls")
    assert type(getCustomOp(node)).__name__ == "ClassActivationMap_hls"


def test_the_specialised_node_still_executes(block: CamNode) -> None:
    specialised, _ = specialise(chain().generic, PART)
    node = specialised.graph.node[-1]
    assert node.op_type == "ClassActivationMap_hls"
    tap = run(chain().lowered)["tap"][:1]
    context = {
        node.input[0]: tap.astype(np.float32),
        node.input[1]: specialised.get_initializer(node.input[1]),
        node.input[2]: specialised.get_initializer(node.input[2]),
    }
    getCustomOp(node).execute_node(context, specialised.graph)
    wanted = run_cam(block.spec, tap.astype(np.uint8), chain().head.fc_weight, chain().head.bias)
    assert np.array_equal(context[node.output[0]], wanted.packet)


def test_the_generated_top_takes_finns_names() -> None:
    source = (
        '#include "cam_top.h"\nstatic unsigned cam_frame = 0;\n\nvoid cam_top(A &tap, B &packet) {\n'
        "#pragma HLS INTERFACE axis port=tap\n  cam::frame_tap_rom(tap, packet);\n}\n#ifndef X\nvoid cam_reset() {}\n"
    )
    parts = split_top(source, "Node_0")
    assert parts["signature"] == ["void Node_0(A &in0_V, B &out0_V)"]
    assert parts["pragmas"] == ["#pragma HLS INTERFACE axis port=in0_V"]
    assert [line.strip() for line in parts["body"]] == ["cam::frame_tap_rom(in0_V, out0_V);"]
    assert parts["globals"][0] == '#include "cam_config.h"'
    with pytest.raises(ValueError, match="no packet"):
        split_top(source.replace("packet", "other"), "Node_0")
    with pytest.raises(ValueError, match="no function"):
        split_top(source.replace("void cam_top", "int cam_top"), "Node_0")
