import json
import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from cam_postproc.errors import CamError
from cam_postproc.metrics.annotations import (
    Annotation,
    read_tiny_imagenet,
    read_voc_xml,
    read_wsol_metadata,
)
from cam_postproc.metrics.boxes import (
    BoxIous,
    box_accuracy,
    box_curve,
    box_ious,
    box_scores,
    class_in_top,
    localisation_curve,
    threshold_grid,
)
from cam_postproc.metrics.contours import contour_boxes, intersection_over_union, map_ious, quantise_scores, resize_box
from cam_postproc.metrics.kernel import BoxKernel, find_kernel
from cam_postproc.metrics.maps import prepare_scores
from cam_postproc.metrics.pixels import PixelScores, merge_masks
from cam_postproc.metrics.score import read_score_map, score_folder

SIZE = 224


def some_maps():
    """Smooth, coarse, two-valued, stepped, constant and noisy maps."""
    rng = np.random.default_rng(1)
    maps = [prepare_scores(rng.random((k, k))) for k in (2, 4, 8, 14, 30, 60)]
    two = prepare_scores(rng.random((6, 6)))
    return [*maps, (two > 0.6).astype(float), np.round(maps[3] * 5) / 5, np.zeros((SIZE, SIZE)), np.ones((SIZE, SIZE))]


def some_boxes(count):
    rng = np.random.default_rng(2)
    truth = []
    for n in range(count):
        corners = np.sort(rng.integers(0, SIZE, (1 + n % 3, 2, 2)), axis=1)
        truth.append(corners.reshape(-1, 4).astype(np.int64))
    return truth


def plain_ious(score_map, truth, threshold):
    """The protocol as its paper and facts tell it, contour by contour: IoU of the largest, best IoU of all."""
    image = (score_map * 255).astype(np.uint8)
    mask = (image > int(threshold * int(image.max()))).astype(np.uint8)
    contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    boxes, areas = [], []
    for contour in contours:
        x, y, w, h = cv2.boundingRect(contour)
        boxes.append((x, y, min(x + w, SIZE - 1), min(y + h, SIZE - 1)))
        areas.append(cv2.contourArea(contour))
    if not boxes:
        boxes, areas = [(0, 0, 0, 0)], [0]
    found = []
    for x0, y0, x1, y1 in boxes:
        best = 0.0
        for a0, b0, a1, b1 in truth.tolist():
            common = max(0, min(x1, a1) - max(x0, a0) + 1) * max(0, min(y1, b1) - max(y0, b0) + 1)
            total = (x1 - x0 + 1) * (y1 - y0 + 1) + (a1 - a0 + 1) * (b1 - b0 + 1) - common
            best = max(best, common / total)
        found.append(best)
    return found[areas.index(max(areas))], max(found)


def test_box_metrics_equal_a_plain_loop():
    maps, thresholds = some_maps(), np.append(threshold_grid(0.05), 1.0)
    truth = some_boxes(len(maps))
    ious = box_ious(maps, truth, thresholds)
    for n, score_map in enumerate(maps):
        for t, threshold in enumerate(thresholds.tolist()):
            assert (ious.largest[n, t], ious.best[n, t]) == plain_ious(score_map, truth[n], threshold)
    scores = box_scores(ious)
    curve = np.array([[i >= 0.5 for i in row] for row in ious.largest]).mean(axis=0)
    assert (scores.max_box_acc, scores.best_threshold) == (curve.max(), thresholds[curve.argmax()])
    v2 = [max((ious.best[:, t] >= iou).mean() for t in range(len(thresholds))) for iou in (0.3, 0.5, 0.7)]
    assert scores.accuracies_v2 == tuple(v2)
    assert scores.max_box_acc_v2 == pytest.approx(sum(v2) / 3)
    assert box_accuracy(ious, scores.best_threshold) == scores.max_box_acc
    assert (ious.best >= ious.largest).all()


