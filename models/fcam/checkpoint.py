"""Trained decoders as they ship: one safetensors file beside their classifier's, which they name by its hash."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.errors import ModelError
from models.fcam.decoder import Decoder, Kind, Shape
from models.fcam.train import Recipe
from models.network import QuantResNet
from models.tensors import restore
from models.train_state import fingerprint, write_atomically

FORMAT = "finn-cam F-CAM decoders 1"
METADATA = "finn_cam"
REMEDY = "train them with finn-cam fcam"


@dataclass(frozen=True)
class DecoderFacts:
    """How decoders came about.

    Args:
        dataset: the images in words.
        train_images: how many were learnt from.
        recipe: how.
        hardware: in general words, as "2 CPU cores".
        seconds: time spent training.
    """

    dataset: str
    train_images: int
    recipe: Recipe
    hardware: str
    seconds: float


def decoders_path(checkpoint: Path) -> Path:
    """Where a checkpoint's decoders lie: NAME.fcam.safetensors."""
    return checkpoint.with_suffix(".fcam.safetensors")


def identity_of(network: QuantResNet) -> str:
    """SHA-256 of a network's tensors: decoders fit no other."""
    state = network.state_dict()
    return fingerprint(*(part for name in sorted(state) for part in (name, state[name].detach().cpu().numpy())))


def save_decoders(path: Path, network: QuantResNet, decoders: dict[Kind, Decoder], facts: DecoderFacts) -> None:
    """Write decoders with the facts about them, atomically.

    Raises:
        ModelError: the place cannot be written.
    """
    tensors = {
        f"{kind}.{name}": tensor.detach().cpu().contiguous().clone()
        for kind, decoder in decoders.items()
        for name, tensor in decoder.state_dict().items()
    }
    about = {
        "format": FORMAT,
        "network": identity_of(network),
        "shapes": {kind: decoder.shape.about() for kind, decoder in decoders.items()},
        "facts": asdict(facts),
    }
    write_atomically(path, save(tensors, {METADATA: json.dumps(about, sort_keys=True)}))


def load_decoders(path: Path, network: QuantResNet) -> tuple[dict[Kind, Decoder], DecoderFacts]:
    """Read a network's decoders.

    Returns:
        The decoders in evaluation mode, and the facts.

    Raises:
        ModelError: the file is missing, truncated or corrupt, or was trained on another network.
    """
    about, tensors = _read(path)
    if about["network"] != identity_of(network):
        raise ModelError(str(path), "decoders of this network", "decoders trained on other weights", REMEDY)
    decoders = {}
    for kind, shape in about["shapes"].items():
        decoder = Decoder(shape)
        own = {name.removeprefix(f"{kind}."): t for name, t in tensors.items() if name.startswith(f"{kind}.")}
        restore(decoder, own, str(path), REMEDY)
        decoders[kind] = decoder.eval()
    return decoders, about["facts"]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(str(path), "F-CAM decoders", "no such file", REMEDY)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = json.loads(metadata[METADATA])
        if about["format"] != FORMAT:
            raise ModelError(str(path), FORMAT, str(about["format"]), REMEDY)
        shapes = TypeAdapter(dict[Kind, Shape]).validate_python(about["shapes"])
        facts = TypeAdapter(DecoderFacts).validate_python(about["facts"])
        return {"network": str(about["network"]), "shapes": shapes, "facts": facts}, tensors
    except ModelError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        got = " ".join(str(error).split())[:120]
        raise ModelError(str(path), "a safetensors file of F-CAM decoders", got, REMEDY) from error
