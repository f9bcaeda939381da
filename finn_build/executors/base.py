"""What every executor agrees on: the call, the names, and how pixels become a graph's input."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from finn_build.errors import UserError

Array: TypeAlias = NDArray[Any]
Images: TypeAlias = NDArray[np.uint8]
"""Pictures: uint8, NHWC [N, H, W, 3], RGB."""

TAP = "tap"
LOGITS = "logits"

Layout = Literal["NCHW", "NHWC"]


class Executor(Protocol):
    """Runs one representation of the network on a batch."""

    def run(self, images: Images) -> dict[str, Array]:
        """Computes the named outputs.

        Args:
            images: uint8, NHWC [N, H, W, 3], RGB.

        Returns:
            one array a name, batch first; `tap` is NHWC.
        """
        ...


@dataclass(frozen=True)
class Output:
    """A tensor of a graph under the name by which executors are compared.

    Attributes:
        tensor: the tensor's name in the graph.
        layout: the layout that it has there; `NCHW` is turned to NHWC before it is given out, None leaves it as it is.
    """

    tensor: str
    layout: Layout | None = None


@dataclass(frozen=True)
class InputFormat:
    """How pixels become the input of a graph: `(pixel / divisor - mean) / std` a channel, in the graph's layout.

    The defaults hand the pixels over as they are, which is what every graph from the tidy one on is fed.

    Attributes:
        divisor: 1 for raw pixels, 255 for networks that expect [0, 1].
        mean: one a channel, in the graph's channel order, after the division.
        std: one a channel.
        channel_order: the order that the graph expects; images are always RGB.
    """

    divisor: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channel_order: Literal["RGB", "BGR"] = "RGB"

    @property
    def raw(self) -> bool:
        """Whether the graph is fed integers 0…255."""
        return self.divisor == 1.0 and not any(self.mean) and all(s == 1.0 for s in self.std)

    def prepare(self, images: Images, layout: Layout, dtype: type[np.floating[Any]]) -> Array:
        """Builds the graph's input.

        Args:
            images: uint8, NHWC, RGB.
            layout: the graph's.
            dtype: the floating type that the arithmetic is done in.

        Returns:
            the input tensor in `dtype`.
        """
        ordered = images if self.channel_order == "RGB" else images[..., ::-1]
        values = ordered.astype(dtype)
        if not self.raw:
            values = (values / dtype(self.divisor) - np.asarray(self.mean, dtype)) / np.asarray(self.std, dtype)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if layout == "NCHW" else values)


RAW = InputFormat()
UNIT = InputFormat(divisor=255.0)
"""Pixels divided by 255: what the shipped networks were trained on."""


def check_images(images: Array, size: tuple[int, int] | None = None) -> None:
    """Refuses what is no batch of pictures.

    Args:
        images: the candidate.
        size: the height and width wanted, where known.

    Raises:
        UserError: if it is not uint8 NHWC with three channels and at least one image, or of another size.
    """
    good = images.dtype == np.uint8 and images.ndim == 4 and images.shape[0] > 0 and images.shape[3] == 3
    if not good or (size is not None and images.shape[1:3] != size):
        h, w = size if size is not None else ("H", "W")
        raise UserError(
            "images",
            f"uint8 [N, {h}, {w}, 3] (RGB)",
            f"{images.dtype} {list(images.shape)}",
            "give pictures resized to the network's input",
        )


def input_layout(shape: list[int]) -> Layout:
    """The layout of a graph's image input, from where its three channels are.

    Raises:
        UserError: if the shape is no batch of RGB pictures.
    """
    if len(shape) == 4 and shape[3] == 3:
        return "NHWC"
    if len(shape) == 4 and shape[1] == 3:
        return "NCHW"
    raise UserError("graph input", "[1, 3, H, W] or [1, H, W, 3]", str(shape), "export the network for RGB pictures")


def as_outputs(outputs: dict[str, Output | str] | None, graph_outputs: list[str]) -> dict[str, Output]:
    """Completes the caller's choice of outputs: by default the graph's own, under their own names."""
    if outputs is None:
        return {name: Output(name) for name in graph_outputs}
    return {name: o if isinstance(o, Output) else Output(o) for name, o in outputs.items()}


def give_out(value: Array, output: Output) -> Array:
    """Turns an NCHW tensor to NHWC where its `Output` says so."""
    if output.layout == "NCHW" and value.ndim == 4:
        return np.ascontiguousarray(value.transpose(0, 2, 3, 1))
    return value


def take_in(value: Array, output: Output) -> Array:
    """The inverse of `give_out`."""
    if output.layout == "NCHW" and value.ndim == 4:
        return np.ascontiguousarray(value.transpose(0, 3, 1, 2))
    return value