def test_boxes_by_hand():
    scores = np.zeros((8, 9), dtype=np.uint8)
    scores[1:4, 1:4] = 200  # a square of area 4 between pixel centres
    scores[2, 2] = 0  # its hole: a contour of its own
    scores[6, 0:8] = 255  # a line has no area
    found = contour_boxes(scores, [0, 200, 255])
    assert found.boxes[found.largest].tolist() == [[1, 1, 4, 4], [0, 6, 8, 7], [0, 0, 0, 0]]
    first = {tuple(box) for box in found.boxes[: found.starts[1]].tolist()}
    assert first == {(1, 1, 4, 4), (0, 6, 8, 7)}
    full = np.full((8, 9), 7, dtype=np.uint8)
    assert contour_boxes(full, [0]).boxes.tolist() == [[0, 0, 8, 7]]


def test_iou_counts_inclusive_pixels():
    a = np.array([[0, 0, 1, 1], [5, 5, 5, 5]])
    b = np.array([[1, 1, 2, 2], [0, 0, 1, 1], [5, 5, 5, 5]])
    assert intersection_over_union(a, b).tolist() == [[1 / 7, 1, 0], [0, 0, 1]]
    for bad in ([[3, 0, 1, 1]], [[-1, 0, 1, 1]], [[0, 0, 1]]):
        with pytest.raises(CamError, match="boxes"):
            intersection_over_union(a, np.array(bad))
    assert resize_box((1, 2, 4, 3), (10, 20), (35, 10)) == (3, 1, 14, 1)


def test_a_match_at_the_limit_counts():
    ious = BoxIous(np.array([0.0, 0.5]), np.array([[0.5, 0.7], [0.49, 0.2]]), np.array([[0.5, 0.7], [0.5, 0.3]]))
    assert box_curve(ious.largest).tolist() == [0.5, 0.5]
    scores = box_scores(ious)
    assert (scores.max_box_acc, scores.best_threshold) == (0.5, 0.0)
    assert scores.accuracies_v2 == (1.0, 1.0, 0.5)
    assert scores.best_thresholds_v2 == (0.0, 0.0, 0.5)


def test_top_1_and_top_5_localisation():
    logits = np.array([[5, 5, 1, 0, 0, 0], [0, 1, 2, 3, 4, 5]])
    assert class_in_top(logits, np.array([1, 1]), 1).tolist() == [False, False]
    assert class_in_top(logits, np.array([0, 5]), 1).tolist() == [True, True]
    assert class_in_top(logits, np.array([5, 1]), 5).tolist() == [False, True]
    ious = BoxIous(np.array([0.0, 0.5]), np.array([[0.6, 0.4], [0.9, 0.9]]), np.ones((2, 2)))
    assert localisation_curve(ious, np.array([True, False])).tolist() == [0.5, 0.0]
    with pytest.raises(CamError, match="class results"):
        localisation_curve(ious, np.array([True]))


def test_pxap_equals_its_definition():
    rng = np.random.default_rng(3)
    maps = [m for m in some_maps() if m.any()][:5]
    masks = [rng.choice([0, 1, 255], (SIZE, SIZE), p=[0.6, 0.3, 0.1]).astype(np.uint8) for _ in maps]
    thresholds = threshold_grid(0.1)
    scores = PixelScores(thresholds)
    for score_map, mask in zip(maps, masks, strict=True):
        scores.add(score_map, mask)
    values = np.concatenate([m[k != 255] for m, k in zip(maps, masks, strict=True)])
    truth = np.concatenate([k[k != 255] for k in masks])
    area, before = 0.0, 0.0
    for threshold in [1.0, *thresholds[::-1].tolist()]:
        found = values >= threshold
        if found.any():
            recall = truth[found].sum() / truth.sum()
            area += truth[found].mean() * (recall - before)
            before = recall
    assert scores.average_precision() == pytest.approx(area, rel=1e-12)
    precision, recall = scores.curve()
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(truth.mean())
    perfect = PixelScores(thresholds)
    perfect.add(np.eye(4), np.eye(4, dtype=np.uint8))
    assert perfect.average_precision() == 1
    with pytest.raises(CamError, match="some foreground"):
        PixelScores(thresholds).average_precision()
    with pytest.raises(CamError, match="mask: expected 0, 1 or 255"):
        perfect.add(np.eye(4), np.full((4, 4), 2, dtype=np.uint8))


