"""The accelerator behind one call: pictures in, predictions out."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from .answer import Prediction, read_answers
from .bundle import Bundle, find_package
from .control import ARGMAX, NO_GATE, CamRegisters
from .dma import Iodma
from .errors import MissingModule, Refused, ShortTransfer, WrongBitfile
from .hostside import CamError, UInt8
from .probe import probe
from .slot import Slot
from .transfer import Transfer

Pictures = UInt8 | Sequence[UInt8]


class CamAccelerator:
    """A programmed accelerator. Use it in a `with` block, or `close()` it. Threads may share one: calls take turns.

    Args:
        bitfile: the `.bit`, with its `.hwh` beside it; the package's own where None.
        package: the package's folder; the one that the bitfile, or this driver, lies in where None.
        batch: images in a buffer; while the accelerator works on one, the host fills and reads another.
        timeout_s: after which a DMA counts as hung; 5 s and a tenth of a second for each image where None.
        verify: compare the package's files with their checksums before programming.
        check: run golden images after programming.

    Raises:
        BrokenPackage: a file of the package is not as it was packed; nothing was programmed.
        WrongBitfile: its DMAs, registers or build id are not the manifest's.
        CorruptWeights, StaleBuffer, WrongAnswer: the golden images did not give the golden answers.
        Refused: there is no bitfile, or a value is out of range.
        MissingModule: pynq is not installed.
    """

    def __init__(
        self,
        bitfile: str | Path | None = None,
        *,
        package: str | Path | None = None,
        batch: int = 32,
        timeout_s: float | None = None,
        verify: bool = True,
        check: bool = True,
    ) -> None:
        if not 1 <= batch <= 4096:
            raise Refused(f"batch: expected 1 to 4096 images, got {batch}; choose another")
        if timeout_s is not None and timeout_s <= 0:
            raise Refused(f"timeout_s: expected seconds above 0, got {timeout_s}; choose another")
        start = Path(package) if package else (Path(bitfile) if bitfile else Path(__file__)).resolve()
        self.bundle = Bundle(find_package(start.resolve()), verify)
        self.bitfile = Path(bitfile).resolve() if bitfile else self.bundle.bitfile()
        self.labels = list(self.bundle.labels)
        self.logit_scale = self.bundle.logit_scale
        self.batch, self.timeout_s = batch, timeout_s
        self._lock = threading.RLock()
        self._slots: list[Slot] = []
        self._gate = NO_GATE
        self._weights: npt.NDArray[np.uint32] | None = None
        self._closed = False
        self._program()
        try:
            if check:
                probe(self)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------ programming

    def _program(self) -> None:
        try:
            pynq = importlib.import_module("pynq")
        except ImportError:
            raise MissingModule("pynq: not installed; run this with the Python of the board's PYNQ image") from None
        for path in (self.bitfile, self.bitfile.with_suffix(".hwh")):
            if not path.is_file():
                raise Refused(f"{path}: expected a bitfile with its .hwh beside it, got no such file; correct the path")
        bundle = self.bundle
        # The description is read first: a bitfile of another design is refused before the chip is programmed.
        self._overlay: Any = pynq.Overlay(str(self.bitfile), download=False)
        wanted = [*bundle.dmas.values(), *([bundle.cam_block] if bundle.cam_block else [])]
        missing = [name for name in wanted if name not in self._overlay.ip_dict]
        if missing:
            there = ", ".join(sorted(self._overlay.ip_dict))
            name = self.bitfile.with_suffix(".hwh").name
            raise WrongBitfile(f"{name}: expected a block {missing[0]}, got {there}; use the bitfile of this package")
        self._overlay.download()
        source, sink = (Iodma(getattr(self._overlay, bundle.dmas[way]), bundle.dmas[way]) for way in ("in", "out"))
        self._transfer = Transfer(source, sink)
        cell = getattr(self._overlay, bundle.cam_block) if bundle.cam_block else None
        self._control = CamRegisters(cell, bundle.registers, bundle.weights)
        self._weights = bundle.bank_words() if bundle.weights else None
        found = self._control.build_id()
        if found is not None and found != bundle.build_id:
            raise WrongBitfile(
                f"{self.bitfile.name}: expected build id 0x{bundle.build_id:08x}, the manifest's, got 0x{found:08x}; "
                "use the bitfile of this package"
            )
        self._slots = [Slot(pynq, self.batch, bundle.size, bundle.layout.length) for _ in range(2)]
        try:
            self._configure()
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        """The state after programming: weights loaded, every class, no gate."""
        self._transfer.forget()
        self._control.select(ARGMAX)
        self._control.gate(self._gate)
        if self._weights is not None:
            self._control.load(self._weights)

    def _reset(self) -> None:
        """Programs the chip anew after a failure: what the streams still hold would be answered to the next picture."""
        self._overlay.download()
        self._configure()

    def close(self) -> None:
        """Frees the buffers; may be called twice."""
        with self._lock:
            self._closed = True
            slots, self._slots = self._slots, []
            for slot in slots:
                slot.free()

    def __enter__(self) -> CamAccelerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ use

    def predict(self, images: Pictures, class_id: int | None = None) -> Any:
        """Class, score, logits, heatmap, peak and box.

        Args:
            images: a picture, uint8 [H, W, 3] RGB of any size; or a sequence of them; or uint8 [N, H, W, 3].
            class_id: whose heatmap; that of the highest logit where None.

        Returns:
            A `Prediction`, or a list of them where several pictures were given.

        Raises:
            Refused: no such pictures or class.
            DmaTimeout, ShortTransfer, StaleBuffer: the accelerator was reset; the next call starts afresh.
        """
        single = isinstance(images, np.ndarray) and images.ndim == 3
        pictures: Pictures = [images] if single else images  # type: ignore[list-item]
        sizes = check_pictures(pictures)
        answers: list[Prediction] = []
        with self._lock:
            self._run(
                pictures,
                class_id,
                lambda start, packets: answers.extend(self._read(packets, sizes[start : start + len(packets)])),
            )
        return answers[0] if single else answers

    def packets(self, images: Pictures, class_id: int | None = None) -> UInt8:
        """The accelerator's own answers, undecoded: uint8 [N, L]."""
        check_pictures(images)
        rows = np.zeros((len(images), self.bundle.layout.length), np.uint8)

        def keep(start: int, packets: UInt8) -> None:
            rows[start : start + len(packets)] = packets

        with self._lock:
            self._run(images, class_id, keep)
        return rows

    def set_gate(self, logit: int | None) -> None:
        """Frames whose shown class's integer logit is lower are sent without a heatmap; None shows all."""
        value = NO_GATE if logit is None else int(logit)
        if not -(1 << 31) <= value < 1 << 31:
            raise Refused(f"gate: expected an int32, got {logit}; choose another")
        with self._lock:
            self._open()
            self._control.gate(value)
            self._gate = value

    def load_classes(
        self,
        fc_weight: npt.NDArray[np.int8],
        labels: Sequence[str],
        bias: npt.NDArray[np.int32] | None = None,
        logit_scale: float | None = None,
    ) -> None:
        """Other classes without another bitfile: writes the idle weight bank, checks it, and switches to it.

        Args:
            fc_weight: int8 [classes, channels], as many of both as the bitfile has.
            labels: the classes' names.
            bias: int32 [classes], or None for zeros.
            logit_scale: of one step of an integer logit; as before where None.

        Raises:
            Refused: a bitfile whose weights are fixed, or weights that do not fit.
            CorruptWeights: the memory does not hold what was written; the earlier weights stay active.
        """
        with self._lock:
            self._open()
            words = self._control.words(fc_weight, bias, self.bundle.cam)
            if len(labels) != self.bundle.layout.classes:
                raise Refused(f"labels: expected {self.bundle.layout.classes}, got {len(labels)}; give one a class")
            self._control.load(words)
            self._weights = words
            self.labels = [str(label) for label in labels]
            self.logit_scale = self.logit_scale if logit_scale is None else float(logit_scale)

    # ------------------------------------------------------------ running

    def _open(self) -> None:
        if self._closed:
            raise Refused("accelerator: expected an open one, got a closed one; make a new CamAccelerator")

    def _run(self, pictures: Pictures, class_id: int | None, take: Callable[[int, UInt8], None]) -> None:
        """Runs pictures in batches, the host one batch ahead.

        Args:
            pictures: checked ones.
            class_id: whose heatmap.
            take: gets the number of a batch's first picture and its packets, while the next batch runs.
        """
        self._open()
        classes = self.bundle.layout.classes
        if class_id is not None and not 0 <= class_id < classes:
            raise Refused(f"class_id: expected 0 to {classes - 1}, got {class_id}; choose another")
        self._control.select(ARGMAX if class_id is None else class_id)
        running: tuple[int, Slot] | None = None
        try:
            for number, start in enumerate(range(0, len(pictures), self.batch)):
                slot = self._slots[number % 2]
                # While the accelerator works on the other slot.
                slot.fill(pictures[start : start + self.batch])
                if running is not None:
                    self._transfer.wait(running[1], self.timeout_s)
                self._transfer.start(slot)
                if running is not None:
                    take(running[0], self._transfer.collect(running[1]))
                running = (start, slot)
            if running is not None:
                self._transfer.wait(running[1], self.timeout_s)
                take(running[0], self._transfer.collect(running[1]))
        except BaseException:
            # An error or Ctrl-C: nothing of this call may reach the next.
            self._reset()
            raise

    def _read(self, packets: UInt8, sizes: Sequence[tuple[int, int]]) -> list[Prediction]:
        bundle = self.bundle
        try:
            return read_answers(packets, bundle.layout, self.labels, self.logit_scale, bundle.threshold, sizes)
        except CamError as error:
            raise ShortTransfer(f"{self._transfer.sink.name}: {error}; the accelerator was reset, try again") from None


def check_pictures(pictures: Pictures) -> list[tuple[int, int]]:
    """The pictures' (height, width).

    Raises:
        Refused: naming the first that is no uint8 [H, W, 3].
    """
    sizes = []
    for number, picture in enumerate(pictures):
        array = np.asarray(picture)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            got = f"{array.dtype} {list(array.shape)}"
            raise Refused(f"picture {number}: expected uint8 [H, W, 3], RGB, got {got}; convert it first")
        sizes.append((int(array.shape[0]), int(array.shape[1])))
    return sizes
