import numpy as np
import pytest
import torch
from torch import nn
from torchcam.methods import CAM, GradCAM, LayerCAM, XGradCAM

from cam_postproc.errors import CamError
from cam_postproc.methods import METHODS, compute_maps


class Small(nn.Module):
    """A convolution, batch norm and an average-pooled linear head."""

    def __init__(self, pool="average"):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.unused = nn.Conv2d(3, 3, 1)
        self.pool = nn.AdaptiveAvgPool2d(1) if pool == "average" else nn.AdaptiveMaxPool2d(1)
        self.fc = nn.Linear(6, 4)

    def forward(self, images):
        taps = self.features(images)
        return self.fc(self.pool(taps).flatten(1)), taps


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Small()
    nn.init.constant_(model.features[1].bias, 0.5)  # every channel is alive
    return model


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def activations_and_gradient(model, images, classes):
    model.eval()
    taps = model.features(images).detach().requires_grad_()
    logits = model.fc(model.pool(taps).flatten(1))
    logits[torch.arange(len(images)), torch.tensor(classes)].sum().backward()
    return taps.detach().double().numpy(), taps.grad.double().numpy()


def test_each_method_is_its_equation(model, images):
    classes = [0, 3, 1]
    A, g = activations_and_gradient(model, images, classes)
    total = A.sum(axis=(2, 3), keepdims=True)
    alpha = g**2 / (2 * g**2 + total * g**3)
    weights = {
        "cam": model.fc.weight.detach().double().numpy()[classes],
        "gradcam": g.mean(axis=(2, 3)),
        "gradcam++": (alpha * np.maximum(g, 0)).sum(axis=(2, 3)),
        "xgradcam": (g * A).sum(axis=(2, 3)) / total[:, :, 0, 0],
    }
    for method, w in weights.items():
        expected = np.einsum("nchw,nc->nhw", A, w)
        got = compute_maps(model, "features", images, method, classes=classes)
        assert got.maps.shape == (3, 8, 8)
        assert np.allclose(got.maps, expected, rtol=1e-4, atol=1e-6), method
        assert got.classes.tolist() == classes
    layer = compute_maps(model, model.features, images, "layercam", classes=classes).maps
    assert np.allclose(layer, (np.maximum(g, 0) * A).sum(axis=1), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("method", "oracle"), [("cam", CAM), ("gradcam", GradCAM), ("xgradcam", XGradCAM), ("layercam", LayerCAM)]
)
def test_a_well_kept_library_agrees(model, images, method, oracle):
    # It clips at zero and reads unquantised weights, with no switch for either: so it is the judge, not the code.
    classes = [0, 3, 1]
    model.eval()
    options = {"fc_layer": "fc"} if method == "cam" else {}
    with oracle(model, "features", **options) as extractor:
        logits, _ = model(images.requires_grad_())
        (theirs,) = extractor(class_idx=classes, scores=logits, normalized=False)
    ours = compute_maps(model, "features", images.detach(), method, classes=classes, relu=method != "cam").maps
    assert np.allclose(ours, theirs.detach().numpy(), rtol=1e-4, atol=1e-6)
    assert np.ptp(ours) > 0


def test_cam_equals_grad_cam_times_the_pixels_behind_an_average_pool(model, images):
    cam = compute_maps(model, "features", images, "cam")
    grad = compute_maps(model, "features", images, "gradcam")
    assert np.allclose(cam.maps, 64 * grad.maps, rtol=1e-4, atol=1e-6)
    assert (cam.classes == cam.logits.argmax(axis=1)).all()
    # Logit = mean of the map + bias: what makes CAM exact.
    bias = model.fc.bias.detach().numpy()[cam.classes]
    assert np.allclose(cam.maps.mean(axis=(1, 2)) + bias, cam.logits.max(axis=1), rtol=1e-5)


def test_smooth_grad_cam_plus_plus_without_noise_is_grad_cam_plus_plus(model, images):
    plain = compute_maps(model, "features", images, "gradcam++").maps
    smooth = compute_maps(model, "features", images, "smoothgradcam++", samples=2, noise=0.0).maps
    assert np.allclose(plain, smooth, rtol=1e-5)