def test_masks_of_instances_hide_the_ignored_region():
    instances = np.array([[[1, 0, 0]], [[0, 1, 0]]], dtype=bool)
    assert merge_masks(instances, np.array([[True, False, True]])).tolist() == [[1, 1, 255]]


def test_maps_that_are_none():
    for bad in (
        np.full((4, 4), np.nan),
        np.ones((4, 4)) * 1.1,
        -np.ones((4, 4)),
        np.ones(4),
        np.ones((4, 4), dtype=int),
    ):
        with pytest.raises(CamError, match="score map"):
            quantise_scores(bad)
    for raw in (np.full((4, 4), 3.0), np.full((4, 4), np.nan), np.array([[np.inf, 1], [2, 3]]), np.full((4, 4), -7)):
        assert not prepare_scores(raw, 8).any()
    negative = prepare_scores(np.array([[-4.0, -2.0], [-3.0, -4.0]]), 2)
    assert negative.tolist() == [[0, 1], [0.5, 0]]
    assert not prepare_scores(np.array([[-4.0, -2.0]]), (1, 2), relu=True).any()
    assert prepare_scores(np.array([[0, 1], [2, 3]], dtype=np.uint8), (5, 7), interpolation="cubic").shape == (5, 7)
    with pytest.raises(CamError, match="map: expected real numbers"):
        prepare_scores(np.ones((2, 2, 2)))
    with pytest.raises(CamError, match="threshold step"):
        threshold_grid(0)
    with pytest.raises(CamError, match="score maps: expected 1"):
        box_ious([], some_boxes(1))


def npy_with_header(text):
    """The start of an .npy file, version 1.0, whose header is this text."""
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


def write_metadata(folder, boxes=True):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image_ids.txt").write_text("a/one.jpg\nb/two.jpg\n")
    (folder / "class_labels.txt").write_text("a/one.jpg,3\nb/two.jpg,0\n")
    (folder / "image_sizes.txt").write_text("a/one.jpg,448,112\nb/two.jpg,224,224\n")
    lines = "a/one.jpg,0,0,223,55\na/one.jpg,224,56,447,111\nb/two.jpg,50,60,150,160\n"
    masks = "a/one.jpg,m1.png,i.png\na/one.jpg,m2.png,\nb/two.jpg,m1.png,i.png\n"
    (folder / "localization.txt").write_text(lines if boxes else masks)
    return folder


def test_scoring_a_folder_of_maps(tmp_path):
    metadata = write_metadata(tmp_path / "meta")
    annotations = read_wsol_metadata(metadata)
    assert annotations[0] == Annotation("a/one.jpg", 3, (448, 112), ((0, 0, 223, 55), (224, 56, 447, 111)))
    assert annotations[0].boxes_at().tolist() == [[0, 0, 111, 110], [112, 112, 223, 222]]
    maps = tmp_path / "maps"
    (maps / "a").mkdir(parents=True)
    (maps / "b").mkdir()
    one, two = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE), dtype=np.float32)
    one[:112, :112] = 1
    two[60:161, 50:151] = 0.5
    two[0, 0] = 1
    np.save(maps / "a" / "one.jpg.npy", one)
    np.save(maps / "b" / "two.npy", two)
    report = score_folder(maps, metadata, threshold_step=0.01)
    assert json.loads(json.dumps(report)) == report
    assert (report["images"], report["MaxBoxAcc"], report["MaxBoxAccV2"]) == (2, 1.0, 1.0)
    assert report["best_threshold"] == 0
    assert report["curve"]["accuracy"][60] == 0.5
    # Any other map is resized and min-maxed first.
    np.save(maps / "a" / "one.jpg.npy", np.array([[9, 1], [1, 1]]))
    assert score_folder(maps, metadata, threshold_step=0.1)["images"] == 2
    np.save(maps / "a" / "one.jpg.npy", np.full((2, 2), np.nan))
    assert not read_score_map(maps, "a/one.jpg").any()


