"""`finn-cam emulate`: what the board will say, before there is a board."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from finn_build.cli.build import ConfigArgument, DataOption, JsonOption, OutOption
from finn_build.cli.console import StageConsole, standard_error, standard_output
from finn_build.config import Config, load_config
from finn_build.errors import UserError
from finn_build.localise import read_packets, seen_by_network
from finn_build.localise_pictures import find_pictures, read_picture
from finn_build.pipeline import BuildOptions, build_all
from finn_build.stages.simulate import programs_folder

if TYPE_CHECKING:
    from finn_build.emulation.run import Emulated

SKIPPED = frozenset({"simulate", "vendor"})
"""Stages that the package's answers do not depend on."""

FAULTS = (
    "dma-hang", "wrong-bitfile", "missing-flush", "corrupt-weights", "short-transfer", "wrong-values",
    "truncated-package",
)  # fmt: skip


def emulate(
    config: ConfigArgument,
    pictures: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE…]", help="Files, folders, patterns.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="So many images beyond the golden ones.")] = None,
    fault: Annotated[str | None, typer.Option(metavar="NAME", help=f"One of {', '.join(FAULTS)}.")] = None,
    rtl: Annotated[bool, typer.Option("--rtl", help="The generated RTL in Verilator behind the DMAs.")] = False,
    untrained: Annotated[bool, typer.Option("--untrained", help="Seeded random weights.")] = False,
    data: DataOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run CONFIG's package on the emulated board: its self-test, then images or pictures, or one thing gone wrong."""
    if fault is not None and fault not in FAULTS:
        raise UserError("--fault", f"one of {', '.join(FAULTS)}", repr(fault), "correct it")
    if pictures and images is not None:
        raise UserError("emulate", "pictures or --images", "both", "leave one of them out")
    chosen = load_config(config)
    head = chosen.hardware.head
    if head == "logits":
        remedy = "a network that ends in logits is a reference, not hardware, and has no driver"
        raise UserError(f"{chosen.name}: [hardware] head", "cam or tap", head, remedy)
    if fault == "corrupt-weights" and not (head == "cam" and chosen.cam.loaded):
        got = f"head = {head}" if head != "cam" else "fixed weights"
        raise UserError("--fault corrupt-weights", "an accelerator with a weight memory", got, "choose another fault")
    # The driver runs in a folder of its own.
    found = [path.absolute() for path in find_pictures(pictures or [])]
    output, stages = standard_output(), StageConsole(standard_error())
    from finn_build.emulation.board import require_board_environment

    require_board_environment()
    with stages.running():
        # The data set is for the images alone: measuring accuracy on it is another command's.
        options = BuildOptions(out=out, untrained=untrained, report=False, skip=SKIPPED)
        folder = build_all(chosen, options, stages).folder
        stages.started("emulate", fault or "self-test", [])
        result, first = _run(chosen, folder, found, images, fault, rtl, data)
    if as_json:
        print(json.dumps({"config": chosen.name, **result.to_json(), "first_difference": first}))
        return 0 if result.passed else 1
    for error in result.errors:
        output.print(f"{error['name']}: {error['message']}", markup=False)
    output.print(f"{result.mismatches} of {result.images:,} images differ from the integer graph")
    if first is not None:
        output.print(first)
    for row in result.predictions:
        output.print(f"{Path(row['image']).name}: {row['label']} {row['score']:.3f}, box {row['box']}", markup=False)
    if result.taps is not None:
        output.print(f"taps: {result.taps}", markup=False)
    if result.usable is not None:
        output.print(
            "the driver went on to pass its self-test" if result.usable else "the driver was not usable after it"
        )
    return 0 if result.passed else 1


def _run(
    config: Config,
    folder: Path,
    pictures: list[Path],
    images: int | None,
    fault: str | None,
    rtl: bool,
    data: Path | None,
) -> "tuple[Emulated, str | None]":
    from finn_build.emulation.images import expected_answers, some_images
    from finn_build.emulation.model import IntegerModel, RtlModel
    from finn_build.emulation.run import (
        SIMULATED_S,
        TAPS,
        TIMEOUT_S,
        EmulatedBoard,
        compare_packets,
        compare_taps,
        localize_on_board,
        self_test,
    )
    from finn_build.package.build import archive_name
    from finn_build.package.verify import verify_package

    heatmap, archive = (config.cam_output, config.cam.sampling), folder / "package" / archive_name(config.name)
    ends = verify_package(archive).tap
    model = RtlModel(folder, *heatmap, programs_folder(), ends) if rtl else IntegerModel(folder, *heatmap, ends)
    work = folder / "emulate"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    board = EmulatedBoard(archive, model, work, SIMULATED_S if rtl else TIMEOUT_S)
    result, first = self_test(board, work, fault), None
    if result.errors or not (images or pictures):
        return result, first
    expected = expected_answers(folder, config, model.head)
    if images is not None:
        batch = some_images(images, folder, config, data)
        answers = expected(batch)
        wrong, first = compare_packets(board, batch, lambda _: answers["packet"], work)
        given = [work / "images.npy"]
    else:
        seen = [seen_by_network(read_picture(path), config.input.size) for path in pictures]
        answers = expected(np.stack([picture.pixels for picture in seen]))
        wanted = read_packets(answers["packet"], model.block.spec.layout, model.head, config.cam.threshold, seen)
        result.predictions, wrong, first = localize_on_board(board, pictures, wanted, work)
        given = pictures
    if ends is not None:
        different, told = compare_taps(board, given, answers["tap"], work)
        # A tap and the packet made of it count once.
        wrong, first, result.taps = max(wrong, different), told or first, str(work / TAPS)
    result.images, result.mismatches = result.images + len(answers["packet"]), result.mismatches + wrong
    return result, first
