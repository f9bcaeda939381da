import ast
import hashlib
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cam_postproc import hostside
from cam_postproc.boxes import component_boxes, largest_box, resize_image, scale_box, scale_point, softmax_scores
from cam_postproc.errors import CamError
from cam_postproc.hostside import pack_stream, unpack_stream


def test_the_shared_module_needs_numpy_alone_and_python_3_10():
    tree = ast.parse(Path(hostside.__file__).read_text(), feature_version=(3, 10))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module.split(".")[0])
    assert imported == {"__future__", "collections", "dataclasses", "math", "numpy"}


def smooth_map(seed, height, width):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (rng.integers(2, 9), rng.integers(2, 9))).astype(np.uint8)
    return cv2.resize(coarse, (width, height))


def cv2_components(mask):
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    rows = []
    for label in range(1, count):
        x, y, w, h, pixels = stats[label].tolist()
        first = int(np.argmax(labels.reshape(-1) == label))
        rows.append((first, [x, y, x + w - 1, y + h - 1], pixels))
    rows.sort()
    return [row[1] for row in rows], [row[2] for row in rows]


@settings(max_examples=150, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), density=st.floats(0.05, 0.95), seed=st.integers(0, 10_000))
def test_components_equal_cv2(height, width, density, seed):
    mask = np.random.default_rng(seed).random((height, width)) < density
    boxes, pixels = component_boxes(mask)
    expected_boxes, expected_pixels = cv2_components(mask)
    assert boxes.tolist() == expected_boxes
    assert pixels.tolist() == expected_pixels


@pytest.mark.parametrize("size", [32, 224])
def test_boxes_of_heatmaps_equal_cv2(size):
    for seed in range(20):
        heat = smooth_map(seed, size, size)
        for threshold in (0.0, 0.2, 0.5, 0.9):
            expected_boxes, expected_pixels = cv2_components(heat > int(threshold * int(heat.max())))
            expected = tuple(expected_boxes[int(np.argmax(expected_pixels))])
            assert largest_box(heat, threshold) == expected


def test_a_box_by_hand_and_its_ties():
    heat = np.zeros((5, 6), dtype=np.uint8)
    heat[0, 0] = heat[1, 1] = 200  # one component, by its corner
    heat[3, 3] = heat[3, 4] = 255
    assert largest_box(heat, 0.5) == (0, 0, 1, 1)
    assert largest_box(heat, 0.79) == (3, 3, 4, 3)  # int(0.79 · 255) = 201
    assert largest_box(heat, 200 / 255) == (3, 3, 4, 3)  # strictly above
    assert largest_box(heat, 1.0) is None
    assert largest_box(np.zeros((4, 4), dtype=np.uint8), 0.0) is None
    assert largest_box(np.full((4, 4), 9, dtype=np.uint8), 0.5) == (0, 0, 3, 3)


@pytest.mark.parametrize(
    ("heat", "threshold"),
    [
        (np.zeros((2, 2)), 0.5),
        (np.zeros((0, 2), dtype=np.uint8), 0.5),
        (np.zeros(4, dtype=np.uint8), 0.5),
        (np.zeros((2, 2), dtype=np.uint8), 1.5),
        (np.zeros((2, 2), dtype=np.uint8), math.nan),
    ],
)
def test_bad_heatmaps_and_thresholds_are_refused(heat, threshold):
    with pytest.raises(CamError):
        largest_box(heat, threshold)


def test_scaling_covers_the_box_and_keeps_the_whole_image():
    assert scale_box((0, 0, 31, 31), (32, 32), (451, 300)) == (0, 0, 299, 450)
    assert scale_box((1, 2, 3, 4), (8, 8), (32, 64)) == (8, 8, 31, 19)
    assert scale_box((5, 5, 5, 5), (32, 32), (16, 16)) == (2, 2, 2, 2)
    assert scale_point((0, 31), (32, 32), (64, 320)) == (5, 63)
    for x in range(7):
        assert 0 <= scale_point((x, 0), (1, 7), (1, 3))[0] < 3
    with pytest.raises(CamError, match="height, width"):
        scale_box((0, 0, 1, 1), (0, 2), (4, 4))