@pytest.mark.parametrize(
    ("raw", "accuracy"),
    [
        (np.full((8, 8), 7.0), 0.0),  # constant: zeros, whose box is [0, 0, 0, 0]
        (np.full((8, 8), -3, np.int32), 0.0),
        (np.full((SIZE, SIZE), np.nan, np.float32), 0.0),
        (np.array([[np.inf, 0.0], [0.0, 0.0]]), 0.0),
        (
            np.ones((SIZE, SIZE)),
            0.5,
        ),  # a score map already, everywhere full: the whole image, which is one of the boxes
        (
            np.tile(np.arange(SIZE) - 300.0, (SIZE, 1)),
            0.5,
        ),  # all negative: min-maxed
    ],
    ids=["constant", "constant below 0", "nan", "inf", "saturated", "negative"],
)
def test_maps_that_tell_nothing_find_nothing(raw, accuracy, tmp_path):
    metadata = write_metadata(tmp_path / "meta")
    whole = "a/one.jpg,0,0,447,111\nb/two.jpg,50,60,150,160\n"
    (metadata / "localization.txt").write_text(whole)
    for name in ("a/one.jpg.npy", "b/two.jpg.npy"):
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "maps" / name, raw)
    report = score_folder(tmp_path / "maps", metadata, threshold_step=0.05)
    assert report["MaxBoxAcc"] == accuracy
    assert np.isfinite(report["curve"]["accuracy"]).all()


def test_scoring_masks(tmp_path):
    metadata = write_metadata(tmp_path / "meta", boxes=False)
    images = {"m1.png": np.zeros((8, 8)), "m2.png": np.zeros((8, 8)), "i.png": np.zeros((8, 8))}
    images["m1.png"][:4] = 255
    images["m2.png"][6:] = 255
    images["i.png"][3:6] = 255
    for name, image in images.items():
        cv2.imwrite(str(tmp_path / name), image.astype(np.uint8))
    maps = tmp_path / "maps"
    (maps / "a").mkdir(parents=True)
    (maps / "b").mkdir()
    good = np.zeros((SIZE, SIZE))
    good[:112] = good[168:] = 1
    good[112:168] = 0.9  # ignored in image a, as no instance covers it
    np.save(maps / "a" / "one.jpg.npy", good)
    np.save(maps / "b" / "two.jpg.npy", np.where(np.arange(SIZE)[:, None] < 112, 1.0, 0.0) * np.ones((1, SIZE)))
    report = score_folder(maps, metadata, masks=tmp_path, threshold_step=0.1)
    assert report["images"] == 2
    assert report["PxAP"] == 1
    # Whichever of an image's lines names the ignored region.
    lines = (metadata / "localization.txt").read_text().splitlines()
    assert any(line.endswith(",") for line in lines)
    (metadata / "localization.txt").write_text("\n".join(reversed(lines)) + "\n")
    assert score_folder(maps, metadata, masks=tmp_path, threshold_step=0.1) == report
    with pytest.raises(CamError, match="folder of the mask images"):
        score_folder(maps, metadata)
    (tmp_path / "i.png").write_bytes(b"no image")
    with pytest.raises(CamError, match="a mask image"):
        score_folder(maps, metadata, masks=tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("image_ids.txt", None, "image_ids.txt: expected a text file, got No such file"),
        ("image_ids.txt", "", "at least one image"),
        ("image_ids.txt", "../../up.jpg\n", "a line for ../../up.jpg"),
        ("class_labels.txt", "a/one.jpg,3\n", "a line for b/two.jpg"),
        ("class_labels.txt", "a/one.jpg,x\nb/two.jpg,1\n", "expected a number, got 'x'"),
        ("image_sizes.txt", "a/one.jpg,448,112\n", "a size of b/two.jpg"),
        ("localization.txt", "a/one.jpg,1,2,3\n", "localization.txt:1: expected 5 or 3 fields, got 4"),
        ("localization.txt", "a/one.jpg,9,2,3,4\n", "0 ≤ x0 ≤ x1"),
        ("localization.txt", "a/one.jpg,1,2,1e30,4\n", "expected a number, got '1e30'"),
        ("localization.txt", "a/one.jpg,1,2,3,4\nb/two.jpg,m.png,\n", "boxes or masks, got both"),
    ],
)
def test_broken_metadata_is_one_line(tmp_path, name, text, expected):
    metadata = write_metadata(tmp_path / "meta")
    if text is None:
        (metadata / name).unlink()
    else:
        (metadata / name).write_text(text)
    with pytest.raises(CamError) as caught:
        score_folder(tmp_path, metadata)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_metadata_from_windows_is_read(tmp_path):
    metadata = write_metadata(tmp_path / "meta")
    unix = read_wsol_metadata(metadata)
    for path in metadata.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_wsol_metadata(metadata) == unix


