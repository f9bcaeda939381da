"""Trained weights as they ship: a safetensors file that says what it holds."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.errors import ModelError
from models.network import QuantResNet, build_network
from models.spec import ModelSpec
from models.tensors import restore
from models.train_state import write_atomically

FORMAT = "finn-cam checkpoint 1"
METADATA = "finn_cam"
GEOMETRY = ("stem", "groups", "pooling", "weight_bit_width", "act_bit_width", "first_bit_width", "last_bit_width")


@dataclass(frozen=True)
class CheckpointFacts:
    """How a checkpoint came about.

    Args:
        labels: the classes' names, in label order.
        size: image height and width in pixels.
        dataset: the images in words, as "CIFAR-10 (JPEG copy)".
        train_images, held_out_images, test_images: how many were learnt from, chosen by and reported on.
        recipe: the `[train]` table.
        hardware: in general words, as "2 CPU cores".
        seconds: time spent training.
        held_out_accuracy: fraction, or None.
        test_accuracy: fractions by arithmetic: "float" (same weights, quantisers off) and "quantised".
    """

    labels: list[str]
    size: int
    dataset: str
    train_images: int
    held_out_images: int
    test_images: int
    recipe: dict[str, Any]
    hardware: str
    seconds: float
    held_out_accuracy: float | None
    test_accuracy: dict[str, float]


def geometry_of(spec: ModelSpec) -> dict[str, Any]:
    """The part of `[model]` that a checkpoint has to agree with."""
    return spec.model_dump(mode="json", include=set(GEOMETRY))


def save_checkpoint(path: Path, network: QuantResNet, facts: CheckpointFacts) -> None:
    """Write weights, statistics and scales with the facts about them, atomically.

    Raises:
        ModelError: the place cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    about = {"format": FORMAT, "model": geometry_of(network.spec), "facts": asdict(facts)}
    # One entry: safetensors writes several in an order of its own, and the same network would not be the same bytes.
    write_atomically(path, save(tensors, {METADATA: json.dumps(about, sort_keys=True)}))


def load_checkpoint(path: Path, spec: ModelSpec, classes: int) -> tuple[QuantResNet, CheckpointFacts]:
    """Build a config's network and load its weights.

    Args:
        path: written by `save_checkpoint`.
        spec: `[model]`.
        classes: number of classes.

    Returns:
        The network in evaluation mode, whose outputs are bit for bit those it was saved with, and the facts.

    Raises:
        ModelError: the file is missing, truncated or corrupt, holds another network (the first difference is named), or
            numbers that no training gives.
    """
    model, facts, tensors = _read(path)
    remedy = "name the checkpoint of this network, or train it with finn-cam train"
    own = {"pooling": "average"} | geometry_of(spec)
    for field, wanted in own.items():
        if ({"pooling": "average"} | model).get(field) != wanted:
            raise ModelError(str(path), f"{field} = {_plain(wanted)}", _plain(model.get(field)), remedy)
    network = build_network(spec, classes)
    restore(network, tensors, str(path), remedy)
    _require_usable(tensors, str(path))
    return network, facts


def open_checkpoint(path: Path) -> tuple[QuantResNet, CheckpointFacts]:
    """Build the network that a checkpoint says it holds, and load its weights.

    Returns:
        The network in evaluation mode, and the facts.

    Raises:
        ModelError: as `load_checkpoint`.
    """
    model, facts, _ = _read(path)
    try:
        spec = ModelSpec.model_validate(model | {"checkpoint": path})
    except ValidationError as error:
        remedy = "fetch the file again, or train it with finn-cam train"
        raise ModelError(str(path), "the shape of a network", _reason(error), remedy) from error
    return load_checkpoint(path, spec, len(facts.labels))


def read_facts(path: Path) -> CheckpointFacts:
    """What a checkpoint says of itself, without building its network.

    Raises:
        ModelError: the file is missing, truncated or corrupt.
    """
    return _read(path)[1]


def read_weights(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by name, whichever network they are of.

    Raises:
        ModelError: the file is missing, truncated or corrupt.
    """
    return _read(path)[2]


def _read(path: Path) -> tuple[dict[str, Any], CheckpointFacts, dict[str, Tensor]]:
    remedy = "fetch the file again, or train it with finn-cam train"
    if not path.is_file():
        raise ModelError(str(path), "a checkpoint", "no such file", remedy)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(str(path), "a safetensors file", str(error), remedy) from error
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ModelError(str(path), f"finite numbers in {name}", "nan or inf", remedy)
    try:
        about = json.loads(metadata[METADATA])
        if about["format"] != FORMAT:
            raise ModelError(str(path), FORMAT, str(about["format"]), remedy)
        facts = TypeAdapter(CheckpointFacts).validate_python(about["facts"])
        return dict(about["model"]), facts, tensors
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(str(path), f"the metadata of a {FORMAT}", _reason(error), remedy) from error


def _require_usable(tensors: dict[str, Tensor], place: str) -> None:
    """Refuses what would fail far from its cause, or not at all: Brevitas takes a scale's magnitude, and a root of a
    negative variance is no number.
    """
    remedy = "fetch the file again, or train it with finn-cam train"
    for name, tensor in tensors.items():
        least = float(tensor.min()) if tensor.numel() else 0.0
        if name.endswith("running_var") and least < 0:
            raise ModelError(place, f"variances of at least 0 in {name}", f"{least:g}", remedy)
        if name.endswith("scaling_impl.value") and least <= 0:
            raise ModelError(place, f"a scale above 0 in {name}", f"{least:g}", remedy)
        if name.endswith(".weight") and tensor.ndim > 1 and not bool(tensor.any()):
            raise ModelError(place, f"weights in {name}", "zeros alone", remedy)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _plain(value: Any) -> str:
    return json.dumps(value).replace('"', "")
