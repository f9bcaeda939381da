"""A build, stage by stage: this file is the list of them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from finn_build.cache.store import Store
from finn_build.conclude import Outcome, conclude
from finn_build.config import Config
from finn_build.environment import default_build_folder
from finn_build.errors import UserError
from finn_build.runner import Listener, Runner, UntilReached
from finn_build.sources import Sources, find_sources
from finn_build.stages.accuracy import measure_accuracy
from finn_build.stages.cam import simulate_cam
from finn_build.stages.codegen import generate_code
from finn_build.stages.export import adopt_onnx, export_network
from finn_build.stages.hardware import make_hardware, make_partition
from finn_build.stages.integer import lower_graph, streamline_graph, tidy_graph
from finn_build.stages.model import load_weights, random_weights
from finn_build.stages.package import pack
from finn_build.stages.specialise import specialise_graph

STAGE_NAMES = (
    "model",
    "export",
    "tidy",
    "streamline",
    "lower",
    "hardware",
    "partition",
    "specialise",
    "codegen",
    "cam",
    "accuracy",
    "package",
)


@dataclass(frozen=True)
class BuildOptions:
    """What a user asks of a build beyond its config."""

    until: str | None = None
    force: frozenset[str] = frozenset()
    out: Path | None = None
    data: Path | None = None
    untrained: bool = False


def build_all(config: Config, options: BuildOptions, listener: Listener) -> Outcome:
    """Runs or reuses every stage of a config and writes the report.

    Raises:
        UserError, CheckFailed, ToolFailed: a stage could not go on; what was finished before is kept.
    """
    sources = find_sources(config, options.data, options.untrained)
    store = Store((options.out or default_build_folder()).resolve() / config.name)
    with _alone(store.folder, config.name):
        runner = Runner(store, listener, options.until, options.force)
        with contextlib.suppress(UntilReached):
            run_stages(config, sources, runner)
        return conclude(config, runner, store.folder)


def run_stages(config: Config, sources: Sources, runner: Runner) -> None:
    """The stages in their order; each gets the files that it reads and its own sections of the config."""
    stage = runner.stage
    network = {"model": config.model, "input_spec": config.input, "data": config.data}

    if sources.onnx is not None:
        export = stage(
            "export", "the ONNX file as it is", adopt_onnx, {"onnx": sources.onnx}, {**network, "name": config.name}
        )
        weights = None
    else:
        if sources.checkpoint is not None:
            model = stage(
                "model", "the checkpoint's weights", load_weights, {"checkpoint": sources.checkpoint}, network
            )
        else:
            model = stage("model", "seeded random weights", random_weights, {}, network)
        weights = model / "network.safetensors"
        export = stage("export", "QONNX and head, parity with Brevitas", export_network, {"weights": weights}, network)

    tidy = stage(
        "tidy",
        "raw UINT8 input, constants folded",
        tidy_graph,
        {"qonnx": export / "model.onnx"},
        {"model": config.model, "input_spec": config.input},
    )
    streamline = stage(
        "streamline",
        "integers only: the golden reference",
        streamline_graph,
        {"tidy": tidy / "model.onnx", **({"head": export / "head.npz"} if weights else {})},
        {"data": config.data, "cam": config.cam, "output": config.cam_output},
    )
    golden = {"golden": streamline / "golden.npz"}
    head = {"head": streamline / "head.npz"}
    lower = stage(
        "lower", "convolutions to matrix products", lower_graph, {"integer": streamline / "model.onnx", **golden}, {}
    )
    hardware = stage(
        "hardware",
        "FINN's layers, CAM as the last",
        make_hardware,
        {"lowered": lower / "model.onnx", **golden, **head},
        {"hardware": config.hardware, "cam": config.cam, "output": config.cam_output},
    )
    partition = stage(
        "partition", "one dataflow partition", make_partition, {"hardware": hardware / "model.onnx", **golden}, {}
    )
    specialise = stage(
        "specialise",
        "folding, widths and RTL or HLS a node",
        specialise_graph,
        {"partition": partition, **golden, **({"folding_file": config.folding.file} if config.folding.file else {})},
        {"hardware": config.hardware, "folding": config.folding},
    )
    codegen = stage(
        "codegen",
        "RTL and HLS sources of every node",
        generate_code,
        {"specialised": specialise / "model.onnx"},
        {"hardware": config.hardware},
    )
    cam = stage(
        "cam",
        "C simulation of the CAM block",
        simulate_cam,
        {"integer": streamline / "model.onnx", **golden, **head},
        {"cam": config.cam, "input_spec": config.input, "data": config.data},
    )
    if sources.dataset is not None:
        stage(
            "accuracy",
            "accuracy on the test images",
            measure_accuracy,
            {
                "integer": streamline / "model.onnx",
                **head,
                "dataset": sources.dataset,
                **({"weights": weights} if weights else {}),
            },
            network,
        )
    stage(
        "package",
        "deployment package",
        pack,
        {**golden, **head, "codegen": codegen, "cam_sources": cam / "sources", "specialised": specialise},
        {"name": config.name, "hardware": config.hardware, "cam": config.cam, "data": config.data},
    )


@contextlib.contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Keeps a second build of the same config out while one runs."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(
            str(folder), "no other build", f"one of {name} that is running", "wait for it, or use --out"
        ) from None
    try:
        yield
    finally:
        lock.release()
