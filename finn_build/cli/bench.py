"""`finn-cam bench`: speed of training and inference, side by side in one run."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from finn_build.bench.hardware import cpu_mhz, simulated
from finn_build.cache.store import write_atomically
from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import Config, load_config
from finn_build.environment import cores_of_this_process, default_build_folder
from finn_build.errors import UserError
from finn_build.pipeline import BuildOptions, build_all
from finn_build.sources import find_dataset

IMAGES = 2048
PROFILED = ("QAT, fused, bfloat16", "QAT, fused", "float PyTorch")


def bench(
    config: ConfigArgument = "resnet8_5w5a",
    data: DataOption = None,
    out: OutOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each takes its turn; the median counts.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
    cpu_time: Annotated[
        bool, typer.Option("--cpu-time", help="Time training by the process's CPU seconds: for a busy machine.")
    ] = False,
    training: Annotated[bool, typer.Option("--training/--no-training", help="Measure training.")] = True,
    inference: Annotated[bool, typer.Option("--inference/--no-inference", help="Measure inference.")] = True,
    hardware: Annotated[bool, typer.Option("--hardware/--no-hardware", help="Simulate the accelerator too.")] = True,
    as_json: JsonOption = False,
) -> int:
    """Print images a second of training and inference with CONFIG, as ratios to float PyTorch; writes bench.json."""
    import torch

    chosen = load_config(config)
    if chosen.model.source != "checkpoint":
        raise UserError(f"{chosen.name}: [model] source", "checkpoint", chosen.model.source, "take one built here")
    torch.set_num_threads(threads or cores_of_this_process())
    console = standard_error()
    images = _images(chosen, data)
    found: dict[str, Any] = {
        "config": chosen.name,
        "threads": torch.get_num_threads(),
        "training_clock": "cpu" if cpu_time else "wall",
        "images": "the data set's" if find_dataset(chosen, data) else "random",
        "training": {},
        "profile": [],
        "inference": {},
        "hardware": None,
        "cpu_mhz": cpu_mhz(),
    }

    def tell(name: str) -> None:
        console.print(f"  {name}")

    if training:
        from finn_build.bench.training import profile_epoch, training_speeds

        console.print("training")
        clock = time.process_time if cpu_time else time.perf_counter
        speeds = training_speeds(chosen.model, chosen.train, images, rounds, tell, clock)
        found["training"] = {name: asdict(speed) for name, speed in speeds.items()}
        for name in PROFILED:
            tell(f"profile of {name}")
            profile = profile_epoch(chosen.model, chosen.train, images, name, 50_000, clock)
            found["profile"].append(asdict(profile))
    if inference:
        from finn_build.bench.inference import inference_speeds
        from models.checkpoint import load_checkpoint

        stages = StageConsole(console)
        with stages.running():
            trained = chosen.model.checkpoint is not None and chosen.model.checkpoint.is_file()
            until = "simulate" if hardware else "streamline"
            options = BuildOptions(until=until, out=out, untrained=not trained, report=False)
            outcome = build_all(chosen, options, stages)
        accelerator = simulated(outcome.report.simulation)
        found["hardware"] = asdict(accelerator) if accelerator is not None else None
        weights = outcome.folder / "model" / "network.safetensors"
        network, _ = load_checkpoint(weights, chosen.model, chosen.data.classes)
        graph = outcome.folder / "streamline" / "model.onnx"
        executors = inference_speeds(network.eval(), graph, images.images, rounds, tell)
        found["inference"] = {name: asdict(one) for name, one in executors.items()}
    path = (out or default_build_folder()) / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(found, indent=1) + "\n")
    if as_json:
        print(json.dumps(found))
    else:
        _show(found, path)
    return 0


def _images(config: Config, data: Path | None) -> Any:
    """Images to work on: the data set's, or random ones, which are no faster and no slower."""
    import numpy as np

    from models.datasets.dataset import Dataset
    from models.datasets.load import load_dataset

    root = find_dataset(config, data)
    size, classes, least = config.input.size, config.data.classes, 2 * max(config.train.batch_size, 250)
    if root is not None:
        loaded = load_dataset(config.data.dataset, root, "train", size, classes)
        if len(loaded) >= least:
            return loaded.subset(np.arange(min(IMAGES, len(loaded))))
    rng = np.random.default_rng(0)
    count = max(least, min(IMAGES, IMAGES * 32 * 32 // size**2))
    pixels = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return Dataset(pixels, rng.integers(0, classes, count), [str(index) for index in range(classes)])


def _show(found: dict[str, Any], path: Path) -> None:
    output = standard_output()
    title = f"{found['config']}, {found['threads']} threads"
    if found["training"]:
        table = Table("training", "images/s", "of float PyTorch", title=title, box=None)
        for name, speed in found["training"].items():
            table.add_row(name, f"{speed['images_per_s']:.0f}", f"{100 * speed['ratio']:.0f} %")
        output.print(table)
    for profile in found["profile"]:
        output.print(f"{profile['variant']}: {profile['seconds']:.0f} s for an epoch of {profile['images']:,} images")
        parts = ", ".join(f"{part} {100 * share:.0f} %" for part, share in profile["parts"].items())
        output.print(f"  {parts}")
        names = (f"{name} {100 * share:.0f} % ({count}×)" for name, (share, count) in profile["operators"].items())
        output.print(f"  operators: {', '.join(names)}")
    if found["inference"]:
        columns = "inference", "images/s", "of float PyTorch", "latency, ms", "images/s a 100 MHz"
        table = Table(*columns, title=title, box=None)
        clock = found["cpu_mhz"]
        for name, one in found["inference"].items():
            speed = one["speed"]
            shown = f"{speed['images_per_s']:.1f}", f"{100 * speed['ratio']:.1f} %", f"{one['latency_ms']:.1f}"
            table.add_row(name, *shown, f"{100 * speed['images_per_s'] / clock:.2f}" if clock else "–")
        made = found["hardware"]
        if made is not None:
            plain = found["inference"]["float PyTorch"]["speed"]["images_per_s"]
            name = f"simulated accelerator at {made['clock_mhz']:g} MHz"
            shown = (
                f"{made['images_per_s']:.1f}",
                f"{100 * made['images_per_s'] / plain:.1f} %",
                f"{made['latency_ms']:.1f}",
            )
            table.add_row(name, *shown, f"{made['images_per_s_at_100_mhz']:.2f}")
        output.print(table)
        if made is not None and made["cam_backend"] == "hls":
            output.print(
                "the accelerator's figures end at the tap: the cycles of a CAM block in C++ take Vitis to know"
            )
    output.print(f"all figures: {path}")
