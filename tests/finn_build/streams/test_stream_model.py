"""The stream model by itself: storage, least depths, deadlocks, and the way into the graph."""

import json

import pytest
from finn.util.resource_models import _resolve
from hypothesis import given, settings
from hypothesis import strategies as st
from small_accelerator import PART, small_specialised

from finn_build.adapter import quiet
from finn_build.errors import CheckFailed
from finn_build.graph.fifos import connect, set_safe_depths
from finn_build.streams.build import connect_with_least_depths, depths, write_fifos
from finn_build.streams.bypass import branches, bypass_fifos
from finn_build.streams.depths import find_depths
from finn_build.streams.graph import stream_graph
from finn_build.streams.simulate import simulate_streams
from finn_build.streams.storage import steps, storage
from finn_build.streams.stuck import find_deadlock


@pytest.fixture(scope="module")
def connected():
    with quiet():
        return connect(set_safe_depths(small_specialised())[0], PART)


@pytest.fixture(scope="module")
def graph(connected):
    return stream_graph(connected)


@pytest.fixture(scope="module")
def bypass(graph):
    """The FIFO at the end of the bypass, which has to be deep."""
    (short, _long) = branches(graph)[0]
    return [graph.names[place] for place in short.nodes if graph.names[place] in graph.fifos][-1]


@pytest.fixture(scope="module")
def least(graph):
    return find_depths(graph, exact=True)


@pytest.mark.parametrize("ram_style", ["auto", "block", "distributed", "srl"])
def test_a_fifo_is_kept_where_finn_keeps_it_and_holds_at_least_its_depth(ram_style):
    for depth in (2, 5, 33, 34, 64, 65, 257, 258, 513, 514, 1026, 2028, 2029, 5000):
        for bits in (4, 8, 16, 40):
            kept = storage(depth, bits, ram_style)
            finn = _resolve(depth, bits, ram_style)
            assert kept.kind == {"srl": "shift", "ultra": "block"}.get(finn, finn)
            assert kept.words >= depth
            assert kept.words == depth or kept.kind == "block" or depth < 5


@pytest.mark.parametrize(("depth", "words"), [(258, 514), (513, 514), (514, 516), (600, 514 + 128), (1025, 1026)])
def test_block_memories_are_whole(depth, words):
    assert storage(depth, 32).words == words


def test_the_steps_of_memory_rise():
    found = list(steps(4096))
    assert found == sorted(set(found))
    assert found[:5] == [33, 65, 129, 257, 513]


def test_the_graph_has_every_operator_and_no_estimate(graph):
    assert graph.estimated == ()
    assert graph.words == (288, 176)
    assert {"FMPadding", "ElementwiseAdd", "ClassActivationMap", "StreamingDataWidthConverter"} <= set(graph.ops)


def test_least_depths_keep_full_speed_and_none_can_lose_a_word(graph, least, bypass):
    assert least.run.interval_cycles == least.full_interval_cycles
    assert not least.run.deadlock
    assert least.depths[bypass] < graph.fifos[bypass].words / 4
    for name in bypass_fifos(graph):
        if least.depths[name] > 2:
            run = simulate_streams(graph.with_depths(least.depths | {name: least.depths[name] - 1}))
            assert run.deadlock or run.interval_cycles > least.full_interval_cycles


def test_a_given_depth_stays(graph, bypass, least):
    found = find_depths(graph, {bypass: 100})
    assert found.depths[bypass] == 100
    tight = find_deadlock(graph.with_depths(dict.fromkeys(graph.fifos, 2)))
    short = dict.fromkeys(bypass_fifos(graph), 2) | {bypass: tight.needed}
    slow = find_depths(graph, short)
    assert {name: slow.depths[name] for name in short} == short
    assert slow.run.interval_cycles > slow.full_interval_cycles == least.full_interval_cycles


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_deeper_fifo_never_makes_a_word_later(graph, data):
    names = sorted(graph.fifos)
    shallow = {name: data.draw(st.integers(2, 40)) for name in data.draw(st.sets(st.sampled_from(names)))}
    deep = {name: depth + data.draw(st.integers(0, 40)) for name, depth in shallow.items()}
    before, after = (simulate_streams(graph.with_depths(found), 2) for found in (shallow, deep))
    assert after.deadlock <= before.deadlock
    if not before.deadlock:
        assert after.latency_cycles <= before.latency_cycles
        assert after.cycles <= before.cycles


def test_a_deadlock_is_named_with_the_depth_that_ends_it(graph, bypass):
    tight = graph.with_depths(dict.fromkeys(graph.fifos, 2))
    found = find_deadlock(tight)
    assert (found.join, found.fork, found.fifo) == ("ElementwiseAdd_rtl_0", "DuplicateStreams_rtl_0", bypass)
    assert f"{bypass} has a depth of 2, it needs {found.needed}" in found.told()
    assert find_deadlock(tight.with_depths({bypass: found.needed})) is None
    again = find_deadlock(tight.with_depths({bypass: found.needed - 1}))
    assert again is not None
    assert again.needed == found.needed


def test_depths_come_back_as_the_fifos_of_the_connected_graph(tmp_path, least):
    made = connect_with_least_depths(small_specialised(), {}, "folding", PART)
    fifos = stream_graph(made.connected).fifos
    assert {name: fifo.depth for name, fifo in fifos.items()} == made.found.depths
    assert depths(made.connected) == made.found.depths
    assert made.found.full_interval_cycles == least.full_interval_cycles
    write_fifos(tmp_path / "fifos.json", made)
    told = json.loads((tmp_path / "fifos.json").read_text())
    assert told["interval_cycles"] == made.found.run.interval_cycles
    assert [row["depth"] for row in told["fifos"]] == list(made.found.depths.values())
    with quiet():
        again = connect(set_safe_depths(small_specialised(), told["folding"])[0], PART)
    assert {name: fifo.depth for name, fifo in stream_graph(again).fifos.items()} == made.found.depths


def test_given_depths_that_deadlock_are_refused_by_name():
    given = {
        "ElementwiseAdd_rtl_0": {"inFIFODepths": [2, 2]},
        "Thresholding_rtl_1": {"inFIFODepths": [2], "outFIFODepths": [2]},
    }
    with pytest.raises(
        CheckFailed, match=r"ElementwiseAdd_rtl_0 waits for .* from DuplicateStreams_rtl_0 .* it needs \d"
    ):
        connect_with_least_depths(small_specialised(), given, "folding.json", PART)
