"""A build, stage by stage: this file is the list of them."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from finn_build.cache.store import Store
from finn_build.conclude import Outcome, conclude
from finn_build.config import Config
from finn_build.environment import default_build_folder, deps_folder
from finn_build.errors import CheckFailed, ToolFailed, UserError
from finn_build.interruption import end_if_requested
from finn_build.runner import Listener, Runner, UntilReached
from finn_build.sources import Sources, find_sources, make_arguments
from finn_build.stages.accuracy import measure_accuracy
from finn_build.stages.cam import simulate_cam
from finn_build.stages.codegen import generate_code
from finn_build.stages.export import adopt_onnx, export_network
from finn_build.stages.files import CONNECTED, GOLDEN, GRAPH, HEAD, NODES, WEIGHTS
from finn_build.stages.hardware import make_hardware, make_partition
from finn_build.stages.integer import lower_graph, streamline_graph, tidy_graph
from finn_build.stages.model import load_weights, random_weights
from finn_build.stages.package import pack
from finn_build.stages.simulate import programs_folder, simulate_hardware, verilator_release
from finn_build.stages.specialise import specialise_graph
from finn_build.stages.vendor import make_bitfile
from finn_build.vendor.plan import plan
from finn_build.vendor.tools import Absent

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
    "simulate",
    "accuracy",
    "vendor",
    "package",
)

SKIPPABLE = ("simulate", "vendor")
"""Stages that no other needs."""

VENDOR_STOPPED = "its build stopped with an error, and goes on there once that is mended"

PUBLISHED = {"export": frozenset({GOLDEN, HEAD})}
"""What `publish` puts into a stage's folder: these are no strangers there."""


@dataclass(frozen=True)
class BuildOptions:
    """What a user asks of a build beyond its config. Without `report` an earlier report stays as it is."""

    until: str | None = None
    force: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    out: Path | None = None
    data: Path | None = None
    untrained: bool = False
    report: bool = True


def build_all(config: Config, options: BuildOptions, listener: Listener) -> Outcome:
    """Runs or reuses every stage of a config and writes the report.

    An error on the way to the bitfile does not end the build: the outcome has it.

    Raises:
        UserError, CheckFailed, ToolFailed: a stage could not go on; what was finished before is kept.
    """
    sources = find_sources(config, options.data, options.untrained)
    if sources.dataset is None and (options.until == "accuracy" or "accuracy" in options.force):
        remedy = "give --data DIR or set FINN_CAM_DATA"
        raise UserError("stage accuracy", f"a data set in the layout of {config.data.dataset}", "none", remedy)
    store = Store((options.out or default_build_folder()).resolve() / config.name, PUBLISHED)
    with _alone(store.folder, config.name), _full_disk_named(store.folder):
        runner = Runner(store, listener, options.until, options.force, options.skip)
        with contextlib.suppress(UntilReached):
            run_stages(config, sources, runner)
        return conclude(config, runner, store.folder, _typed(config, sources, options), options.report)


def _typed(config: Config, sources: Sources, options: BuildOptions) -> str:
    """The command that makes the report again."""
    given = [("--skip", name) for name in sorted(options.skip)]
    given += [("--until", options.until)] if options.until else []
    untrained = ["--untrained"] if sources.untrained else []
    return f"make build {make_arguments(config, *untrained, *(word for pair in given for word in pair))}"


