"""Exact expectations of every augmentation, on pictures whose answer one can work out by hand."""

import cv2
import numpy as np
import pytest
import torch
from model_helpers import random_dataset, random_images
from torch.nn import functional

from models.augment import GAIN, LEAST_ZOOM, OFFSET, augment, cut_out, draw_epoch, hole_of, recolour, zoom
from models.evaluate import to_input
from models.processes import Processes
from models.spec import TrainSpec
from models.train_batches import Batches
from models.train_loss import loss_of, mix


def test_a_zoom_of_the_whole_image_is_the_image() -> None:
    images = random_images(3)
    assert np.array_equal(zoom(images, np.array([[1.0, 0.0, 0.0]] * 3)), images)


@pytest.mark.parametrize("corner", [(0, 0), (4, 2), (8, 8)])
def test_a_zoom_shows_its_window_as_cv2_resizes_it(corner: tuple[int, int]) -> None:
    # Levels in steps of 16 and a factor of 2 (weights 1/4 and 3/4): every interpolated value is a whole number.
    image = random_images(1)[0] // 16 * 16
    row, column = corner
    shown = zoom(image[None], np.array([[0.5, row / 16, column / 16]]))[0]
    wanted = cv2.resize(image[row : row + 8, column : column + 8], (16, 16), interpolation=cv2.INTER_LINEAR)
    # At its rim a resize repeats the window's last pixel where a zoom sees the one beyond.
    assert np.array_equal(shown[1:-1, 1:-1], wanted[1:-1, 1:-1])
    # By hand: output 0 lies at input corner - 1/4.
    if corner == (4, 2):
        around = image[3:5, 1:3].astype(float)
        weights = np.outer([0.25, 0.75], [0.25, 0.75])
        assert np.array_equal(shown[0, 0], (around * weights[..., None]).sum((0, 1)))


def test_a_cut_out_is_an_odd_square_around_its_centre() -> None:
    assert [hole_of(size) for size in (8, 16, 24, 32, 64)] == [3, 5, 9, 11, 23]
    images = np.zeros((3, 16, 16, 3), np.uint8)
    cut = cut_out(images, np.array([[7, 4], [0, 15], [15, 8]]))
    wanted = np.zeros_like(images)
    wanted[0, 5:10, 2:7] = 128
    wanted[1, :3, 13:] = 128
    wanted[2, 13:, 6:11] = 128
    assert np.array_equal(cut, wanted)
    assert not images.any(), "the data set itself stays as it is"


def test_colours_are_scaled_shifted_rounded_and_clipped() -> None:
    images = np.array([0, 10, 101, 250], np.uint8).repeat(3).reshape(1, 2, 2, 3)
    changed = recolour(images, np.array([[1.0, 0.75, 1.25]], np.float32), np.array([-8.0], np.float32))
    # 101 · 0.75 - 8 = 67.75, 101 · 1.25 - 8 = 118.25, 250 · 1.25 - 8 > 255
    assert changed.reshape(4, 3).tolist() == [[0, 0, 0], [2, 0, 4], [93, 68, 118], [242, 180, 255]]


def test_draws_stay_within_their_ranges_and_depend_on_seed_phase_and_epoch_alone() -> None:
    draw, same = draw_epoch(2000, 16, 1, 1, 3, mixup=0.4), draw_epoch(2000, 16, 1, 1, 3, mixup=0.4)
    for name in vars(draw):
        assert np.array_equal(getattr(draw, name), getattr(same, name)), name
    sides, rows, columns = draw.zooms.T
    assert LEAST_ZOOM <= sides.min() < LEAST_ZOOM + 0.01 < 0.99 < sides.max() <= 1
    assert min(rows.min(), columns.min()) >= 0
    assert max((rows + sides).max(), (columns + sides).max()) <= 1
    assert (np.abs(draw.gains - 1) <= GAIN + 1e-6).all()
    assert (np.abs(draw.offsets) <= OFFSET).all()
    assert set(draw.holes.flatten()) == set(range(16))
    # Beta(0.4, 0.4) has mean 1/2 and variance 1/(4 · 1.8).
    assert abs(draw.mixtures.mean() - 0.5) < 0.03
    assert abs(draw.mixtures.var() - 1 / 7.2) < 0.01
    assert (draw_epoch(10, 16, 1, 1, 3).mixtures == 1).all()
    others = [draw_epoch(2000, 16, *which, mixup=0.4) for which in [(2, 1, 3), (1, 0, 3), (1, 1, 4)]]
    assert all(not np.array_equal(draw.order, other.order) for other in others)
    assert all(not np.array_equal(draw.zooms, other.zooms) for other in others)


