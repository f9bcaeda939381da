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

FAULTS = ("dma-hang", "wrong-bitfile", "missing-flush", "corrupt-weights", "short-transfer", "truncated-package")


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
    if chosen.hardware.head != "cam":
        raise UserError(
            f"{chosen.name}: [hardware] head", "cam", chosen.hardware.head, "the board's driver reads packets"
        )
    found = find_pictures(pictures or [])
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
    from finn_build.emulation.images import expected_packets, some_images
    from finn_build.emulation.model import IntegerModel, RtlModel
    from finn_build.emulation.run import EmulatedBoard, compare_packets, localize_on_board, self_test
    from finn_build.package.build import archive_name

    heatmap = config.cam_output, config.cam.sampling
    model = RtlModel(folder, *heatmap, programs_folder()) if rtl else IntegerModel(folder, *heatmap)
    work = folder / "emulate"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    board = EmulatedBoard(folder / "package" / archive_name(config.name), model, work)
    result, first = self_test(board, work, fault), None
    expected = expected_packets(folder, config, model.head)
    if images is not None and not result.errors:
        batch = some_images(images, folder, config, data)
        wrong, first = compare_packets(board, batch, expected, work)
        result.images, result.mismatches = result.images + len(batch), result.mismatches + wrong
    if pictures and not result.errors:
        seen = [seen_by_network(read_picture(path), config.input.size) for path in pictures]
        packets = expected(np.stack([picture.pixels for picture in seen]))
        wanted = read_packets(packets, model.block.spec.layout, model.head, config.cam.threshold, seen)
        result.predictions, wrong, first = localize_on_board(board, pictures, wanted, work)
        result.images, result.mismatches = result.images + len(pictures), result.mismatches + wrong
    return result, first
