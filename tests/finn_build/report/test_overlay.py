"""The heatmap drawn over a picture: where it changes it, where not, and the same bytes each time."""

import io

import numpy as np
import pytest
from PIL import Image

from finn_build.errors import UserError
from finn_build.report.overlay import LINE, Marks, draw_overlay, enlarge, tint, to_png

GREY = np.full((32, 48, 3), 100, np.uint8)


def test_small_pictures_grow_by_a_whole_factor() -> None:
    assert draw_overlay(GREY, np.zeros((32, 32), np.uint8), Marks()).shape == (256, 384, 3)
    large = np.zeros((300, 451, 3), np.uint8)
    assert draw_overlay(large, np.zeros((8, 8), np.uint8), Marks()).shape == (300, 451, 3)
    assert enlarge(GREY[:1, :2], 3).shape == (3, 6, 3)


def test_a_cold_map_changes_nothing_and_a_hot_one_most() -> None:
    assert np.array_equal(tint(GREY, np.zeros((32, 48), np.uint8)), GREY)
    heat = np.zeros((32, 48), np.uint8)
    heat[5, 7], heat[6, 7] = 255, 128
    change = np.abs(tint(GREY, heat).astype(int) - GREY).sum(axis=-1)
    assert (change > 0).sum() == 2
    hot = tint(GREY, heat)[5, 7].astype(int)
    assert hot[0] > hot[1]
    assert hot[0] > hot[2]


def test_box_and_peak_are_where_they_say() -> None:
    drawn = draw_overlay(GREY, np.zeros((32, 32), np.uint8), Marks(box=(10, 4, 19, 15), peak=(30, 20)))
    factor = 8
    changed = np.argwhere((drawn != 100).any(axis=-1))
    box = changed[changed[:, 1] < 25 * factor]
    # Inclusive: the frame ends where pixel (19, 15) ends.
    assert box.min(axis=0).tolist() == [4 * factor, 10 * factor]
    assert box.max(axis=0).tolist() == [16 * factor - 1, 20 * factor - 1]
    cross = changed[changed[:, 1] >= 25 * factor]
    centre = (cross.min(axis=0) + cross.max(axis=0)) / 2
    assert np.abs(centre - [20.5 * factor, 30.5 * factor]).max() <= 1
    assert drawn[20 * factor + factor // 2, 30 * factor + factor // 2].tolist() == list(LINE)


def test_a_box_of_one_pixel_and_boxes_at_the_edge_are_drawn() -> None:
    tiny = np.zeros((300, 300, 3), np.uint8)
    for box in ((0, 0, 0, 0), (299, 299, 299, 299), (0, 0, 299, 299)):
        assert draw_overlay(tiny, np.zeros((8, 8), np.uint8), Marks(box=box)).any()


def test_the_caption_has_its_own_strip_and_is_cut_where_it_does_not_fit() -> None:
    plain = draw_overlay(GREY, np.zeros((8, 8), np.uint8), Marks())
    short = draw_overlay(GREY, np.zeros((8, 8), np.uint8), Marks(caption="cat 0.94"))
    long = draw_overlay(GREY, np.zeros((8, 8), np.uint8), Marks(caption="a label \n" * 60))
    assert np.array_equal(short[: len(plain)], plain)
    assert short.shape == long.shape
    assert len(short) > len(plain)
    assert not np.array_equal(short, long)


def test_the_same_picture_gives_the_same_bytes() -> None:
    heat = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    marks = Marks(caption="κατ, кошка, 0.94", box=(1, 2, 20, 21), peak=(3, 4))
    first, second = (to_png(draw_overlay(GREY, heat, marks)) for _ in range(2))
    assert first == second
    with Image.open(io.BytesIO(first)) as read:
        assert read.info == {}
        assert np.array_equal(np.asarray(read), draw_overlay(GREY, heat, marks))


@pytest.mark.parametrize(
    ("picture", "heatmap"),
    [
        (GREY.astype(np.float32), np.zeros((8, 8), np.uint8)),
        (GREY[..., 0], np.zeros((8, 8), np.uint8)),
        (GREY, np.zeros((8, 8), np.float32)),
        (GREY, np.zeros((1, 8, 8), np.uint8)),
        (GREY[:0], np.zeros((8, 8), np.uint8)),
    ],
)
def test_other_shapes_and_types_are_refused(picture: np.ndarray, heatmap: np.ndarray) -> None:
    with pytest.raises(UserError, match="expected uint8"):
        draw_overlay(picture, heatmap, Marks())
