"""The quantised ResNet family: from ResNet8 with 16 channels to ResNet18, on 32×32 and on 224×224 images."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.layers import Activations, Arithmetic, Block, QuantActivation, QuantConv, weights_of
from models.quantisers import CodeRange, PixelQuantiser, WeightQuantiser, best_scale, qnn, scale_parameter
from models.spec import ModelSpec

__all__ = [
    "Activations",
    "Arithmetic",
    "QuantResNet",
    "build_network",
    "calibrate",
    "channels_last",
    "initialise_untrained",
    "weights_of",
]


class QuantResNet(nn.Module):
    """A residual network whose convolutions, activations and classifier are integers times a scale.

    Args:
        spec: `[model]` with source = "checkpoint".
        classes: number of classes.
    """

    def __init__(self, spec: ModelSpec, classes: int) -> None:
        super().__init__()
        if spec.groups is None:
            raise ModelError("[model]", "groups", f'source = "{spec.source}"', "describe the network's groups")
        groups, act_bits = spec.groups, spec.act_bit_width
        width = groups.channels[0]
        imagenet = spec.stem == "imagenet"
        self.spec = spec
        self.classes = classes
        self.arithmetic = Arithmetic.BREVITAS
        self.pixels = qnn.QuantIdentity(act_quant=PixelQuantiser)
        self.stem = QuantConv(3, width, 7 if imagenet else 3, 2 if imagenet else 1, spec.first_bit_width)
        self.stem_act = QuantActivation(act_bits, signed=False)
        self.stem_pool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1) if imagenet else nn.Identity()
        self.groups = nn.ModuleList()
        count = len(groups.blocks)
        group_bits = zip(
            groups.weight_bit_widths or [spec.weight_bit_width] * count, groups.act_bit_widths or [act_bits] * count,
            strict=True,
        )  # fmt: skip
        shapes = zip(groups.blocks, groups.channels, groups.strides, group_bits, strict=True)
        for blocks, outputs, stride, (weight_bits, tap_bits) in shapes:
            group = nn.ModuleList()
            for i in range(blocks):
                group.append(Block(width, outputs, stride if i == 0 else 1, weight_bits, tap_bits))
                width = outputs
            self.groups.append(group)
        self.fc = qnn.QuantLinear(
            width, classes, bias=False, weight_quant=WeightQuantiser, weight_bit_width=spec.last_bit_width
        )
        self.fc_codes = CodeRange(spec.last_bit_width, signed=True, narrow=True)

    def forward(self, x: Tensor, record: Activations | None = None) -> tuple[Tensor, Tensor]:
        """Classify.

        Args:
            x: images / 255, float NCHW [N, 3, S, S] in [0, 1].
            record: filled with every quantised activation if given.

        Returns:
            Logits float [N, classes], and the tap: the last block's output, float NCHW [N, C, h, w].
        """
        arithmetic = self.arithmetic
        if arithmetic is Arithmetic.BREVITAS:
            x = self.pixels(x)
        x = self.stem_act(self.stem(x, arithmetic), arithmetic)
        if record is not None:
            record["stem_act"] = x
        x = self.stem_pool(x)
        for name, block in self.blocks():
            x = block(x, arithmetic, name, record)
        pooled = x.mean(dim=(2, 3)) if self.spec.pooling == "average" else x.amax(dim=(2, 3))
        if arithmetic is Arithmetic.BREVITAS:
            return self.fc(pooled), x
        return functional.linear(pooled, weights_of(self.fc, self.fc_codes, arithmetic)), x

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """The residual blocks with their names, first to last."""
        for g, group in enumerate(self.groups):
            if isinstance(group, nn.ModuleList):
                for b, block in enumerate(group):
                    if isinstance(block, Block):
                        yield f"groups.{g}.{b}", block

    def activations(self) -> Iterator[tuple[str, QuantActivation]]:
        """The activation quantisers (the shared one of a block once) with their names, first to last."""
        yield "stem_act", self.stem_act
        for name, block in self.blocks():
            yield f"{name}.first_act", block.first_act
            yield f"{name}.shared", block.shared
            yield f"{name}.out_act", block.out_act

    def quantised_weights(self) -> Iterator[tuple[str, nn.Module, CodeRange]]:
        """Every convolution and the classifier: name, layer, codes of its weights."""
        for name, module in self.named_modules():
            if isinstance(module, QuantConv):
                yield f"{name}.conv", module.conv, module.codes
        yield "fc", self.fc, self.fc_codes

    @property
    def last_block(self) -> Block:
        """The block that gives the tap."""
        return list(self.blocks())[-1][1]

    def weight_count(self) -> int:
        """Convolution and classifier weights."""
        return sum(layer.weight.numel() for _, layer, _ in self.quantised_weights())  # type: ignore[misc,operator]

    def scale_parameters(self) -> list[nn.Parameter]:
        """Every learnt scale."""
        layers: list[nn.Module] = [layer for _, layer, _ in self.quantised_weights()]
        layers += [activation.quant for _, activation in self.activations()]
        return [scale_parameter(layer) for layer in layers]

    @contextmanager
    def computing(self, arithmetic: Arithmetic) -> Iterator["QuantResNet"]:
        """Compute in another way within the block."""
        before = self.arithmetic
        self.arithmetic = arithmetic
        try:
            yield self
        finally:
            self.arithmetic = before


def build_network(spec: ModelSpec, classes: int) -> QuantResNet:
    """Build the network of a config, in evaluation mode, with torch's current random state."""
    return QuantResNet(spec, classes).eval()


