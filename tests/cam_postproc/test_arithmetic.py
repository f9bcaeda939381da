from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cam_postproc.arithmetic import (
    class_maps,
    first_peak,
    heatmaps,
    map_logits,
    normalise_maps,
    resize_levels,
    run_cam,
)
from cam_postproc.errors import CamError
from cam_postproc.reference import heatmap_float64, resize_float64
from cam_postproc.spec import CamSpec, sampling_taps, signed_bits, spec_for_head

RESNET8 = CamSpec(8, 8, 128, 10, 5, 5, 32, 32)
WIDEST = CamSpec(16, 16, 512, 3, 8, 8, 224, 224)

SPECS = st.builds(
    CamSpec,
    map_height=st.integers(1, 17),
    map_width=st.integers(1, 17),
    channels=st.sampled_from([1, 16, 24, 512]),
    classes=st.integers(2, 5),
    tap_bits=st.integers(1, 8),
    weight_bits=st.integers(2, 8),
    out_height=st.one_of(st.sampled_from([32, 64, 96, 224]), st.integers(1, 260)),
    out_width=st.one_of(st.sampled_from([32, 64, 96, 224]), st.integers(1, 260)),
    sampling=st.sampled_from(["half-pixel", "top-left"]),
    bias_bits=st.sampled_from([0, 1, 12, 32]),
    shown=st.integers(1, 2),
)


def test_maps_and_logits_by_hand():
    spec = CamSpec(1, 2, 2, 3, 4, 4, 2, 2)
    tap = np.array([[[[1, 2], [3, 15]]]], dtype=np.uint8)
    weight = np.array([[1, 0], [-2, 3], [7, -8]], dtype=np.int8)
    maps = class_maps(spec, tap, weight)
    assert maps.dtype == np.int32
    assert maps.tolist() == [[[[1, 3]], [[4, 39]], [[-9, -99]]]]
    assert map_logits(spec, maps).tolist() == [[4, 43, -108]]
    assert map_logits(spec, maps, np.array([40, 0, 0], dtype=np.int32)).tolist() == [[44, 43, -108]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=SPECS, seed=st.integers(0, 999))
def test_every_size_stays_within_its_bound(spec, seed, synthetic):
    weight, bias = synthetic.head(spec, seed)
    tap = synthetic.tap(spec, seed, 2)
    result = run_cam(spec, tap, weight, bias)
    exact = np.einsum("nhwc,kc->nkhw", tap.astype(np.int64), weight.astype(np.int64))
    assert (result.maps == exact).all()
    frames = np.arange(2)[:, None]
    error = np.abs(result.heatmaps - heatmap_float64(spec, result.maps[frames, result.shown_classes]))
    assert error.max() <= spec.heatmap_error_bound < 1


@pytest.mark.parametrize("sampling", ["half-pixel", "top-left"])
@pytest.mark.parametrize("sizes", [(8, 224), (7, 224), (14, 224), (16, 64), (4, 32), (16, 96), (5, 300)])
def test_widest_ranges_stay_within_the_bound(sizes, sampling, synthetic):
    spec = replace(WIDEST, map_height=sizes[0], map_width=sizes[0], out_height=sizes[1], out_width=sizes[1])
    spec = replace(spec, sampling=sampling)
    weight, tap = synthetic.extreme(spec)
    maps = class_maps(spec, tap, weight)
    assert (maps.min(), maps.max()) == spec.map_limits
    random = class_maps(spec, synthetic.tap(spec, 1, 2), synthetic.head(spec, 1)[0])
    for values in (maps, random):
        assert np.abs(heatmaps(spec, values) - heatmap_float64(spec, values)).max() <= spec.heatmap_error_bound