def run_stages(config: Config, sources: Sources, runner: Runner) -> None:
    """The stages in their order; each gets the files that it reads and its own sections of the config."""
    stage = runner.stage
    network = {"model": config.model, "input_spec": config.input, "data": config.data}
    heatmap = {"cam": config.cam, "output": config.cam_output}

    weights: dict[str, Path] = {}
    exported: dict[str, Path] = {}
    if sources.onnx is not None:
        export = stage("export", "the ONNX file as it is", adopt_onnx, {"onnx": sources.onnx}, {})
    else:
        if sources.checkpoint is not None:
            given = {"checkpoint": sources.checkpoint}
            model = stage("model", "weights of the checkpoint", load_weights, given, network)
        else:
            model = stage("model", "seeded random weights", random_weights, {}, network)
        weights = {"weights": model / WEIGHTS}
        export = stage("export", "QONNX and head; parity with Brevitas", export_network, weights, network)
        exported = {"exported_head": export / HEAD}
    tidy = stage(
        "tidy",
        "raw UINT8 input, constants folded",
        tidy_graph,
        {"qonnx": export / GRAPH},
        {"input_spec": config.input},
    )
    integer = stage(
        "streamline",
        "integers only: the golden reference",
        streamline_graph,
        {"tidy": tidy / GRAPH, **exported},
        {**network, **heatmap, "trained": not sources.untrained},
    )
    golden, head = {"golden": integer / GOLDEN}, {"head": integer / HEAD}
    publish(integer, export, [GOLDEN] if exported else [GOLDEN, HEAD])
    lower = stage("lower", "convolutions to matrix products", lower_graph, {"integer": integer / GRAPH, **golden}, {})
    hardware = stage(
        "hardware",
        "dataflow layers, the head as the last",
        make_hardware,
        {"lowered": lower / GRAPH, "integer": integer / GRAPH, **golden, **head},
        {"hardware": config.hardware, **heatmap},
    )
    partition = stage(
        "partition",
        "one dataflow partition",
        make_partition,
        {"hardware": hardware / GRAPH, **golden},
        {"head": config.hardware.head},
    )
    folding = {"folding_file": config.folding.file} if config.folding.file is not None else {}
    specialise = stage(
        "specialise",
        "types, RTL or HLS a node, folding",
        specialise_graph,
        {"partition": partition, "integer": integer / GRAPH, **golden, **folding},
        {"hardware": config.hardware, "folding": config.folding, "cam": config.cam},
    )
    codegen = stage(
        "codegen",
        "sources of every node, read back",
        generate_code,
        {"connected": specialise / CONNECTED},
        {"hardware": config.hardware},
    )
    cam = stage(
        "cam",
        "C simulation of the CAM block",
        simulate_cam,
        {"specialised": specialise / GRAPH, "integer": integer / GRAPH, **golden, **head},
        {"input_spec": config.input, **heatmap},
    )
    if "simulate" not in runner.skip:
        folded = runner.told("specialise")
        stage(
            "simulate",
            "the RTL, cycle by cycle",
            simulate_hardware,
            {"generated": codegen / GRAPH, "code": codegen / NODES, **golden},
            {
                "hardware": config.hardware,
                "cam": config.cam,
                "fits": all(check.passed for check in folded.checks),
                "cycles_per_image": folded.facts["hardware"]["cycles_per_image"],
                "programs": programs_folder(),
                "verilator": verilator_release(),
            },
        )
    if sources.dataset is not None:
        stage(
            "accuracy",
            "accuracy on the test images",
            measure_accuracy,
            {"integer": integer / GRAPH, "dataset": sources.dataset, **weights},
            network,
        )
    untrained = ["--untrained"] if sources.untrained else []
    made: dict[str, Path] = {}
    try:
        made = run_vendor(config, runner, {"codegen": codegen / NODES, "generated": codegen / GRAPH})
    except (UserError, CheckFailed, ToolFailed) as error:
        end_if_requested()
        # What was verified before is worth its report and its package, whatever the tools said.
        runner.stopped, runner.no_bitfile = error, VENDOR_STOPPED
        if runner.until == "vendor":
            raise UntilReached("vendor") from error
    stage(
        "package",
        "deployment package",
        pack,
        {
            **golden,
            **made,
            **head,
            "codegen": codegen / NODES,
            "generated": codegen / GRAPH,
            "cam_folder": cam,
            "specialised": specialise,
        },
        {
            "name": config.name,
            "hardware": config.hardware,
            "input_spec": config.input,
            "data": config.data,
            "made_by": make_arguments(config, *untrained),
            **heatmap,
        },
    )


def run_vendor(config: Config, runner: Runner, inputs: dict[str, Path]) -> dict[str, Path]:
    """The vendor tools' stage, where they are; returns the bitfile's folder for the package, if there is one."""
    asked = "vendor" in runner.force or runner.until == "vendor"
    found = plan(
        "vendor" not in runner.skip,
        [check for run in runner.done for check in run.result.checks],
        runner.store.kept("vendor"),
        config.hardware.head,
    )
    settings = {
        "name": config.name,
        "hardware": config.hardware,
        "folding": config.folding,
        "deps": deps_folder(),
        "work": runner.store.folder / ".vendor",
    }
    tools = found.earlier if isinstance(found, Absent) else found
    settings["tools"] = tools
    if isinstance(found, Absent) and not (tools and runner.reusable("vendor", make_bitfile, inputs, settings)):
        if asked:
            raise UserError("stage vendor", "Vivado and Vitis HLS", found.reason, found.remedy)
        runner.no_bitfile = found.reason
        return {}
    place = runner.stage("vendor", "bitfile by Vivado and Vitis HLS", make_bitfile, inputs, settings)
    if (place / f"{config.name}.bit").is_file():
        return {"vendor": place}
    runner.no_bitfile = "the implemented design does not meet its checks"
    return {}


def publish(made: Path, place: Path, names: list[str]) -> None:
    """Puts files of one stage where other tools look for them: all that describes a network lies in `export/`."""
    for name in names:
        source, target = made / name, place / name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            partial = target.with_name(f".{name}.partial")
            shutil.copyfile(source, partial)
            partial.replace(target)


@contextlib.contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """Names the disk that is full: a failed write does not say whether it was to the results or to a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
            places = (folder, Path(tempfile.gettempdir()))
            error.filename = str(min(places, key=lambda place: shutil.disk_usage(place).free))
        raise


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
