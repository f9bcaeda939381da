"""A package on the emulated board: its answers compared with the integer graph, and faults on demand."""

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finn_build.emulation.board import Ended, run_on_board, told
from finn_build.emulation.model import Accelerator
from finn_build.emulation.stand_in import write_stand_in
from finn_build.errors import CheckFailed
from finn_build.localise import Answer
from finn_build.localise_write import row_of
from finn_build.package.archive import mode_of
from finn_build.package.manifest import Manifest
from finn_build.package.verify import verify_package

UInt8 = NDArray[np.uint8]
FRAME = slice(12, 16)
TIMEOUT_S, SIMULATED_S = 60.0, 3000.0
"""Of the driver: behind it the integer graph answers, or a simulation of the hardware, cycle by cycle."""

HUNG_S = 1.5
FAULTS = {
    "dma-hang": "dma-timeout",
    "wrong-bitfile": "wrong-bitfile",
    "missing-flush": "stale-buffer",
    "corrupt-weights": "corrupt-weights",
    "short-transfer": "short-transfer",
    "wrong-values": "wrong-answer",
    "truncated-package": "broken-package",
}
"""What can be made to go wrong, and the name of the error by which the driver has to tell it."""

ON_BOARD = ("dma-hang", "missing-flush", "corrupt-weights", "short-transfer", "wrong-values")
TRUNCATED = "weights/head.npz"
TAPS = "taps.npy"


@dataclass
class Emulated:
    """What the board said.

    Attributes:
        images: that went through driver and accelerator, golden ones included.
        mismatches: of those, whose packet or tap differs from the expected one in a byte.
        errors: {name, message} of each error that the driver told.
        fault: what was made to go wrong.
        usable: whether all was well in the same process once the fault was gone; None without a fault.
        buffers: that the driver did not free.
        predictions: rows as `finn-cam localize` has them, where pictures were given.
        taps: the file with the pictures' or images' taps, where the accelerator ends in the tap.
    """

    images: int = 0
    mismatches: int = 0
    errors: list[dict[str, str]] = field(default_factory=list)
    fault: str | None = None
    usable: bool | None = None
    buffers: int = 0
    predictions: list[dict[str, Any]] = field(default_factory=list)
    taps: str | None = None

    @property
    def passed(self) -> bool:
        """Nothing wrong; or, with a fault, just its own error, and nothing wrong after it."""
        whole = self.mismatches == 0 and self.buffers == 0
        if self.fault is None:
            return whole and not self.errors
        names = [error["name"] for error in self.errors]
        return whole and names == [FAULTS[self.fault]] and self.usable is True

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**vars(self), "passed": self.passed}


class EmulatedBoard:
    """A package on a board that does not exist.

    Args:
        archive: the package's zip, unpacked as it is.
        model: answers behind the DMAs.
        work: an empty folder.
        timeout_s: of the driver, for a batch.
    """

    def __init__(self, archive: Path, model: Accelerator, work: Path, timeout_s: float = TIMEOUT_S) -> None:
        self.manifest: Manifest = verify_package(archive)
        self.package, self._model, self._work = work / "package", model, work
        self._timeout_s = timeout_s
        unpack(archive, self.package)
        self.bitfile = write_stand_in(self.manifest, work / f"{self.manifest.config}.bit")

    def run(self, *runs: dict[str, Any]) -> list[Ended]:
        """Commands of the driver, or scripts, in one process; `argv` gets bitfile and package where it lacks them."""
        image = int(np.prod(self.manifest.input.shape))
        whole = [{**run, "argv": self.argv(run["argv"])} if "argv" in run else run for run in runs]
        return run_on_board(whole, self.package, self._model, image, self._work)

    def argv(self, given: Sequence[str]) -> list[str]:
        """A command line of the driver with bitfile, package and a time-out."""
        options = {"--bitfile": str(self.bitfile), "--package": str(self.package), "--timeout": str(self._timeout_s)}
        missing = [word for name, value in options.items() if name not in given for word in (name, value)]
        return [*given, *missing]

    def told(self) -> str:
        """What the driver wrote to standard output and error."""
        return told(self._work)


def faults_of(manifest: Manifest) -> list[str]:
    """What can go wrong with a package's accelerator: without a weight memory no weights can be corrupted."""
    return [fault for fault in FAULTS if fault != "corrupt-weights" or manifest.weights is not None]


def self_test(board: EmulatedBoard, work: Path, fault: str | None = None) -> Emulated:
    """The package's self-test; with a fault, once with it and once without, in the same process."""
    return self_tests(board, work, [fault])[0]


def self_tests(board: EmulatedBoard, work: Path, faults: Sequence[str | None]) -> list[Emulated]:
    """The package's self-test with each of some faults, and after each once without, all in one process.

    Args:
        board: with the package.
        work: for the reports.
        faults: keys of `FAULTS`; None for no fault.

    Raises:
        ToolFailed: the driver ended in a way that it never should.
    """
    runs: list[dict[str, Any]] = []
    for number, fault in enumerate(faults):
        if fault is not None:
            extra = ["--timeout", str(HUNG_S)] if fault == "dma-hang" else []
            extra += ["--bitfile", str(_of_another(board, work))] if fault == "wrong-bitfile" else []
            extra += ["--package", str(_truncated(board, work))] if fault == "truncated-package" else []
            argv = _tested(work / f"{number}-fault.json", *extra)
            runs.append({"argv": argv, "fault": fault if fault in ON_BOARD else None})
        runs.append({"argv": _tested(work / f"{number}-whole.json")})
    ended = board.run(*runs)
    results = []
    for number, fault in enumerate(faults):
        whole = json.loads((work / f"{number}-whole.json").read_text(encoding="utf-8"))
        result = Emulated(fault=fault, buffers=max(run.buffers for run in ended), errors=whole["errors"])
        if fault is not None:
            result.errors = json.loads((work / f"{number}-fault.json").read_text(encoding="utf-8"))["errors"]
            result.usable = bool(whole["passed"])
        result.images, result.mismatches = int(whole["images"]), int(whole["mismatches"] or 0)
        results.append(result)
    return results


