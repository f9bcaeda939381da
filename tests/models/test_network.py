from pathlib import Path

import numpy as np
import pytest
import torch
from model_helpers import random_images, small_network, small_spec

from models.errors import ModelError
from models.evaluate import to_input
from models.network import Activations, Arithmetic, QuantResNet, build_network, initialise_untrained
from models.quantisers import best_scale, scale_parameter
from models.spec import Groups, ModelSpec

FULL = [64, 128, 256, 512]


@pytest.mark.parametrize(
    ("blocks", "channels", "strides", "weights"),
    [
        ([2, 2, 2, 2], FULL, [1, 2, 2, 2], 11_164_352),
        ([1, 1, 1, 1], FULL, [1, 2, 2, 2], 4_897_472),
        ([1, 1, 1], FULL[:3], [1, 2, 2], 1_224_896),
        ([1, 1, 1], [32, 64, 128], [1, 2, 2], 307_296),
        ([1, 1, 1], [16, 32, 64], [2, 2, 2], 77_616),
    ],
)
def test_weight_counts_are_the_reference_familys(
    blocks: list[int], channels: list[int], strides: list[int], weights: int
) -> None:
    spec = ModelSpec(groups=Groups(blocks=blocks, channels=channels, strides=strides), checkpoint=Path("x"))
    assert build_network(spec, 10).weight_count() == weights


@pytest.mark.parametrize("bits", [2, 4, 5, 8])
def test_training_arithmetic_is_brevitas_bit_for_bit(bits: int) -> None:
    network = small_network(bits)
    x = to_input(random_images(8))
    records: list[Activations] = [{}, {}]
    outputs = []
    with torch.no_grad():
        for arithmetic, record in zip((Arithmetic.BREVITAS, Arithmetic.TRAINING), records, strict=True):
            with network.computing(arithmetic):
                outputs.append(network(x, record))
    assert list(records[0]) == list(records[1])
    for name in records[0]:
        assert torch.equal(records[0][name], records[1][name]), name
    assert torch.equal(outputs[0][0], outputs[1][0])
    assert len(outputs[0][1].unique()) > 2


def test_activations_are_codes_of_their_width(network: QuantResNet) -> None:
    record: Activations = {}
    with torch.no_grad():
        _, tap = network(to_input(random_images(4)), record)
    scales = {name: activation.scale for name, activation in network.activations()}
    for name, values in record.items():
        signed = name.endswith(("branch", "shortcut"))
        codes = values / scales[name.rsplit(".", 1)[0] + ".shared" if signed else name]
        assert torch.allclose(codes, codes.round(), atol=1e-4), name
        assert codes.min() >= (-8.01 if signed else 0), name
        assert codes.max() <= (7.01 if signed else 15.01), name
    assert tap is record["groups.1.0.out_act"]
    assert tap.shape == (4, 16, 8, 8)


def test_both_branches_share_one_scale(network: QuantResNet) -> None:
    for _, block in network.blocks():
        parameters = list(block.shared.parameters())
        assert len(parameters) == 1
        assert parameters[0] is scale_parameter(block.shared.quant)


def test_float_mode_leaves_the_quantisers_out(network: QuantResNet) -> None:
    x = to_input(random_images(4))
    with torch.no_grad(), network.computing(Arithmetic.FLOAT):
        before = network(x)[0]
        for parameter in network.scale_parameters():
            parameter.mul_(3.0)
        assert torch.equal(before, network(x)[0])
    with torch.no_grad():
        assert not torch.equal(before, network(x)[0])
    assert network.arithmetic is Arithmetic.BREVITAS


def test_pixels_pass_the_input_quantiser_unchanged(network: QuantResNet) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    x = to_input(pixels)
    quantised = network.pixels(x)
    assert torch.equal((quantised * 255).round(), x.mul(255).round())
    assert torch.allclose(quantised, x, rtol=0, atol=1e-7)


def test_imagenet_stem_quarters_the_image_and_keeps_14_by_14() -> None:
    groups = Groups(blocks=[1, 1, 1, 1], channels=[4, 4, 4, 8], strides=[1, 2, 2, 1])
    network = build_network(ModelSpec(stem="imagenet", groups=groups, checkpoint=Path("x")), 5)
    initialise_untrained(network, 0, 224, images=1)
    with torch.no_grad():
        logits, tap = network(to_input(random_images(1, 224)))
    assert logits.shape == (1, 5)
    assert tap.shape == (1, 8, 14, 14)


def test_untrained_weights_are_seeded_and_alive() -> None:
    first, second, third = small_network(seed=1), small_network(seed=1), small_network(seed=2)
    x = to_input(random_images(4))
    with torch.no_grad():
        assert torch.equal(first(x)[0], second(x)[0])
        assert not torch.equal(first(x)[0], third(x)[0])
        record: Activations = {}
        first(x, record)
    for name, values in record.items():
        assert len(values.unique()) > 4, f"{name} is degenerate"


def test_calibration_beats_the_full_range_on_outliers() -> None:
    codes = small_network().groups[0][0].first_act.codes  # type: ignore[index]
    values = torch.cat([torch.rand(1000), torch.tensor([4.0])])
    scale = best_scale(values, codes)
    assert scale < 4.0 / codes.high

    def error(step: float) -> float:
        return float(((values / step).round().clamp(0, codes.high) * step - values).square().mean())

    assert error(scale) < error(4.0 / codes.high)
    assert best_scale(torch.zeros(10), codes) > 0


def test_a_network_without_groups_is_refused() -> None:
    with pytest.raises(ModelError, match="groups"):
        build_network(ModelSpec(source="onnx", path=Path("x")), 10)


def test_learning_moves_weights_and_scales() -> None:
    network = build_network(small_spec(), 3)
    initialise_untrained(network, 0, 16)
    network.train().arithmetic = Arithmetic.TRAINING
    before = [p.detach().clone() for p in network.parameters()]
    logits, _ = network(to_input(random_images(8)))
    logits.logsumexp(1).sum().backward()  # type: ignore[no-untyped-call]
    for (name, parameter), old in zip(network.named_parameters(), before, strict=True):
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert torch.equal(parameter, old)
