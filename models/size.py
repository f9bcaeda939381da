"""What a network costs, counted from its description: weights, multiplications, and bits of both."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models.spec import ModelSpec


@dataclass(frozen=True)
class LayerSize:
    """One convolution, or the classifier.

    Args:
        weights: how many.
        macs: multiplications for one image.
        weight_bits, input_bits: widths of what is multiplied.
    """

    weights: int
    macs: int
    weight_bits: int
    input_bits: int


@dataclass(frozen=True)
class NetworkSize:
    """A whole network.

    Args:
        weights: of convolutions and classifier.
        weight_bits: bits that they take.
        macs: multiplications for one image.
        bit_operations: each multiplication counted as weight bits × input bits (Baskin et al., arXiv:1804.10969).
    """

    weights: int
    weight_bits: int
    macs: int
    bit_operations: int


def size_of(spec: ModelSpec, size: int, classes: int) -> NetworkSize:
    """Count a network.

    Args:
        spec: `[model]` with groups.
        size: image height and width in pixels.
        classes: how many the classifier tells apart.
    """
    layers = list(layer_sizes(spec, size, classes))
    return NetworkSize(
        sum(layer.weights for layer in layers),
        sum(layer.weights * layer.weight_bits for layer in layers),
        sum(layer.macs for layer in layers),
        sum(layer.macs * layer.weight_bits * layer.input_bits for layer in layers),
    )


def layer_sizes(spec: ModelSpec, size: int, classes: int) -> Iterator[LayerSize]:
    """Every convolution in order, a shortcut after its block's two, then the classifier."""
    groups = spec.groups
    if groups is None:
        return
    count = len(groups.blocks)
    weight_widths = groups.weight_bit_widths or [spec.weight_bit_width] * count
    act_widths = groups.act_bit_widths or [spec.act_bit_width] * count

    def conv(inputs: int, outputs: int, kernel: int, pixels: int, weight_bits: int, input_bits: int) -> LayerSize:
        weights = inputs * outputs * kernel * kernel
        return LayerSize(weights, weights * pixels * pixels, weight_bits, input_bits)

    width, bits, pixels = groups.channels[0], spec.act_bit_width, size
    imagenet = spec.stem == "imagenet"
    pixels = math.ceil(pixels / 2) if imagenet else pixels
    yield conv(3, width, 7 if imagenet else 3, pixels, spec.first_bit_width, 8)
    pixels = math.ceil(pixels / 2) if imagenet else pixels
    shapes = zip(groups.blocks, groups.channels, groups.strides, weight_widths, act_widths, strict=True)
    for blocks, outputs, stride, weight_bits, act_bits in shapes:
        for block in range(blocks):
            step = stride if block == 0 else 1
            pixels = math.ceil(pixels / step)
            yield conv(width, outputs, 3, pixels, weight_bits, bits)
            yield conv(outputs, outputs, 3, pixels, weight_bits, act_bits)
            if step != 1 or width != outputs:
                yield conv(width, outputs, 1, pixels, weight_bits, bits)
            width, bits = outputs, act_bits
    yield conv(width, classes, 1, 1, spec.last_bit_width, bits)
