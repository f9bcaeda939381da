import numpy as np
import pytest
import torch
from torch import nn

from cam_postproc.errors import CamError
from cam_postproc.fusion import fused_layer_cam
from cam_postproc.methods import compute_maps


class Deep(nn.Module):
    """Two convolutions, the second at half the size, and an average-pooled linear head."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU())
        self.unused = nn.Conv2d(3, 3, 1)
        self.fc = nn.Linear(8, 4)

    def forward(self, images):
        taps = self.second(self.first(images))
        return self.fc(taps.mean(dim=(2, 3))), taps


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Deep()


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_it_is_the_mean_of_each_layers_map(model, images):
    wanted = 0
    for layer, pooled in (("first", True), ("second", False)):
        maps = compute_maps(model, layer, images, "layercam", classes=[0, 3, 1]).maps
        if pooled:
            maps = maps.reshape(3, 4, 2, 4, 2).mean(axis=(2, 4))
        low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
        wanted = wanted + (maps - low) / (high - low) / 2
    model.train()
    found = fused_layer_cam(model, ["first", model.second], images, classes=[0, 3, 1])
    assert found.maps.shape == (3, 4, 4)
    assert np.allclose(found.maps, wanted, atol=1e-5)
    assert found.classes.tolist() == [0, 3, 1]
    # The model is left as it was.
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.first._forward_hooks


def test_of_one_layer_it_is_layer_cam_min_maxed(model, images):
    one = compute_maps(model, "second", images, "layercam")
    fused = fused_layer_cam(model, ["second"], images)
    low, high = one.maps.min(axis=(1, 2), keepdims=True), one.maps.max(axis=(1, 2), keepdims=True)
    assert np.allclose(fused.maps, (one.maps - low) / (high - low), atol=1e-5)
    assert (fused.classes == one.classes).all()
    assert np.allclose(fused.logits, one.logits)


def test_dead_layers_give_zeros_not_nan(model, images):
    with torch.no_grad():
        model.second[0].bias.fill_(-100)
    assert not fused_layer_cam(model, ["first", "second"], images).maps.any()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], "layers and images, got 0 and 3"),
        (["third"], "a name in the model, got 'third'"),
        (["unused"], "layers that the model runs"),
        (["fc"], "outputs [N, C, h, w]"),
    ],
)
def test_what_cannot_be_fused_is_one_line(model, images, layers, expected):
    with pytest.raises(CamError) as caught:
        fused_layer_cam(model, layers, images)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
