"""Maps of all methods at once equal each method on the whole network."""

import numpy as np
import pytest
import torch

from cam_postproc.fusion import FUSED, fused_layer_cam
from cam_postproc.methods import METHODS, compute_maps
from finn_build.cam_methods import ALL_METHODS, map_batch
from models.evaluate import to_input
from models.network import Arithmetic, build_network, initialise_untrained
from models.spec import ModelSpec

CLASSES = 4


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("arithmetic", [Arithmetic.FLOAT, Arithmetic.TRAINING])
def test_one_call_gives_what_each_method_gives(pooling: str, arithmetic: Arithmetic) -> None:
    groups = {"blocks": [1, 1], "channels": [8, 16], "strides": [1, 2]}
    bits = dict.fromkeys(("weight_bit_width", "act_bit_width", "first_bit_width", "last_bit_width"), 4)
    spec = ModelSpec.model_validate({"groups": groups, "pooling": pooling, "checkpoint": "unused", **bits})
    torch.manual_seed(0)
    network = build_network(spec, CLASSES)
    initialise_untrained(network, 0, 16)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    labels = np.array([0, 3, 1, 2, 3])
    maps, logits = map_batch(network, images, labels, arithmetic, ALL_METHODS)
    assert list(maps) == list(ALL_METHODS)
    assert maps["cam"].dtype == np.float64
    with network.computing(arithmetic):
        for method in METHODS:
            alone = compute_maps(network, network.last_block, to_input(images), method, classes=labels.tolist())
            if method == "cam":
                continue  # Its layer would quantise the weights in any arithmetic.
            np.testing.assert_allclose(maps[method], alone.maps, rtol=1e-5, atol=1e-6 * np.abs(alone.maps).max())
            np.testing.assert_array_equal(logits, alone.logits)
        layers = [network.stem_act, *(block for _, block in network.blocks())]
        fused = fused_layer_cam(network, layers, to_input(images), classes=labels.tolist())
        np.testing.assert_array_equal(maps[FUSED], fused.maps)
    if pooling == "average":
        # Of a map of 8×8 pixels each has a sixty-fourth of the pooled gradient.
        np.testing.assert_allclose(maps["cam"], 64 * maps["gradcam"].astype(np.float64), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(maps["cam"].mean(axis=(1, 2)), logits[np.arange(5), labels], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(maps["smoothgradcam++"], maps["gradcam++"])
    else:
        assert not np.array_equal(maps["smoothgradcam++"], maps["gradcam++"])