def test_what_the_evaluator_needs_is_enough(tmp_path):
    metadata, maps, stored = write_metadata(tmp_path / "meta"), tmp_path / "maps", tmp_path / "stored"
    (maps / "a").mkdir(parents=True)
    stored.mkdir()
    # Maps that lie elsewhere, linked; and no classes, which no figure of score maps depends on.
    np.save(stored / "one.npy", np.eye(SIZE))
    (maps / "a" / "one.npy").symlink_to(stored / "one.npy")
    (maps / "b").symlink_to(stored)
    np.save(stored / "two.npy", np.eye(7))
    before = score_folder(maps, metadata, threshold_step=0.5)
    (metadata / "class_labels.txt").unlink()
    assert score_folder(maps, metadata, threshold_step=0.5) == before
    with pytest.raises(CamError, match=r"class_labels\.txt"):
        read_wsol_metadata(metadata)


def test_the_widest_range_of_floats_is_a_map():
    most = np.finfo(np.float64).max
    scores = prepare_scores(np.array([[most, -most], [0.0, most]]), 2)
    assert scores.tolist() == [[1.0, 0.0], [0.5, 1.0]]


NO_MAPS = {
    "zip": (b"PK\x03\x04", "a zip archive, as .npz files are"),
    "gzip": (b"\x1f\x8b\x08", "a gzip file"),
    "pickle": (b"\x80\x04\x95", "a pickle"),
    "empty": (b"", "an empty file"),
    "text": (b"0.1 0.2", "another file"),
    "broken header": (npy_with_header("{'descr': '<f8', 'shape': ("), "EOF"),
    "too large": (npy_with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1 << 40, 1 << 20), }"), ""),
    "short": (npy_with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 9999999), }"), ""),
}


@pytest.mark.parametrize("kind", NO_MAPS)
def test_files_that_are_no_maps_are_named_in_one_line(tmp_path, kind):
    data, found = NO_MAPS[kind]
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(CamError) as caught:
        read_score_map(tmp_path, "a")
    told = str(caught.value)
    assert "a.npy: expected an .npy array of numbers, got" in told
    assert found in told
    assert "\n" not in told
    assert "allow_pickle" not in told