@pytest.mark.parametrize("size_in", [(8, 8), (31, 57), (1, 1), (64, 64), (3, 90)])
@pytest.mark.parametrize("size_out", [(32, 32), (224, 224), (50, 7), (1, 1)])
def test_resize_equals_cv2_and_pillow_within_a_level(size_in, size_out):
    image = np.random.default_rng(0).integers(0, 256, (*size_in, 3)).astype(np.uint8)
    plain = resize_image(image, *size_out, antialias=False).astype(int)
    theirs = cv2.resize(image, (size_out[1], size_out[0]), interpolation=cv2.INTER_LINEAR)
    assert np.abs(plain - theirs).max() <= 1
    smooth = resize_image(image, *size_out).astype(int)
    pillow = Image.fromarray(image).resize((size_out[1], size_out[0]), Image.Resampling.BILINEAR)
    assert np.abs(smooth - np.asarray(pillow).astype(int)).max() <= 1


def test_resize_keeps_flat_images_rank_and_size():
    flat = np.full((37, 91), 201, dtype=np.uint8)
    assert (resize_image(flat, 32, 32) == 201).all()
    assert resize_image(flat, 5, 6).shape == (5, 6)
    same = resize_image(flat, 37, 91)
    assert (same == flat).all()
    assert same is not flat
    for bad in (flat.astype(float), np.zeros((0, 4), dtype=np.uint8), np.zeros((1, 2, 3, 4), dtype=np.uint8)):
        with pytest.raises(CamError):
            resize_image(bad, 4, 4)


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 32), lanes=st.integers(1, 9), beats=st.integers(1, 5), seed=st.integers(0, 99))
def test_unpacking_undoes_packing(bits, lanes, beats, seed):
    values = np.random.default_rng(seed).integers(0, 1 << bits, (2, beats, lanes)).astype(np.uint32)
    data = pack_stream(values, bits, lanes)
    assert data.shape == (2, beats * -(-bits * lanes // 8))
    for frame in range(2):
        for beat in range(beats):
            word = sum(int(v) << (bits * i) for i, v in enumerate(values[frame, beat]))
            size = -(-bits * lanes // 8)
            assert data[frame, beat * size : (beat + 1) * size].tobytes() == word.to_bytes(size, "little")
    assert (unpack_stream(data, bits, lanes, (beats, lanes)) == values).all()


def test_bad_streams_are_refused():
    values = np.zeros((1, 6), dtype=np.uint8)
    with pytest.raises(CamError, match="lanes that divide 6"):
        pack_stream(values, 5, 4)
    with pytest.raises(CamError, match="stream values: expected 0 to 31, got 0 to 32"):
        pack_stream(values + np.eye(1, 6, dtype=np.uint8) * 32, 5, 2)
    with pytest.raises(CamError, match="bits a value"):
        pack_stream(values, 0, 2)
    with pytest.raises(CamError, match="stream"):
        unpack_stream(np.zeros((1, 3), dtype=np.uint8), 5, 2, (6,))


def test_scores_are_a_softmax_of_the_dequantised_logits():
    logits = np.array([[100, 200, 300], [2**31 - 1, -(2**31), 0]], dtype=np.int32)
    scores = softmax_scores(logits, 0.01)
    expected = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    assert np.allclose(scores[0], expected)
    assert scores[1].tolist() == [1, 0, 0]
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(CamError, match="logit scale"):
            softmax_scores(logits, scale)


def test_scores_have_the_same_bits_with_every_numpy():
    logits = (np.arange(40, dtype=np.int32).reshape(4, 10) * 7919 % 4001 - 2000).astype(np.int32)
    scores = softmax_scores(logits, 0.003)
    # np.exp of numpy 1.21, 1.26 and 2.4 gives other bits each; the board has one of them, this machine another.
    assert hashlib.sha256(scores.tobytes()).hexdigest()[:16] == "6a2bf17906066352"
    exact = [[math.exp(int(v) * 0.003 - int(row.max()) * 0.003) for v in row] for row in logits]
    for got, wanted in zip(scores, exact, strict=True):
        assert np.allclose(got, np.array(wanted) / math.fsum(wanted), rtol=2e-15, atol=0)
    assert softmax_scores(np.array([[2**31 - 1, -(2**31)]], np.int32), 1.0)[0, 1] < 1e-300
