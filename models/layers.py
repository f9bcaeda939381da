"""The layers of the family: convolutions and activations that compute in float or quantised, and the residual block."""

from enum import Enum

from torch import Tensor, nn
from torch.nn import functional

from models.quantisers import (
    CodeRange,
    SignedQuantiser,
    UnsignedQuantiser,
    WeightQuantiser,
    fake_quantise,
    qnn,
    scale_parameter,
)

Activations = dict[str, Tensor]
"""Every quantised activation by name, in the order of execution; NCHW."""


class Arithmetic(Enum):
    """How a network computes.

    FLOAT: the same weights with all quantisers off. BREVITAS: Brevitas' own layers, what is exported.
    TRAINING: the same values as BREVITAS (bit for bit in float32) through `fake_quantise`, which trains faster.
    """

    FLOAT = "float"
    BREVITAS = "brevitas"
    TRAINING = "training"


class QuantConv(nn.Module):
    """A convolution without bias whose weights are quantised, and its batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, bits: int) -> None:
        super().__init__()
        self.conv = qnn.QuantConv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False,
            weight_quant=WeightQuantiser, weight_bit_width=bits,
        )  # fmt: skip
        self.norm = nn.BatchNorm2d(outputs)
        self.codes = CodeRange(bits, signed=True, narrow=True)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, arithmetic: Arithmetic) -> Tensor:
        """Float NCHW to float NCHW."""
        if arithmetic is Arithmetic.BREVITAS:
            y = self.conv(x)
        else:
            y = functional.conv2d(
                x, weights_of(self.conv, self.codes, arithmetic), None, self.conv.stride, self.conv.padding
            )
        normalised: Tensor = self.norm(y)
        return normalised


def weights_of(layer: nn.Module, codes: CodeRange, arithmetic: Arithmetic) -> Tensor:
    """The weights that a convolution or linear layer multiplies with: as they are, or quantised."""
    weight = layer.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(layer).__name__} has no weights")
    if arithmetic is Arithmetic.FLOAT:
        return weight
    return fake_quantise(weight, scale_parameter(layer), codes, weight.numel())


class QuantActivation(nn.Module):
    """A ReLU with unsigned codes, or an identity with signed ones."""

    def __init__(self, bits: int, signed: bool) -> None:
        super().__init__()
        self.codes = CodeRange(bits, signed=signed, narrow=False)
        self.quant = (
            qnn.QuantIdentity(act_quant=SignedQuantiser, bit_width=bits)
            if signed
            else qnn.QuantReLU(act_quant=UnsignedQuantiser, bit_width=bits)
        )

    def forward(self, x: Tensor, arithmetic: Arithmetic) -> Tensor:
        """Any shape to the same."""
        if arithmetic is Arithmetic.FLOAT:
            return x if self.codes.signed else functional.relu(x)
        if arithmetic is Arithmetic.TRAINING:
            # Clamping at code 0 is the ReLU.
            return fake_quantise(x, scale_parameter(self.quant), self.codes, x[0].numel())
        quantised: Tensor = self.quant(x)
        return quantised

    @property
    def scale(self) -> float:
        """The step of one code."""
        return float(self.quant.act_quant.scale().detach())


class Block(nn.Module):
    """Two 3×3 convolutions, and a shortcut that is a 1×1 convolution where the shape changes.

    One shared signed quantiser serves both branches, so that their sum is a sum of integers at one scale.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, weight_bits: int, act_bits: int) -> None:
        super().__init__()
        self.first = QuantConv(inputs, outputs, 3, stride, weight_bits)
        self.first_act = QuantActivation(act_bits, signed=False)
        self.second = QuantConv(outputs, outputs, 3, 1, weight_bits)
        changes = stride != 1 or inputs != outputs
        self.shortcut = QuantConv(inputs, outputs, 1, stride, weight_bits) if changes else None
        self.shared = QuantActivation(act_bits, signed=True)
        self.out_act = QuantActivation(act_bits, signed=False)

    def forward(self, x: Tensor, arithmetic: Arithmetic, name: str, record: Activations | None) -> Tensor:
        """Float NCHW to float NCHW; the activations are recorded as `name`.first_act and so on."""
        hidden = self.first_act(self.first(x, arithmetic), arithmetic)
        branch = self.shared(self.second(hidden, arithmetic), arithmetic)
        shortcut = self.shared(x if self.shortcut is None else self.shortcut(x, arithmetic), arithmetic)
        out: Tensor = self.out_act(branch + shortcut, arithmetic)
        if record is not None:
            record |= {
                f"{name}.first_act": hidden,
                f"{name}.branch": branch,
                f"{name}.shortcut": shortcut,
                f"{name}.out_act": out,
            }
        return out