def _tested(report: Path, *options: str) -> list[str]:
    return ["selftest", "--seconds", "0", "--out", str(report), *options]


def compare_packets(
    board: EmulatedBoard, images: UInt8, expected: Callable[[UInt8], UInt8], work: Path
) -> tuple[int, str | None]:
    """Images through driver and board, their packets byte for byte against the expected ones.

    Args:
        board: with the package.
        images: uint8 [N, S, S, 3].
        expected: gives the packets, uint8 [N, L].
        work: for the arrays.

    Returns:
        Images whose packets differ, and the first difference in words.

    Raises:
        CheckFailed: the driver refused; with its line.
    """
    np.save(work / "images.npy", images, allow_pickle=False)
    ended = board.run({"argv": ["packets", str(work / "images.npy"), str(work / "packets.npy")]})
    if ended[0].exit_code:
        raise CheckFailed("emulate", board.told().strip().splitlines()[-1], "see what the driver says")
    got, wanted = np.load(work / "packets.npy", allow_pickle=False), expected(images)
    different = without_frame(got) != without_frame(wanted)
    rows = np.flatnonzero(different.any(axis=1))
    if not rows.size:
        return 0, None
    first, byte = int(rows[0]), int(np.argmax(different[rows[0]]))
    return int(rows.size), f"image {first}, byte {byte}: {got[first, byte]} instead of {wanted[first, byte]}"


def localize_on_board(
    board: EmulatedBoard, paths: Sequence[Path], expected: Sequence[Answer], work: Path
) -> tuple[list[dict[str, Any]], int, str | None]:
    """Picture files through the driver's `localize`, against the answers of `finn-cam localize`.

    Args:
        board: with the package.
        paths: of the pictures.
        expected: an answer a picture.
        work: `localize` in it gets the driver's results.json, overlays and heatmaps.

    Returns:
        The driver's rows, how many pictures have another row or heatmap than expected, and the first of them in words.

    Raises:
        CheckFailed: the driver refused; with its line.
    """
    folder = work / "localize"
    ended = board.run({"argv": ["localize", *map(str, paths), "--out", str(folder)], "pillow": True})
    if ended[0].exit_code:
        raise CheckFailed("emulate", board.told().strip().splitlines()[-1], "see what the driver says")
    rows: list[dict[str, Any]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    wrong, first = 0, None
    for row, answer in zip(rows, expected, strict=True):
        wanted = row_of(answer)
        heatmap = np.load(folder / row["heatmap"], allow_pickle=False)
        different = [key for key in wanted if wanted[key] != row[key]]
        different += [] if np.array_equal(heatmap, answer.heatmap) else ["heatmap"]
        wrong += bool(different)
        if different and first is None:
            key = different[0]
            first = f"{row['image']}: {key} {row.get(key)} instead of {wanted.get(key)}"
    return rows, wrong, first


def compare_taps(board: EmulatedBoard, given: Sequence[Path], expected: UInt8, work: Path) -> tuple[int, str | None]:
    """Pictures, or an .npy of images, through the driver's `taps`, whose file `taps.npy` in `work` is left there.

    Args:
        board: with a package whose accelerator ends in the tap.
        given: picture files, or the one array.
        expected: uint8 [N, h, w, C].
        work: for the file.

    Returns:
        How many taps differ, and the first difference in words.

    Raises:
        CheckFailed: the driver refused; with its line.
    """
    ended = board.run({"argv": ["taps", *map(str, given), "--out", str(work / TAPS)], "pillow": True})
    if ended[0].exit_code:
        raise CheckFailed("emulate", board.told().strip().splitlines()[-1], "see what the driver says")
    got = np.load(work / TAPS, allow_pickle=False)
    if got.shape != expected.shape or got.dtype != np.uint8:
        return len(expected), f"taps {got.dtype} {list(got.shape)} instead of uint8 {list(expected.shape)}"
    places = np.argwhere(got != expected)
    if not places.size:
        return 0, None
    number, *at = (int(i) for i in places[0])
    first = f"image {number}, tap {at}: {got[(number, *at)]} instead of {expected[(number, *at)]}"
    return len(np.unique(places[:, 0])), first


def without_frame(packets: UInt8) -> UInt8:
    """A copy of packets whose frame counters are 0."""
    copy = packets.copy()
    copy[:, FRAME] = 0
    return copy


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a verified package, scripts with the right to run."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode_of(path.name))


def _of_another(board: EmulatedBoard, work: Path) -> Path:
    other = int(board.manifest.build_id, 16) ^ 0x1
    folder = work / "wrong"
    folder.mkdir()
    return write_stand_in(board.manifest, folder / board.bitfile.name, f"0x{other:08x}")


def _truncated(board: EmulatedBoard, work: Path) -> Path:
    copy = work / "truncated"
    shutil.copytree(board.package, copy)
    content = (copy / TRUNCATED).read_bytes()
    (copy / TRUNCATED).write_bytes(content[: len(content) // 2])
    return copy