def test_augmentations_follow_one_another_in_a_fixed_order() -> None:
    images, draw = random_images(8), draw_epoch(20, 16, 0, 0, 0)
    chosen = slice(4, 12)
    assert np.array_equal(augment(images, chosen, draw, []), images)
    alone = {
        "zoom": zoom(images, draw.zooms[chosen]),
        "colour": recolour(images, draw.gains[chosen], draw.offsets[chosen]),
        "cutout": cut_out(images, draw.holes[chosen]),
    }
    for name, wanted in alone.items():
        assert np.array_equal(augment(images, chosen, draw, [name]), wanted), name  # type: ignore[list-item]
    flipped = np.where(draw.flips[chosen, None, None, None], images[:, :, ::-1], images)
    assert np.array_equal(augment(images, chosen, draw, ["flip"]), flipped)
    wanted = cut_out(recolour(alone["zoom"], draw.gains[chosen], draw.offsets[chosen]), draw.holes[chosen])
    assert np.array_equal(augment(images, chosen, draw, ["cutout", "colour", "zoom"]), wanted)


def test_mixup_blends_images_and_losses_alike() -> None:
    one, other = torch.full((2, 3, 4, 4), 0.2), torch.full((2, 3, 4, 4), 0.6)
    shares = torch.tensor([1.0, 0.25])
    mixed = mix(one, other, shares)
    assert torch.equal(mixed[0], one[0])
    assert mixed[1].numpy() == pytest.approx(0.25 * 0.2 + 0.75 * 0.6)
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
    labels, partners = torch.tensor([0, 1]), torch.tensor([2, 2])
    log_p = logits.log_softmax(1)
    plain = TrainSpec(mixup=0.4)
    by_hand = -(log_p[0, 0] + 0.25 * log_p[1, 1] + 0.75 * log_p[1, 2]) / 2
    assert float(loss_of(logits, labels, plain, partners, shares)) == pytest.approx(float(by_hand))
    assert float(loss_of(logits, labels, plain)) == pytest.approx(float(-(log_p[0, 0] + log_p[1, 1]) / 2))
    # Smoothed by 0.3, a class keeps 0.7 and every class gets 0.1.
    smoothed = loss_of(logits, labels, TrainSpec(label_smoothing=0.3))
    assert float(smoothed) == pytest.approx(float(-(0.7 * (log_p[0, 0] + log_p[1, 1]) + 0.1 * log_p.sum()) / 2))
    taught = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    recipe = TrainSpec(distillation=0.25, float_epochs=1)
    told = -(0.5 * log_p[0, 0] + 0.5 * log_p[0, 1] + log_p[1, 2]) / 2
    plain_loss = functional.cross_entropy(logits, labels)
    assert float(loss_of(logits, labels, recipe, taught=taught)) == pytest.approx(
        float(0.75 * plain_loss + 0.25 * told)
    )


def test_a_batch_mixes_each_image_with_the_one_across_it_however_many_processes_share_it() -> None:
    data = random_dataset(24)
    recipe = TrainSpec(batch_size=8, mixup=0.5, augment=["flip", "cutout"])
    draw = draw_epoch(len(data), 16, 0, 0, 0, recipe.mixup)
    whole = Batches(data, recipe, Processes(), "cpu").batch(draw, 1)
    order = draw.order[8:16]
    x = to_input(augment(data.images[order], slice(8, 16), draw, recipe.augment))
    shares = torch.from_numpy(draw.mixtures[8:16]).float()[:, None, None, None]
    assert torch.allclose(whole.images, shares * x + (1 - shares) * x.flip(0), atol=1e-6)
    assert whole.labels.tolist() == data.labels[order].tolist()
    assert whole.partners is not None
    assert whole.partners.tolist() == data.labels[order][::-1].tolist()
    parts = [Batches(data, recipe, Processes(rank, 4), "cpu").batch(draw, 1) for rank in range(4)]
    for name in ("images", "labels", "partners", "shares"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name