def channels_last(network: QuantResNet) -> QuantResNet:
    """Lay the weights out in memory as the convolutions like them best; the values stay."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


@torch.no_grad()
def calibrate(network: QuantResNet, images: Tensor) -> None:
    """Set every scale to the one with the least squared error, of the weights and of the float activations.

    Args:
        network: changed in place; its batch normalisation must have its statistics.
        images: float NCHW [N, 3, S, S] in [0, 1].
    """
    for _, layer, codes in network.quantised_weights():
        weight = layer.weight
        if isinstance(weight, Tensor):
            scale_parameter(layer).fill_(best_scale(weight.detach(), codes) * codes.threshold)
    was_training = network.training
    network.eval()
    record: Activations = {}
    with network.computing(Arithmetic.FLOAT):
        network(images, record)
    network.train(was_training)
    for name, activation in network.activations():
        block = name.removesuffix(".shared")
        seen = [record[name]] if block == name else [record[f"{block}.branch"], record[f"{block}.shortcut"]]
        values = torch.cat([tensor.flatten() for tensor in seen])
        # 200,000 values place a scale as well as all of them do.
        values = values[:: max(1, values.numel() // 200_000)]
        scale = best_scale(values, activation.codes)
        scale_parameter(activation.quant).fill_(scale * activation.codes.threshold)


@torch.no_grad()
def initialise_untrained(network: QuantResNet, seed: int, size: int, images: int = 16) -> None:
    """Seeded random weights with statistics and scales that fit them: hardware can be sized without training.

    Args:
        network: changed in place.
        seed: of weights and pictures.
        size: image height and width in pixels.
        images: how many random pictures the statistics are taken on.
    """
    generator = torch.Generator().manual_seed(seed)
    for _, layer, _ in network.quantised_weights():
        weight = layer.weight
        if isinstance(weight, Tensor):
            fan_in = weight[0].numel()
            weight.copy_(torch.randn(weight.shape, generator=generator) * (2.0 / fan_in) ** 0.5)
    coarse = torch.rand((images, 3, max(2, size // 8), max(2, size // 8)), generator=generator)
    pictures = functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    pictures = (pictures + 0.1 * torch.randn(pictures.shape, generator=generator)).clamp(0, 1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.weight.copy_(0.75 + 0.5 * torch.rand(norm.weight.shape, generator=generator))
        norm.bias.copy_(0.25 * torch.randn(norm.bias.shape, generator=generator))
        norm.momentum = None
    network.train()
    with network.computing(Arithmetic.FLOAT):
        network(pictures)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    calibrate(network, pictures)
