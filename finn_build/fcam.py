"""F-CAM decoders of a config: trained on its checkpoint's features, and run on what an executor gives."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.labels import require_same_order
from finn_build.sources import find_dataset

if TYPE_CHECKING:
    from models.datasets.dataset import Dataset
    from models.network import QuantResNet

BATCH = 50

Tell = Callable[[float, str, bool], None]
"""Told the fraction that is done, the figures so far, and whether an epoch just ended."""


def checkpoint_of(config: Config) -> Path:
    """The weights whose features decoders are trained on.

    Raises:
        UserError: the config's network is an ONNX file, or is not trained yet.
    """
    path = config.model.checkpoint
    if config.model.source != "checkpoint" or path is None:
        raise UserError(f"{config.name}: [model] source", "checkpoint", config.model.source, "use one trained here")
    if not path.is_file():
        remedy = f"train it first: finn-cam train {config.name}"
        raise UserError(f"{config.name}: checkpoint", "a file", f"no {path}", remedy)
    return path


def decoders_of(config: Config) -> Path:
    """The F-CAM decoders beside a config's checkpoint.

    Raises:
        UserError: its network is an ONNX file, or has no checkpoint or no decoders yet.
    """
    from models.fcam.checkpoint import decoders_path

    path = decoders_path(checkpoint_of(config))
    if not path.is_file():
        remedy = f"train them first: finn-cam fcam {config.name}"
        raise UserError(f"{config.name}: F-CAM decoders", "a file", f"no {path}", remedy)
    return path


def train_fcam(
    config: Config, data: Path | None, folder: Path, threads: int, changed: dict[str, Any], tell: Tell
) -> dict[str, Any]:
    """Trains both decoders on a config's training images, from image labels alone, or goes on where a run was stopped.

    Args:
        config: whose checkpoint is there.
        data: the folder of the data set that the user names.
        folder: where the state goes.
        threads: CPU threads; 0 for all.
        changed: fields of `models.fcam.train.Recipe` that are not to have their default: epochs, seeds_from, centre.
        tell: see `Tell`.

    Returns:
        Path and figures, as `finn-cam fcam --json` prints them.

    Raises:
        UserError, ModelError: no checkpoint or data set, or one that does not fit the config.
    """
    weights = checkpoint_of(config)
    root = find_dataset(config, data)
    if root is None:
        remedy = "give --data DIR or set FINN_CAM_DATA"
        raise UserError(f"{config.name}: data set", f"a folder with {config.data.dataset}", "none named", remedy)
    import torch

    from models.checkpoint import load_checkpoint
    from models.datasets.load import load_dataset
    from models.fcam.checkpoint import DecoderFacts, decoders_path, identity_of, save_decoders
    from models.fcam.features import features_of
    from models.fcam.train import Progress, Recipe, train_decoders
    from models.ship import describe_images

    torch.set_num_threads(threads or os.cpu_count() or 1)
    network, _ = load_checkpoint(weights, config.model, config.data.classes)
    learnt = load_dataset(config.data.dataset, root, "train", config.input.size, config.data.classes)
    require_same_order(str(root), config.data.labels, learnt.names)
    recipe = replace(Recipe(), **changed)

    def on_progress(now: Progress) -> None:
        done = (now.epoch + now.step / now.steps) / now.epochs
        losses = ", ".join(f"{kind} {loss:.4f}" for kind, loss in now.losses.items())
        tell(done, f"epoch {now.epoch + 1}/{now.epochs} loss: {losses}", now.step == now.steps)

    def on_maps(done: float) -> None:
        tell(0.0, f"activation maps to draw seeds from: {done:.0%}", done == 1)

    own = identity_of(network)
    cams = _kept_maps(folder / "seed-maps.safetensors", network, own, learnt, recipe.seeds_from, on_maps)
    decoders, seconds = train_decoders(features_of(network), own, learnt, cams, recipe, folder, on_progress=on_progress)
    count = torch.get_num_threads()
    facts = DecoderFacts(
        dataset=describe_images(config.data.dataset, root),
        train_images=len(learnt),
        recipe=recipe,
        hardware=f"{count} CPU core{'s' if count > 1 else ''}",
        seconds=round(seconds, 3),
    )
    path = decoders_path(weights)
    save_decoders(path, network, decoders, facts)
    return {
        "config": config.name,
        "decoders": str(path),
        "parameters": {kind: sum(p.numel() for p in decoder.parameters()) for kind, decoder in decoders.items()},
        "train_images": len(learnt),
        "epochs": recipe.epochs,
        "seconds": facts.seconds,
    }


def _kept_maps(
    path: Path,
    network: "QuantResNet",
    identity: str,
    data: "Dataset",
    method: str,
    progress: Callable[[float], None],
) -> NDArray[np.float32]:
    """The activation map of each image's class: float32 [N, h, w]; computed once, and read again by a resumed run."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save_file

    from finn_build.cam_methods import map_batch
    from models.network import Arithmetic
    from models.train_state import fingerprint

    name = fingerprint(identity, method, data.images, data.labels)
    try:
        kept = load_file(path).get(name)
    except (SafetensorError, OSError):
        kept = None
    if kept is not None and len(kept) == len(data):
        return np.asarray(kept, np.float32)
    found = []
    for start in range(0, len(data), BATCH):
        part = slice(start, start + BATCH)
        maps, _ = map_batch(network, data.images[part], data.labels[part], Arithmetic.TRAINING, [method])
        found.append(maps[method].astype(np.float32))
        progress(min(1.0, (start + BATCH) / len(data)))
    cams = np.concatenate(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: cams}, path)
    return cams
