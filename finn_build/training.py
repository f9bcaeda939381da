"""Training a config: its data, its recipe, and the checkpoint and card that come out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from finn_build.config import Config
from finn_build.environment import cores_of_this_process
from finn_build.errors import UserError
from finn_build.labels import require_same_order
from finn_build.sources import require_dataset

FLOAT_FOLDER = "float"
"""Beside the configs' folders: weights of float phases, by what they depend on."""

Tell = Callable[[float, str, bool], None]
"""Told the fraction that is done, the figures so far, and whether an epoch just ended."""


def train_config(
    config: Config, data: Path | None, folder: Path, device: str, threads: int, tell: Tell
) -> dict[str, Any] | None:
    """Trains a config's network, or goes on where a run was stopped; one of the processes that torchrun launched.

    Args:
        config: with `[train]`.
        data: the folder of the data set that the user names.
        folder: where state and metrics go.
        device: `cpu`, `cuda`, `cuda:N`, or `auto`.
        threads: CPU threads; 0 for all.
        tell: see `Tell`.

    Returns:
        Paths and accuracies, as `finn-cam train --json` prints them; None in every process but the first.

    Raises:
        UserError: there is no data set, its classes are the config's labels in another order, or the config's network
            is an ONNX file.
    """
    if config.model.source != "checkpoint" or config.model.checkpoint is None:
        raise UserError(f"{config.name}: [model] source", "checkpoint", config.model.source, "train one built here")
    root = require_dataset(config, data)
    import torch

    from models.datasets.load import load_dataset
    from models.processes import launched
    from models.ship import describe_images, ship
    from models.train import train
    from models.train_progress import Progress

    torch.set_num_threads(threads or cores_of_this_process())
    chosen = choose_device(device)
    load = (config.data.dataset, root)
    learnt = load_dataset(*load, "train", config.input.size, config.data.classes)
    require_same_order(str(root), config.data.labels, learnt.names)
    test = load_dataset(*load, "test", config.input.size, config.data.classes)
    whole = config.train.float_epochs + config.train.epochs

    def on_progress(now: Progress) -> None:
        before = 0 if now.phase == "float" else config.train.float_epochs
        done = before + now.epoch + now.step / now.steps
        figures = f"{now.phase} epoch {now.epoch + 1}/{now.epochs} loss {now.loss:.3f} train {100 * now.accuracy:.1f} %"
        if now.held_out is not None:
            figures += f" held out {100 * now.held_out:.1f} %"
        tell(done / whole, figures, now.step == now.steps)

    # Configs of one shape and recipe share the float phase: 4w4a takes 5w5a's.
    shared = folder.parent.parent / FLOAT_FOLDER
    with launched(chosen) as processes:
        result = train(
            config.model,
            config.train,
            learnt,
            folder,
            shared,
            device=chosen,
            on_progress=on_progress if processes.first else None,
            processes=processes,
        )
    if not processes.first:
        return None
    hardware = _hardware(chosen, processes.count)
    facts = ship(result, config.train, test, describe_images(*load), hardware, config.model.checkpoint, config.name)
    return {
        "config": config.name,
        "checkpoint": str(config.model.checkpoint),
        "metrics": str(folder / "metrics.jsonl"),
        "held_out": facts.held_out_accuracy,
        "test": facts.test_accuracy,
        "seconds": facts.seconds,
    }


def _hardware(device: str, processes: int) -> str:
    """What it was trained on, in general words."""
    import torch

    if device.startswith("cuda"):
        name = str(torch.cuda.get_device_name(device))
        return f"{processes} × {name}" if processes > 1 else name
    count = processes * torch.get_num_threads()
    return f"{count} CPU core{'s' if count > 1 else ''}"


def choose_device(name: str) -> str:
    """The device of this process: `cpu`, or the GPU that is meant.

    Raises:
        UserError: PyTorch sees no such device.
    """
    import torch

    from models.processes import local_device

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    seen = ["cpu", "cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name not in seen or (name == "cuda" and not torch.cuda.is_available()):
        raise UserError("--device", "cpu, or a GPU that PyTorch sees", repr(name), "use --device cpu, or a CUDA build")
    return local_device(name)