def test_smooth_grad_cam_plus_plus_is_seeded():
    torch.manual_seed(0)
    model = Small("max")
    images = torch.rand(2, 3, 8, 8)
    maps = [compute_maps(model, "features", images, "smoothgradcam++", noise=0.3, seed=s).maps for s in (1, 1, 2)]
    assert (maps[0] == maps[1]).all()
    assert (maps[0] != maps[2]).any()


def test_a_max_pooled_head_is_mapped_as_well(images):
    torch.manual_seed(0)
    model = Small("max")
    for method in METHODS:
        result = compute_maps(model, "features", images, method)
        assert np.isfinite(result.maps).all()
        assert np.ptp(result.maps) > 0


@pytest.mark.parametrize("pool", ["average", "max"])
def test_both_pooled_heads_train_and_localise(pool):
    """A bright square at one of many places, in one of two colours: learnt from the colour, found where it is."""
    rng = np.random.default_rng(0)
    pictures, labels = rng.random((96, 3, 16, 16)).astype(np.float32) * 0.2, np.arange(96) % 2
    places = rng.integers(2, 10, (96, 2))
    for n, (y, x) in enumerate(places):
        pictures[n, labels[n], y : y + 4, x : x + 4] += 0.8
    torch.manual_seed(0)
    model = Small(pool)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    data, wanted = torch.from_numpy(pictures), torch.from_numpy(labels)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data)[0], wanted).backward()
        optimizer.step()
    for method in METHODS:
        found = compute_maps(model, "features", data, method, classes=labels.tolist())
        assert (found.logits.argmax(axis=1) == labels).mean() > 0.95
        peaks = np.stack(np.unravel_index(found.maps.reshape(96, -1).argmax(axis=1), (16, 16)), axis=1)
        inside = ((peaks >= places - 1) & (peaks <= places + 4)).all(axis=1)
        assert inside.mean() > 0.9, method


def test_relu_clips_and_the_model_is_left_as_it_was(model, images):
    model.train()
    model.unused.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    raw = compute_maps(model, "features", images, "gradcam", classes=[0, 1, 2])
    clipped = compute_maps(model, "features", images, "gradcam", classes=[0, 1, 2], relu=True)
    assert raw.maps.min() < 0
    assert (clipped.maps == np.maximum(raw.maps, 0)).all()
    assert model.training
    assert not model.unused.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.features._forward_hooks


def test_a_dead_layer_gives_zeros_not_nan(model, images):
    with torch.no_grad():
        model.features[1].bias.fill_(-100)
    for method in METHODS:
        assert not compute_maps(model, "features", images, method).maps.any()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"method": "scorecam"}, "CAM method: expected cam or gradcam"),
        ({"layer": "feature"}, "CAM layer: expected a name in the model, got 'feature'"),
        ({"layer": "unused", "method": "gradcam"}, "a layer that the model runs"),
        ({"layer": "fc"}, "an output [N, C, h, w], got (3, 4)"),
        ({"classes": [0, 1]}, "3 classes from 0 to 3, got [0, 1]"),
        ({"classes": [0, 1, 4]}, "3 classes from 0 to 3"),
        ({"images": torch.zeros(0, 3, 8, 8)}, "images: expected at least one"),
        ({"layer": "features.0", "classifier": nn.Linear(5, 4)}, "CAM classifier: expected weights (4, 6)"),
        ({"method": "smoothgradcam++", "samples": 0}, "samples ≥ 1"),
    ],
)
def test_what_cannot_be_mapped_is_one_line(model, images, arguments, expected):
    arguments = {"layer": "features", "images": images, **arguments}
    with pytest.raises(CamError) as caught:
        compute_maps(model, arguments.pop("layer"), arguments.pop("images"), **arguments)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_that_are_no_classifiers(images):
    for model, layer in ((nn.Conv2d(3, 2, 1), ""), (nn.Sequential(nn.Conv2d(3, 2, 1)), "0")):
        with pytest.raises(CamError):
            compute_maps(model, layer, images)

    class Cut(Small):
        def forward(self, images):
            return self.fc(self.pool(self.features(images)).flatten(1).detach())

    with pytest.raises(CamError, match="a layer that leads to the logits"):
        compute_maps(Cut(), "features", images, "gradcam")
