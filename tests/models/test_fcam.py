"""F-CAM: seeds, losses and decoders by hand, and a training that learns, resumes and ships."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.datasets.dataset import Dataset
from models.errors import ModelError
from models.evaluate import to_input
from models.fcam.checkpoint import DecoderFacts, decoders_path, identity_of, load_decoders, save_decoders
from models.fcam.decoder import Decoder, Shape
from models.fcam.features import Features, features_of
from models.fcam.losses import affinities, crf_loss, log_barrier, partial_cross_entropy, size_loss
from models.fcam.seeds import UNKNOWN, draw_seeds
from models.fcam.train import Recipe, train_decoders
from models.network import QuantResNet, build_network, initialise_untrained
from models.spec import Groups, ModelSpec

SIZE = 16
RECIPE = Recipe(epochs=2, batch_size=8, width=4, crf_pixels=64, precision="float32")


@pytest.fixture(scope="module")
def network() -> QuantResNet:
    spec = ModelSpec(
        groups=Groups(blocks=[1, 1], channels=[8, 16], strides=[1, 2]),
        weight_bit_width=4, act_bit_width=4, first_bit_width=4, last_bit_width=4,
        checkpoint=Path("none.safetensors"),
    )  # fmt: skip
    torch.manual_seed(0)
    built = build_network(spec, 2)
    initialise_untrained(built, 0, SIZE)
    return built


def squares(count: int) -> tuple[Dataset, np.ndarray]:
    """Dark pictures with a bright square, and masks bool [N, S, S] of the squares."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (count, SIZE, SIZE, 3)).astype(np.uint8)
    masks = np.zeros((count, SIZE, SIZE), bool)
    for n in range(count):
        y, x = rng.integers(1, 8, 2)
        masks[n, y : y + 7, x : x + 7] = True
    images[masks] += np.uint8(180)
    return Dataset(images, np.arange(count) % 2, ["a", "b"]), masks


def test_seeds_lie_in_otsus_region_and_in_the_lowest_share() -> None:
    cam = torch.zeros(2, 4, 4)
    cam[0, 1:3, 1:3] = 1.0
    cam[1] = 3.0
    generator = torch.Generator().manual_seed(0)
    seeds = draw_seeds(cam, SIZE, 3, 3, 0.25, generator)
    assert set(seeds.unique().tolist()) == {0.0, 1.0, UNKNOWN}
    where = torch.nonzero(seeds[0] == 1)
    # The object's four map pixels are 4 … 11 of 16; resized bilinearly, eroded, and seeds widened by one again.
    assert int(where.min()) >= 4
    assert int(where.max()) <= 11
    assert 0 < len(where) <= 3 * 9
    outside = torch.nonzero(seeds[0] == 0)
    assert all(min(y, x) <= 3 or max(y, x) >= 12 for y, x in outside.tolist())
    # A constant map tells nothing.
    assert (seeds[1] == UNKNOWN).all()
    again = draw_seeds(cam, SIZE, 3, 3, 0.25, torch.Generator().manual_seed(0))
    assert torch.equal(again, seeds)
    assert not torch.equal(draw_seeds(cam, SIZE, 3, 3, 0.25, generator), seeds)


def test_seeds_may_prefer_the_middle() -> None:
    cam = torch.zeros(1, 8, 8)
    cam[0, 3:5, 3:5], cam[0, :2, :2] = 0.8, 1.0
    corner = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    corner[:5, :5] = True
    for centre, wanted in ((0.0, True), (0.25, False)):
        seeds = draw_seeds(cam, SIZE, 200, 3, 0.25, torch.Generator().manual_seed(0), centre)[0]
        assert bool((seeds[corner] == 1).any()) == wanted
        assert (seeds[~corner] == 1).any()


def test_only_seeds_count_in_the_cross_entropy() -> None:
    logits = torch.tensor([[[0.0, 5.0], [-9.0, 2.0]]])
    seeds = torch.tensor([[[1.0, UNKNOWN], [UNKNOWN, 0.0]]])
    wanted = (math.log(2) + math.log(1 + math.exp(2.0))) / 2
    assert float(partial_cross_entropy(logits, seeds)) == pytest.approx(wanted)
    assert float(partial_cross_entropy(logits, torch.full_like(seeds, UNKNOWN))) == 0.0


