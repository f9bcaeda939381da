"""From a trained network to `model.onnx` (QONNX) and `head.npz`."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.cam_head import Check, check_adds, check_cam_head, require
from models.errors import ModelError
from models.network import Activations, Arithmetic, QuantResNet
from models.quantisers import scale_parameter
from models.train_state import write_atomically

with warnings.catch_warnings():
    # Brevitas recommends an optional package when its exporter is imported.
    warnings.simplefilter("ignore")
    from brevitas.export import export_qonnx as brevitas_export


@dataclass(frozen=True)
class Head:
    """The classifier as the CAM block computes it.

    Args:
        fc_weight: int8 [classes, C].
        bias: int32 [classes]; zeros, shipped networks have none.
        weight_scale, tap_scale: the steps of one code.
        tap_shape: NHWC of one image.
        tap_bits: width of the tap's unsigned codes.
        labels: the classes' names.
    """

    fc_weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    weight_scale: float
    tap_scale: float
    tap_shape: tuple[int, int, int, int]
    tap_bits: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ExportResult:
    """What was written, and the conditions that were checked (all met).

    Args:
        model: `model.onnx`: input `image` float NCHW [1, 3, S, S] in [0, 1], output `logits` float [1, classes]; every
            quantised activation bears the name that `QuantResNet.forward` records it under.
        head: `head.npz`.
        tap: the name of the tap's tensor in the model.
        checks: of the residual adds and of the CAM head.
    """

    model: Path
    head: Path
    tap: str
    checks: list[Check]


class _Classifier(nn.Module):
    """The network with the logits as its only output, by which the exporter knows it."""

    def __init__(self, network: QuantResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)[0]
        return logits


def head_of(network: QuantResNet, size: int, labels: Sequence[str]) -> Head:
    """The classifier's integers.

    Args:
        network: the network.
        size: image height and width in pixels.
        labels: one name a class.

    Raises:
        ModelError: labels and classes differ in number.
    """
    if len(labels) != network.classes:
        raise ModelError("[data] labels", f"{network.classes} labels", str(len(labels)), "name every class once")
    _, tap, _ = _outputs(network, np.zeros((1, size, size, 3), np.uint8), Arithmetic.BREVITAS)
    _, C, h, w = tap.shape
    scale = scale_parameter(network.fc).detach().abs() / network.fc_codes.threshold
    codes = (network.fc.weight.detach() / scale).round().clamp(network.fc_codes.low, network.fc_codes.high)
    return Head(
        fc_weight=codes.numpy().astype(np.int8),
        bias=np.zeros(network.classes, np.int32),
        weight_scale=float(scale),
        tap_scale=network.last_block.out_act.scale,
        tap_shape=(1, h, w, C),
        tap_bits=network.last_block.out_act.codes.bits,
        labels=tuple(labels),
    )


def export_qonnx(network: QuantResNet, size: int, labels: Sequence[str], folder: Path) -> ExportResult:
    """Write `model.onnx` and `head.npz`; the same network always gives the same bytes.

    Args:
        network: in evaluation mode.
        size: image height and width in pixels.
        labels: one name a class.
        folder: where the files go.

    Raises:
        ModelError: a condition of the CAM head, or of a residual add, is not met.
    """
    head = head_of(network, size, labels)
    record: Activations = {}
    image = torch.zeros(1, 3, size, size)
    with torch.no_grad(), network.computing(Arithmetic.BREVITAS):
        network(image, record)
        model = _export(_Classifier(network).eval(), image)
    _name_activations(model, ["pixels", *record])
    place = "the exported network"
    checks = check_adds(model) + check_cam_head(model)
    require(checks, place)
    arrays: dict[str, NDArray[Any]] = {
        "fc_weight": head.fc_weight,
        "bias": head.bias,
        "weight_scale": np.array(head.weight_scale, np.float64),
        "tap_scale": np.array(head.tap_scale, np.float64),
        "tap_shape": np.array(head.tap_shape, np.int64),
        "tap_bits": np.array(head.tap_bits, np.int64),
        "labels": np.array(head.labels, np.str_),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    result = ExportResult(folder / "model.onnx", folder / "head.npz", list(record)[-1], checks)
    write_atomically(result.model, model.SerializeToString(deterministic=True))
    write_atomically(result.head, buffer.getvalue())
    return result


def activations_of(
    network: QuantResNet, images: NDArray[np.uint8], arithmetic: Arithmetic = Arithmetic.BREVITAS
) -> dict[str, NDArray[np.float32]]:
    """Every quantised activation and the logits.

    Args:
        network: in evaluation mode.
        images: uint8 NHWC [N, S, S, 3].
        arithmetic: BREVITAS for what is exported, FLOAT for the same weights with the quantisers off.

    Returns:
        float32 NCHW by the names that `model.onnx` uses, in the order of execution, `logits` [N, classes] last.
    """
    logits, _, record = _outputs(network, images, arithmetic)
    return {name: tensor.numpy() for name, tensor in record.items()} | {"logits": logits.numpy()}


def integers_of(network: QuantResNet, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The tap's codes, and the logits as the integers that follow from them.

    Args:
        network: in evaluation mode; computes as Brevitas does.
        images: uint8 NHWC [N, S, S, 3].

    Returns:
        tap uint8 NHWC [N, h, w, C], and logits int32 [N, classes], the sums `Σ_xy Σ_k w[c,k]·tap[x,y,k]`.
    """
    _, tap, _ = _outputs(network, images, Arithmetic.BREVITAS)
    codes = (tap / network.last_block.out_act.scale).round().numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    weight = head_of(network, images.shape[1], [""] * network.classes).fc_weight
    logits = codes.astype(np.int64).sum(axis=(1, 2)) @ weight.T.astype(np.int64)
    return np.ascontiguousarray(codes), logits.astype(np.int32)


@torch.no_grad()
def _outputs(
    network: QuantResNet, images: NDArray[np.uint8], arithmetic: Arithmetic
) -> tuple[Tensor, Tensor, Activations]:
    record: Activations = {}
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255.0)
    with network.computing(arithmetic):
        logits, tap = network(x, record)
    return logits, tap, record


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what torch's exporter says on every run: progress on stdout, torchvision's absence, its deprecations."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|brevitas)\.")
            yield
    finally:
        logger.setLevel(level)


def _export(classifier: nn.Module, image: Tensor) -> onnx.ModelProto:
    """Brevitas' QONNX export, without the traces of this machine that torch leaves in it."""
    with TemporaryDirectory() as folder, _quiet_exporter():
        path = Path(folder) / "model.onnx"
        brevitas_export(
            classifier, args=(image,), export_path=str(path), input_names=["image"], output_names=["logits"]
        )
        model = onnx.load(path)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in [*graph.node, *graph.input, *graph.output, *graph.initializer]:
        del part.metadata_props[:]
        part.doc_string = ""
    return model


def _name_activations(model: onnx.ModelProto, names: list[str]) -> None:
    """Give nodes plain names, and each quantised activation the name it is recorded under."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    quants = [node for node in graph.node if node.op_type == "Quant" and node.input[0] not in constants]
    if len(quants) != len(names):
        raise RuntimeError(f"{len(quants)} activation quantisers exported, {len(names)} recorded")
    renamed = {node.output[0]: name for node, name in zip(quants, names, strict=True)}
    renamed |= {name: name.removeprefix("network.") for name in constants}
    for tensor in graph.initializer:
        tensor.name = renamed[tensor.name]
    counts: dict[str, int] = {}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        number = counts.get(node.op_type, 0)
        counts[node.op_type] = number + 1
        node.name = f"{node.op_type}_{number}"
