"""What a training has to remember to go on after a kill, and how it is written."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.errors import ModelError


@dataclass
class Position:
    """Where a training stands: everything but the tensors.

    Args:
        phase: 0 with the quantisers off, 1 with them on.
        epoch: epochs finished in this phase.
        step: batches finished in this epoch.
        loss_sum, correct, seen: sums over this epoch's batches so far.
        seconds: time spent training, over all sittings.
        log: one record for each finished epoch.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a kill or a full disk leaves either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ModelError(str(path), "a place that can be written", error.strerror or "?", "free some space") from error


def fingerprint(*parts: Any) -> str:
    """SHA-256 over arrays and JSON values, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()


def save_state(path: Path, identity: str, position: Position, tensors: Mapping[str, Tensor]) -> None:
    """Write position and tensors as one safetensors file, atomically.

    Args:
        path: the file.
        identity: fingerprint of network, recipe and images; a state fits no other training.
        position: where the training stands.
        tensors: weights, statistics and momentum by name.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"identity": identity, "position": json.dumps(asdict(position))}
    write_atomically(path, save(plain, metadata))


def load_state(path: Path, identity: str) -> tuple[Position, dict[str, Tensor]] | None:
    """Read a state back, or None where there is none.

    Raises:
        ModelError: the file is corrupt, or belongs to another network, recipe or set of images.
    """
    if not path.exists():
        return None
    remedy = "delete it to train from the start, or train into another folder"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        position = Position(**json.loads(metadata["position"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(str(path), "the state of a training", str(error), remedy) from error
    if metadata.get("identity") != identity:
        raise ModelError(str(path), "the state of this training", "another network, recipe or data set", remedy)
    return position, tensors


def momentum_of(optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]) -> dict[str, Tensor]:
    """An SGD optimiser's momentum by parameter name."""
    return {
        f"momentum.{name}": optimizer.state[parameter]["momentum_buffer"]
        for parameter, name in names.items()
        # A parameter that was never stepped has none, or None.
        if optimizer.state.get(parameter, {}).get("momentum_buffer") is not None
    }


def restore_momentum(
    optimizer: torch.optim.Optimizer,
    names: Mapping[torch.nn.Parameter, str],
    momentum: Mapping[str, Tensor],
    device: str,
) -> None:
    """Give an SGD optimiser its momentum back, by parameter name, laid out in memory as it had grown."""
    for parameter, name in names.items():
        if name in momentum:
            buffer = momentum[name].to(device)
            if buffer.dim() == 4:
                buffer = buffer.contiguous(memory_format=torch.channels_last)
            optimizer.state[parameter]["momentum_buffer"] = buffer
