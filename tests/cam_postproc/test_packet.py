import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam_postproc.arithmetic import run_cam
from cam_postproc.errors import CamError
from cam_postproc.packet import PacketLayout, Packets, decode_packets, encode_packets, shown_classes
from cam_postproc.spec import CamSpec

LAYOUT = PacketLayout(classes=3, height=2, width=5, maps=2)


def random_packets(layout, seed, frames):
    rng = np.random.default_rng(seed)
    gated = rng.random(frames) < 0.3
    constant = rng.random(frames) < 0.3
    maps = rng.integers(0, 256, (frames, layout.maps, layout.height, layout.width)).astype(np.uint8)
    maps[gated] = 0
    maps[constant, 0] = 0
    peak = rng.integers(0, [layout.width, layout.height], (frames, 2)).astype(np.uint16)
    peak[gated] = 0
    return Packets(
        class_index=rng.integers(0, layout.classes, frames).astype(np.uint16),
        shown_class=rng.integers(0, layout.classes, frames).astype(np.uint16),
        peak=peak,
        gated=gated,
        constant=constant,
        frame=rng.integers(0, 2**32, frames).astype(np.uint32),
        logits=rng.integers(-(2**31), 2**31, (frames, layout.classes)).astype(np.int32),
        maps=maps,
    )


@settings(max_examples=50, deadline=None)
@given(
    layout=st.builds(PacketLayout, st.integers(2, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 2)),
    frames=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_decoding_undoes_encoding(layout, frames, seed):
    packets = random_packets(layout, seed, frames)
    data = encode_packets(layout, packets)
    assert data.shape == (frames, layout.length)
    assert layout.length % 8 == 0
    assert 0 <= layout.length - layout.used_bytes < 8
    for source in (data, data.tobytes(), data.reshape(-1)):
        decoded = decode_packets(layout, source)
        for name in Packets.__dataclass_fields__:
            before, after = getattr(packets, name), getattr(decoded, name)
            assert before.dtype == after.dtype
            assert (before == after).all()


def test_the_bytes_are_those_of_the_contract():
    packets = Packets(
        class_index=np.array([2], dtype=np.uint16),
        shown_class=np.array([1], dtype=np.uint16),
        peak=np.array([[4, 1]], dtype=np.uint16),
        gated=np.array([False]),
        constant=np.array([False]),
        frame=np.array([0x01020304], dtype=np.uint32),
        logits=np.array([[-1, 70000, 5]], dtype=np.int32),
        maps=np.arange(20, dtype=np.uint8).reshape(1, 2, 2, 5),
    )
    data = encode_packets(LAYOUT, packets)[0].tobytes()
    assert data == struct.pack("<6HI3i20s", 1, 2, 1, 4, 1, 0, 0x01020304, -1, 70000, 5, bytes(range(20)))
    assert LAYOUT.length == 48


def test_a_gated_frame_sends_zeros_and_never_fewer_bytes():
    packets = random_packets(LAYOUT, 1, 1)
    gated = Packets(**{**packets.__dict__, "gated": np.array([True]), "maps": packets.maps + 1})
    data = encode_packets(LAYOUT, gated)
    assert data.shape == (1, LAYOUT.length)
    decoded = decode_packets(LAYOUT, data)
    assert decoded.gated.all()
    assert not decoded.maps.any()
    assert decoded.peak.tolist() == [[0, 0]]
    assert (decoded.logits == packets.logits).all()
    assert decoded.frame == packets.frame


def corrupt(offset, value, layout=LAYOUT):
    data = encode_packets(layout, random_packets(layout, 2, 3))
    data[1, 10:12] = 0
    data[1, offset] = value
    return data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "expected a multiple of 48 bytes, got 0 bytes"),
        (bytes(47), "got 47 bytes"),
        (np.zeros((2, 47), dtype=np.uint8), "rows of 48 bytes"),
        (np.zeros(48, dtype=np.int32), "uint8 bytes"),
        (corrupt(0, 2), "packet 1, version: expected 1, got 2"),
        (corrupt(2, 3), "packet 1, class_index: expected less than 3, got 3"),
        (corrupt(4, 3), "shown_class"),
        (corrupt(6, 5), "peak_x: expected less than 5, got 5"),
        (corrupt(8, 2), "peak_y"),
        (corrupt(10, 4), "flags"),
    ],
)
def test_a_packet_that_cannot_be_is_refused(data, expected):
    with pytest.raises(CamError) as caught:
        decode_packets(LAYOUT, data)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_padding_and_maps_of_gated_frames_must_be_zero():
    layout = PacketLayout(3, 3, 3)
    data = encode_packets(layout, random_packets(layout, 2, 1))
    data[0, -1] = 1
    with pytest.raises(CamError, match="padding"):
        decode_packets(layout, data)
    for flag in (1, 2):
        data = encode_packets(layout, random_packets(layout, 2, 1))
        data[0, layout.maps_offset] = 9
        data[0, 10] = flag
        with pytest.raises(CamError, match="zeros in a gated or constant frame"):
            decode_packets(layout, data)


def test_arrays_of_another_layout_are_refused():
    packets = random_packets(LAYOUT, 0, 2)
    with pytest.raises(CamError, match="packet logits"):
        encode_packets(PacketLayout(4, 2, 5, 2), packets)
    with pytest.raises(CamError, match="packet layout, maps: expected 1 to 3, got 4"):
        PacketLayout(3, 2, 5, 4)


def test_the_packet_of_the_specification_decodes_to_its_result(synthetic):
    spec = CamSpec(4, 5, 16, 7, 3, 4, 20, 33, shown=3, bias_bits=9)
    weight, bias = synthetic.head(spec, 1)
    tap = synthetic.tap(spec, 1, 5)
    tap[2] = 3
    result = run_cam(spec, tap, weight, bias, select=4, gate=-100, first_frame=17)
    packets = decode_packets(spec.layout, result.packet)
    assert (packets.logits == result.logits).all()
    assert (packets.maps == result.heatmaps).all()
    assert (packets.peak == result.peak).all()
    assert (packets.gated == result.gated).all()
    assert (packets.constant == result.constant).all()
    assert packets.constant.tolist() == [False, False, True, False, False]
    assert packets.frame.tolist() == [17, 18, 19, 20, 21]
    assert (shown_classes(packets.logits, 3, 4) == result.shown_classes).all()