def test_score_maps_cannot_run_code_or_climb_out(tmp_path):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "out.npy", np.zeros((2, 2)))
    for image_id in (".", "a/.."):
        with pytest.raises(CamError):
            read_score_map(tmp_path / "in", image_id)
    for image_id in ("../out", str(tmp_path / "out"), "no\0name"):
        with pytest.raises(CamError, match="a path inside"):
            read_score_map(tmp_path / "in", image_id)
    np.save(tmp_path / "in" / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CamError, match=r"an \.npy array of numbers"):
        read_score_map(tmp_path / "in", "object")
    (tmp_path / "in" / "short.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(CamError, match=r"an \.npy array of numbers"):
        read_score_map(tmp_path / "in", "short")
    np.save(tmp_path / "in" / "cube.npy", np.zeros((2, 2, 2)))
    with pytest.raises(CamError, match=r"numbers \[height, width\]"):
        read_score_map(tmp_path / "in", "cube")
    with pytest.raises(CamError, match=r"expected missing\.npy, got none"):
        read_score_map(tmp_path / "in", "missing")


VOC = """<?xml version="1.0"?>{doctype}<annotation><filename>x.jpg</filename>
<size><width>500</width><height>375</height><depth>3</depth></size>
<object><name>cat</name><part><name>head</name><bndbox><xmin>5</xmin></bndbox></part>
<bndbox><xmin>1</xmin><ymin>20.6</ymin><xmax>500</xmax><ymax>375</ymax></bndbox></object>
<object><bndbox><ymin>3</ymin><xmin>2</xmin><xmax>4</xmax><ymax>5</ymax></bndbox><name>dog</name></object>
</annotation>"""


def test_voc_xml(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text(VOC.format(doctype=""))
    annotation, names = read_voc_xml(path)
    assert annotation == Annotation("x.jpg", -1, (500, 375), ((0, 19, 499, 374), (1, 2, 3, 4)))
    assert names == ("cat", "dog")
    assert read_voc_xml(path, origin=0)[0].boxes[0] == (1, 20, 500, 375)
    bomb = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]>'
    for text, expected in (
        (VOC.format(doctype=bomb), "without a document type"),
        (VOC.format(doctype='<!DOCTYPE a SYSTEM "http://localhost/a.dtd">'), "without a document type"),
        (VOC.format(doctype="")[:-20], "well-formed XML"),
        (VOC.format(doctype="").replace("<xmax>4</xmax>", ""), "xmin, ymin, xmax and ymax"),
        (VOC.format(doctype="").replace("500", "many"), "a number"),
        ("<annotation/>", "a number"),
    ):
        path.write_text(text)
        with pytest.raises(CamError) as caught:
            read_voc_xml(path)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(CamError, match="an XML file"):
        read_voc_xml(tmp_path / "none.xml")


def test_tiny_imagenet_boxes(tmp_path):
    (tmp_path / "wnids.txt").write_text("n2\nn1\n")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "val_annotations.txt").write_text("v.JPEG\tn1\t0\t32\t62\t44\n")
    (tmp_path / "train" / "n1").mkdir(parents=True)
    (tmp_path / "train" / "n2").mkdir()
    (tmp_path / "train" / "n1" / "n1_boxes.txt").write_text("n1_0.JPEG\t1\t2\t3\t4\n")
    (tmp_path / "train" / "n2" / "n2_boxes.txt").write_text("")
    assert read_tiny_imagenet(tmp_path, "val") == [Annotation("val/images/v.JPEG", 1, (64, 64), ((0, 32, 62, 44),))]
    assert read_tiny_imagenet(tmp_path, "train")[0].image_id == "train/n1/images/n1_0.JPEG"
    with pytest.raises(CamError, match="train or val"):
        read_tiny_imagenet(tmp_path, "test")
    (tmp_path / "val" / "val_annotations.txt").write_text("v.JPEG\tn9\t0\t32\t62\t44\n")
    with pytest.raises(CamError, match=r"a class of wnids\.txt, got n9"):
        read_tiny_imagenet(tmp_path, "val")


def test_the_real_tiny_imagenet_boxes():
    root = Path(os.environ.get("FINN_CAM_DATA", "")) / "tiny-imagenet-20"
    if not (root / "wnids.txt").is_file():
        pytest.skip("the Tiny-ImageNet subset is not unpacked; FINN_CAM_DATA names its folder")
    annotations = read_tiny_imagenet(root, "val")
    assert len(annotations) == 700
    assert all((root / a.image_id).is_file() for a in annotations[:20])
    assert max(max(a.boxes[0]) for a in annotations) == 63


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    found = find_kernel(tmp_path_factory.mktemp("kernel"))
    if found is None:
        pytest.skip("the kernel needs g++")
    return found