def test_the_crf_is_the_sum_over_all_pairs() -> None:
    images = torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(2))
    pixels = torch.arange(9)
    share = torch.sigmoid(logits).flatten(1)
    energy = 0.0
    for n in range(2):
        for i in range(9):
            for j in range(9):
                colour = 255 * (images[n, :, i // 3, i % 3] - images[n, :, j // 3, j % 3]) / 90
                place = torch.tensor([i // 3 - j // 3, i % 3 - j % 3]) / 2.0
                weight = math.exp(-0.5 * float(colour.square().sum() + place.square().sum()))
                energy += weight * float(share[n, i] * (1 - share[n, j]) + share[n, j] * (1 - share[n, i]))
    found = crf_loss(logits, affinities(images, pixels, 90, 2.0), pixels)
    assert float(found) == pytest.approx(energy / (2 * 81), rel=1e-5)
    # All pixels of one opinion cost nothing.
    assert float(crf_loss(torch.full_like(logits, 40.0), affinities(images, pixels, 90, 2.0), pixels)) < 1e-6


def test_the_barrier_is_a_logarithm_and_its_tangent() -> None:
    for t in (1.0, 3.0):
        edge = -1 / t**2
        value = torch.tensor([-5.0, edge, 0.0, 2.0], requires_grad=True)
        barrier = log_barrier(value, t)
        wanted = [-math.log(5) / t, -math.log(-edge) / t]
        wanted += [t * x - math.log(1 / t**2) / t + 1 / t for x in (0.0, 2.0)]
        assert barrier.tolist() == pytest.approx(wanted)
        (slope,) = torch.autograd.grad(barrier.sum(), value)
        assert slope.tolist()[2:] == [t, t]
        assert float(slope[0]) == pytest.approx(1 / (5 * t))
    assert RECIPE.barrier(0) == 1.0
    assert RECIPE.barrier(2) == pytest.approx(1.0201)
    assert RECIPE.barrier(1000) == 10.0
    # Neither side may vanish: half and half is best.
    sizes = [float(size_loss(torch.full((1, 4, 4), logit), 1.0)) for logit in (-6.0, 0.0, 6.0)]
    assert sizes[1] < sizes[0] == pytest.approx(sizes[2])


def test_features_are_the_networks_own(network: QuantResNet) -> None:
    images = to_input(squares(3)[0].images)
    features = features_of(network)(images)
    assert [tuple(x.shape) for x in features.maps] == [(3, 16, 8, 8), (3, 8, 16, 16)]
    _, tap = network(images)
    assert torch.equal(features.maps[0], tap)


def test_each_decoder_sees_what_it_is_named_after() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, SIZE, SIZE, generator=generator)
    maps = [torch.rand(2, 16, 4, 4, generator=generator), torch.rand(2, 8, 8, 8, generator=generator)]
    torch.manual_seed(0)
    for kind, seen in (("skips", 2), ("tap", 1)):
        decoder = Decoder(Shape(kind, SIZE, (16, 8), (4, 8), 4)).eval()
        with torch.inference_mode():
            whole = decoder(images, Features(maps))
            assert whole.shape == (2, SIZE, SIZE)
            assert not torch.equal(decoder(1 - images, Features(maps)), whole)
            for changed in range(2):
                others = [x + (n == changed) for n, x in enumerate(maps)]
                assert torch.equal(decoder(images, Features(others)), whole) == (changed >= seen)


class Killed(Exception):
    pass


def test_a_training_learns_resumes_and_ships(network: QuantResNet, tmp_path: Path) -> None:
    data, masks = squares(40)

    frozen = features_of(network)
    # A map that knows the brightest corner of the object, as low in resolution as a classifier's.
    cams = torch.nn.functional.avg_pool2d(to_input(data.images).mean(dim=1), 4).numpy()
    recipe = Recipe(epochs=6, batch_size=8, width=4, crf_pixels=64, precision="float32", sigma_colour=30.0, centre=0.0)
    decoders, seconds = train_decoders(frozen, "one", data, cams, recipe, tmp_path / "whole")
    assert seconds > 0
    x = to_input(data.images)
    with torch.inference_mode():
        features = frozen(x)
        for kind, decoder in decoders.items():
            found = (decoder(x, features) > 0).numpy()
            overlap = (found & masks).sum() / (found | masks).sum()
            assert overlap > 0.6, kind

    # Killed in the third epoch, it goes on to the same weights.
    def kill(now: object) -> None:
        if getattr(now, "epoch", 0) == 2:
            raise Killed

    with pytest.raises(Killed):
        train_decoders(frozen, "one", data, cams, recipe, tmp_path / "cut", kill)
    again, _ = train_decoders(frozen, "one", data, cams, recipe, tmp_path / "cut")
    for kind, decoder in decoders.items():
        for name, tensor in again[kind].state_dict().items():
            assert torch.equal(tensor, decoder.state_dict()[name]), name
    with pytest.raises(ModelError, match="the state of this training, got another network"):
        train_decoders(frozen, "two", data, cams, recipe, tmp_path / "cut")

    path = decoders_path(tmp_path / "small.safetensors")
    assert path.name == "small.fcam.safetensors"
    facts = DecoderFacts("squares", len(data), recipe, "1 CPU core", 1.5)
    save_decoders(path, network, decoders, facts)
    loaded, told = load_decoders(path, network)
    assert told == facts
    with torch.inference_mode():
        for kind, decoder in decoders.items():
            assert torch.equal(loaded[kind](x, features), decoder(x, features))
    broken(path, network, tmp_path)


def broken(path: Path, network: QuantResNet, folder: Path) -> None:
    other = build_network(network.spec, 2)
    assert identity_of(other) != identity_of(network)
    with pytest.raises(ModelError, match="decoders trained on other weights; train them with finn-cam fcam"):
        load_decoders(path, other)
    with pytest.raises(ModelError, match="no such file"):
        load_decoders(folder / "none.safetensors", network)
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-10], whole.replace(b"decoders 1", b"decoders 9"), b"\0" * 100):
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            load_decoders(path, network)
        assert "\n" not in str(caught.value)
