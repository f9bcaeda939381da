"""What a network costs, counted from its description, against the network itself."""

import pytest
from model_helpers import small_spec
from pydantic import ValidationError

from models.network import build_network
from models.size import size_of
from models.spec import Groups


@pytest.mark.parametrize(("channels", "strides"), [((8, 16), (1, 2)), ((4, 4, 6), (1, 1, 2)), ((8,), (2,))])
def test_weights_are_those_of_the_network(channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
    spec = small_spec(channels=channels, strides=strides)
    size = size_of(spec, 16, 3)
    assert size.weights == build_network(spec, 3).weight_count()
    assert size.weight_bits == 4 * size.weights
    # 4 bits everywhere but at the stem, whose pixels have 8.
    stem = 16 * 16 * 27 * channels[0]
    assert size.bit_operations == 16 * (size.macs + stem)


def test_bits_of_each_group() -> None:
    groups = Groups(blocks=[1, 1], channels=[4, 8], strides=[1, 2], weight_bit_widths=[3, 5], act_bit_widths=[6, 2])
    spec = small_spec().model_copy(update={"groups": groups})
    network = build_network(spec, 3)
    bits = {name: codes.bits for name, _, codes in network.quantised_weights()}
    assert bits["groups.0.0.second.conv"] == 3
    assert bits["groups.1.0.shortcut.conv"] == 5
    assert bits["stem.conv"] == bits["fc"] == 4
    acts = {name: activation.codes.bits for name, activation in network.activations()}
    assert (acts["stem_act"], acts["groups.0.0.out_act"], acts["groups.1.0.shared"]) == (4, 6, 2)
    assert "weight_bit_widths" not in small_spec().model_dump(mode="json")["groups"]
    assert spec.model_dump(mode="json")["groups"]["act_bit_widths"] == [6, 2]
    for wrong in ([3], [3, 9], [1, 3]):
        with pytest.raises(ValidationError):
            Groups(blocks=[1, 1], channels=[4, 8], strides=[1, 2], weight_bit_widths=wrong)