def odd_maps(count):
    """Small maps of every kind: noise, steps, sparse points, smooth ones, masks."""
    rng = np.random.default_rng(5)
    for n in range(count):
        height, width = rng.integers(1, 40, 2).tolist()
        noise = rng.random((height, width))
        yield [
            noise,
            (noise > rng.random()) * rng.random(),
            np.round(noise * 3) / 3,
            prepare_scores(rng.random((5, 4)), (height, width)),
            np.where(rng.random((height, width)) < 0.1, noise, 0.0),
        ][n % 5]


def test_the_kernel_equals_opencv(kernel):
    rng = np.random.default_rng(6)
    thresholds = np.append(threshold_grid(0.01), 1.0)
    for score_map in [*odd_maps(100), *some_maps()]:
        truth = np.sort(rng.integers(0, 60, (int(rng.integers(1, 4)), 2, 2)), axis=1).reshape(-1, 4)
        expected = map_ious(score_map, truth, thresholds)
        got = kernel.map_ious(score_map, truth, thresholds)
        assert (got[0] == expected[0]).all()
        assert (got[1] == expected[1]).all()


def test_equal_areas_and_rings_equal_opencv(kernel):
    # Squares of one area, one of them inside a ring, which is larger; and two rings of one area.
    score_map = np.zeros((12, 40))
    score_map[0:2, 20:22] = score_map[5:7, 25:27] = score_map[4:6, 4:6] = 1
    score_map[0, 0:11] = score_map[10, 0:11] = score_map[0:11, 0] = score_map[0:11, 10] = 0.8
    score_map[2, 30:36] = score_map[6, 30:36] = score_map[2:7, 30] = score_map[2:7, 35] = 0.4
    thresholds = np.array([0.0, 0.3, 0.5, 0.9])
    for truth in ([[4, 4, 6, 6]], [[20, 0, 22, 2]], [[25, 5, 27, 7]], [[0, 0, 11, 11], [30, 2, 36, 7]]):
        expected = map_ious(score_map, np.array(truth), thresholds)
        got = kernel.map_ious(score_map, np.array(truth), thresholds)
        assert (got[0] == expected[0]).all()
        assert (got[1] == expected[1]).all()


def test_the_kernel_scores_a_set_like_opencv(kernel):
    maps = some_maps()
    truth, grid = some_boxes(len(maps)), threshold_grid(0.02)
    slow, fast = box_ious(maps, truth, grid), box_ious(maps, truth, grid, kernel=kernel)
    assert (slow.largest == fast.largest).all()
    assert (slow.best == fast.best).all()
    with pytest.raises(CamError, match="score map"):
        kernel.map_ious(maps[0] * 2, truth[0], grid)
    with pytest.raises(CamError, match="boxes"):
        kernel.map_ious(maps[0], np.zeros((0, 4), dtype=np.int64), grid)


def test_without_a_compiler_opencv_does_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert find_kernel(tmp_path) is None
    with pytest.raises(CamError, match=r"box metrics: expected g\+\+ on PATH"):
        BoxKernel(tmp_path)


@pytest.mark.verify
@pytest.mark.parametrize("source", [14, SIZE])
def test_a_thousand_maps_at_a_thousand_thresholds_in_30_s(source, kernel, bar):
    rng = np.random.default_rng(0)
    maps = [prepare_scores(rng.random((source, source))) for _ in range(1000)]
    truth = some_boxes(1000)
    start = time.process_time()
    ious = box_ious(maps, truth, kernel=kernel, workers=2)
    # Processor time of both threads: what two cores of one's own would take, however busy this machine is.
    seconds = (time.process_time() - start) / 2
    assert ious.largest.shape == (1000, 1000)
    bar(f"1,000 maps of {source}×{source} at 1,000 thresholds, s on two cores", round(seconds, 2), "<=", 30)