def test_every_width_is_reached_and_none_exceeded(synthetic):
    for spec in (RESNET8, WIDEST, replace(RESNET8, tap_bits=2, weight_bits=2, channels=16)):
        low, high = spec.map_limits
        assert signed_bits(low, high) == spec.map_bits
        spread = high - low
        assert spread.bit_length() == spec.range_bits
        dividend = 255 << (spec.guard_bits + spec.reciprocal_shift)
        assert dividend.bit_length() == spec.dividend_bits
        assert (dividend // (1 << (spec.range_bits - 1))).bit_length() == spec.reciprocal_bits
        values = np.array([[[low, high]]], dtype=np.int32)
        line = replace(spec, map_height=1, map_width=2)
        assert normalise_maps(line, values).tolist() == [[[0, 255 << spec.guard_bits]]]


def test_a_reciprocal_five_bits_shorter_breaks_the_guard_bits():
    # What the margin is for: with RS = range_bits some levels of a wide map are off by more than the bound allows.
    worst = {}
    for margin in (5, 0):
        shift = WIDEST.range_bits + margin
        errors = []
        for spread in range((1 << WIDEST.range_bits) - 4001, 1 << WIDEST.range_bits, 2):
            value = spread - 1 - spread % 97
            reciprocal = (255 << (8 + shift)) // spread
            level = (value * reciprocal + (1 << (shift - 1))) >> shift
            errors.append(abs(level - Fraction(255 * 256 * value, spread)))
        worst[margin] = max(errors)
    assert worst[5] <= Fraction(17, 32) < worst[0]


def test_equals_torch_interpolate_and_cv2_resize():
    import cv2

    levels = np.random.default_rng(0).integers(0, 256, (3, 8, 8))
    for size in (32, 64, 96, 224):
        spec = replace(RESNET8, out_height=size, out_width=size)
        heat = resize_levels(spec, levels << spec.guard_bits).astype(np.float64)
        source = torch.tensor(levels[:, None], dtype=torch.float64)
        ours = torch.nn.functional.interpolate(source, size=(size, size), mode="bilinear", align_corners=False)
        assert np.abs(heat - ours[:, 0].numpy()).max() <= 0.5 + 255 * 2**-11
        assert np.allclose(resize_float64(levels.astype(np.float64), size, size), ours[:, 0].numpy(), atol=1e-9)
        for k in range(3):
            theirs = cv2.resize(levels[k].astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
            assert np.abs(heat[k] - theirs).max() <= 0.5 + 255 * 2**-11 + 1e-3


def test_top_left_sampling_repeats_the_corner_pixel_exactly():
    taps = sampling_taps(8, 32, "top-left")
    assert (taps.fraction_bits, taps.position_error) == (2, 0)
    assert taps.low[:6].tolist() == [0, 0, 0, 0, 1, 1]
    assert taps.weight[:6].tolist() == [0, 1, 2, 3, 0, 1]
    assert taps.high[-1] == 7


@pytest.mark.parametrize(
    ("size_in", "size_out", "bits"), [(8, 32, 3), (8, 224, 11), (7, 224, 6), (14, 224, 5), (1, 9, 0)]
)
def test_fraction_bits_follow_from_the_sizes(size_in, size_out, bits):
    taps = sampling_taps(size_in, size_out, "half-pixel")
    assert taps.fraction_bits == bits
    for i in range(size_out):
        exact = min(max(Fraction((2 * i + 1) * size_in - size_out, 2 * size_out), 0), size_in - 1)
        got = int(taps.low[i]) + Fraction(int(taps.weight[i]), 1 << bits)
        assert abs(got - exact) <= Fraction(taps.position_error)


def test_normalising_before_resizing_differs_from_after():
    spec = replace(RESNET8, out_height=64, out_width=64)
    maps = np.zeros((8, 8), dtype=np.int32)
    maps[3, 3] = 1000
    after = resize_float64(maps.astype(np.float64), 64, 64)
    after = after / after.max() * 255
    assert np.abs(heatmap_float64(spec, maps) - after).max() > 30
    assert np.abs(heatmaps(spec, maps) - heatmap_float64(spec, maps)).max() < 0.51


def test_a_constant_map_gives_zeros_and_its_flag(synthetic):
    tap = np.full((1, 8, 8, 128), 7, dtype=np.uint8)
    result = run_cam(RESNET8, tap, synthetic.head(RESNET8, 0)[0])
    assert result.constant.all()
    assert not result.heatmap.any()
    assert result.peak.tolist() == [[0, 0]]
    assert np.ptp(result.maps, axis=(2, 3)).max() == 0


def test_ties_go_to_the_lowest_class_and_the_first_pixel():
    spec = CamSpec(1, 2, 1, 3, 2, 2, 1, 4, shown=3)
    weight = np.array([[0], [1], [1]], dtype=np.int8)
    result = run_cam(spec, np.array([[[[3], [3]]]], dtype=np.uint8), weight)
    assert result.class_index.tolist() == [1]
    assert result.shown_classes.tolist() == [[1, 2, 0]]
    heat = np.array([[0, 9, 9], [9, 0, 0]], dtype=np.uint8)
    assert first_peak(heat).tolist() == [1, 0]


def test_a_selected_class_is_shown_and_the_argmax_still_told(synthetic):
    spec = replace(RESNET8, shown=3)
    weight, _ = synthetic.head(spec, 3)
    tap = synthetic.tap(spec, 3, 4)
    free = run_cam(spec, tap, weight)
    for select in range(10):
        result = run_cam(spec, tap, weight, select=select)
        assert (result.class_index == free.class_index).all()
        assert (result.shown_classes[:, 0] == select).all()
        maps = result.maps[:, select]
        assert (result.heatmap == heatmaps(spec, maps)).all()
        ranks = np.take_along_axis(result.logits, result.shown_classes, axis=1)[:, 1:]
        assert (np.diff(ranks) <= 0).all()
        assert all(len(set(row)) == 3 for row in result.shown_classes.tolist())


def test_the_gate_compares_the_shown_class(synthetic):
    weight, _ = synthetic.head(RESNET8, 5)
    tap = synthetic.tap(RESNET8, 5, 6)
    free = run_cam(RESNET8, tap, weight, select=2)
    gate = int(np.sort(free.logits[:, 2])[3])
    result = run_cam(RESNET8, tap, weight, select=2, gate=gate)
    assert result.gated.sum() == 3
    assert (result.gated == (free.logits[:, 2] < gate)).all()
    assert not result.heatmap[result.gated].any()
    assert (result.peak[result.gated] == 0).all()
    assert (result.heatmap[~result.gated] == free.heatmap[~result.gated]).all()
    assert (result.logits == free.logits).all()


def test_logits_saturate_only_beyond_int32(synthetic):
    weight, tap = synthetic.extreme(WIDEST)
    maps = class_maps(WIDEST, tap, weight)
    logits = map_logits(WIDEST, maps)
    exact = maps.astype(np.int64).sum(axis=(2, 3))
    assert exact.min() < -(2**31)
    assert (logits == np.clip(exact, -(2**31), 2**31 - 1)).all()
    assert WIDEST.logit_sum_bits > 32 >= RESNET8.logit_sum_bits


def test_the_frame_counter_wraps(synthetic):
    result = run_cam(RESNET8, synthetic.tap(RESNET8, 0, 2), synthetic.head(RESNET8, 0)[0], first_frame=2**32 - 1)
    assert result.packet[:, 12:16].tolist() == [[255, 255, 255, 255], [0, 0, 0, 0]]


def test_a_specification_from_a_head():
    weight = np.array([[-16, 3], [4, 15]], dtype=np.int8)
    spec = spec_for_head(weight, np.array([0, -5], dtype=np.int32), (4, 4, 2), 4, (32, 32))
    assert (spec.weight_bits, spec.bias_bits, spec.classes, spec.channels) == (5, 4, 2, 2)
    assert spec_for_head(weight, np.zeros(2, dtype=np.int32), (4, 4, 2), 4, (32, 32)).bias_bits == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"map_height": 0}, "CAM map_height: expected an integer from 1 to 64, got 0"),
        ({"classes": 1}, "CAM classes: expected an integer from 2 to 65535, got 1"),
        ({"tap_bits": 9}, "CAM tap_bits"),
        ({"weight_bits": 8.0}, "CAM weight_bits"),
        ({"sampling": "nearest"}, "half-pixel or top-left"),
        ({"shown": 11}, "at most 10"),
    ],
)
def test_bad_sizes_are_refused_in_one_line(change, expected):
    with pytest.raises(CamError) as caught:
        replace(RESNET8, **change)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((1, 8, 8, 128)), "tap: expected uint8, got float64"),
        (np.full((1, 8, 8, 128), np.nan, dtype=np.float32), "tap: expected uint8, got float32"),
        (np.zeros((1, 8, 7, 128), dtype=np.uint8), "shape [N, 8, 8, 128]"),
        (np.zeros((0, 8, 8, 128), dtype=np.uint8), "not empty"),
        (np.full((1, 8, 8, 128), 32, dtype=np.uint8), "tap: expected values from 0 to 31, got 32 at [0, 0, 0, 0]"),
        ([[1]], "a numpy array"),
    ],
)
def test_bad_taps_are_refused_in_one_line(array, expected, synthetic):
    with pytest.raises(CamError) as caught:
        run_cam(RESNET8, array, synthetic.head(RESNET8, 0)[0])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_heads_classes_and_gates_are_refused(synthetic):
    weight, _ = synthetic.head(RESNET8, 0)
    tap = synthetic.tap(RESNET8, 0, 1)
    wide = weight.copy()
    wide[2, 3] = 16
    for bad, expected in (
        (wide, "got 16 at [2, 3]"),
        (weight[:9], "shape [10, 128]"),
        (weight.astype(np.int32), "FC weights: expected int8"),
    ):
        with pytest.raises(CamError, match=r".") as caught:
            run_cam(RESNET8, tap, bad)
        assert expected in str(caught.value)
    with pytest.raises(CamError, match="FC bias: expected values from 0 to 0, got 1"):
        run_cam(RESNET8, tap, weight, np.ones(10, dtype=np.int32))
    with pytest.raises(CamError, match="class select: expected 0 to 9, got 10"):
        run_cam(RESNET8, tap, weight, select=10)
    with pytest.raises(CamError, match="gate: expected an int32"):
        run_cam(RESNET8, tap, weight, gate=2**31)
    with pytest.raises(CamError, match="128 channels, as the tap"):
        spec_for_head(weight[:, :5], None, (8, 8, 128), 5, (32, 32))
    with pytest.raises(CamError, match=r"int8 \[classes, channels\]"):
        spec_for_head(np.zeros((0, 5), dtype=np.int8), None, (8, 8, 5), 5, (32, 32))
