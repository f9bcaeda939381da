"""The stream model against the RTL: interval, latency and FIFO use, and a deadlock at the very depth that it says."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qonnx.custom_op.registry import getCustomOp
from small_accelerator import PART, golden_set, small_code, small_specialised

from finn_build.adapter import quiet
from finn_build.errors import CheckFailed
from finn_build.folding.rules import divisors
from finn_build.graph.fifos import connect, set_safe_depths
from finn_build.rtl.simulate import simulate
from finn_build.streams.build import connect_with_least_depths, node_depths
from finn_build.streams.graph import stream_graph
from finn_build.streams.simulate import simulate_streams
from finn_build.streams.stuck import find_deadlock

IMAGES = 4


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "golden.npz"
    golden_set(path)
    return path


def compared(folder, golden, programs, **made):
    """Model and simulation of the small accelerator: both runs, after their bars have held."""
    code = folder / "code"
    predicted = simulate_streams(stream_graph(small_code(code, **made)), IMAGES)
    found = simulate(code / "graph.onnx", code, golden, folder / "rtl", cache=programs, images=IMAGES)
    assert found.mismatches == 0
    assert abs(predicted.interval_cycles - found.interval_cycles) <= 0.01 * found.interval_cycles
    assert abs(predicted.latency_cycles - found.latency_cycles) <= 0.05 * found.latency_cycles
    return predicted, found


def test_the_model_predicts_interval_latency_and_every_fifo(tmp_path, golden, programs):
    predicted, found = compared(tmp_path, golden, programs)
    assert predicted.interval_cycles == found.interval_cycles
    assert predicted.high_water == {fifo.name: fifo.high_water for fifo in found.fifos}


def test_the_model_knows_how_long_chains_of_dsps_take(tmp_path, golden, programs):
    # Against one core of another latency; what the CAM block's normalisation takes depends on the image alone.
    plain, chains = (
        compared(tmp_path / name, golden, programs, folding={"MVAU_rtl_1": {"PE": 4, "SIMD": 36, **words}})
        for name, words in (("luts", {"resType": "lut"}), ("chains", {"dspStyle": "chain"}))
    )
    # Two chains of 18, and their sums a cycle later: 23 cycles to the queue, where LUTs take 3.
    assert chains[0].latency_cycles - plain[0].latency_cycles == 20
    assert chains[1].latency_cycles - plain[1].latency_cycles == 20


@pytest.mark.verify
def test_a_bypass_one_word_too_shallow_stops_model_and_simulation_alike(tmp_path, golden, programs):
    with quiet():
        connected = connect(set_safe_depths(small_specialised())[0], PART)
    graph = stream_graph(connected)
    tight = graph.with_depths(dict.fromkeys(graph.fifos, 2))
    stuck = find_deadlock(tight)
    shallow = dict.fromkeys(graph.fifos, 2)
    one_less, enough = (
        node_depths(connected, shallow | {stuck.fifo: depth}) for depth in (stuck.needed - 1, stuck.needed)
    )
    small_code(tmp_path / "less", depths=one_less)
    files = tmp_path / "less" / "graph.onnx", tmp_path / "less", golden, tmp_path / "rtl"
    with pytest.raises(CheckFailed) as caught:
        simulate(*files, cache=programs, images=2, idle_cycles=20_000)
    assert f"{stuck.join} waits for a word of {stuck.waits_for} while the branch from {stuck.fork}" in str(caught.value)
    assert f"{stuck.fifo} (depth {stuck.needed - 1})" in str(caught.value)
    predicted, found = compared(tmp_path / "enough", golden, programs, depths=enough)
    assert predicted.interval_cycles == found.interval_cycles


@pytest.mark.verify
def test_least_depths_reach_full_speed_in_the_simulation(tmp_path, golden, programs):
    made = connect_with_least_depths(small_specialised(), {}, "folding", PART)
    _, found = compared(tmp_path, golden, programs, depths=made.nodes)
    assert found.interval_cycles == made.found.full_interval_cycles


@st.composite
def foldings(draw):
    """Legal foldings of the small accelerator's layers."""
    found = {}
    for node in small_specialised().graph.node:
        instance = getCustomOp(node)
        limits = {
            "MVAU_rtl": {"PE": "MH", "SIMD": "MW"},
            "Thresholding_rtl": {"PE": "NumChannels"},
            "ConvolutionInputGenerator_rtl": {"SIMD": "IFMChannels"},
            "FMPadding_rtl": {"SIMD": "NumChannels"},
            "DuplicateStreams_rtl": {"PE": "NumChannels"},
        }.get(node.op_type, {})
        values = {key: draw(st.sampled_from(divisors(instance.get_nodeattr(whole)))) for key, whole in limits.items()}
        if node.op_type == "MVAU_rtl" and instance.get_nodeattr("resType") != "lut":
            # FINN's core loses results at one a cycle.
            own = values["SIMD"] == instance.get_nodeattr("MW") or draw(st.booleans())
            values["dspStyle"] = "chain" if own else "lanes"
        if values:
            found[node.name] = values
    return found


@pytest.mark.verify
@given(folding=foldings(), shallow=st.booleans())
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_foldings_run_as_predicted(tmp_path_factory, golden, programs, folding, shallow):
    made = connect_with_least_depths(small_specialised(folding=folding), {}, "folding", PART) if shallow else None
    depths = made.nodes if made is not None else None
    compared(tmp_path_factory.mktemp("random"), golden, programs, folding=folding, depths=depths)
