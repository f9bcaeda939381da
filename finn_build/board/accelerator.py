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
from .bitstream import open_overlay, require_build
from .bundle import Bundle, find_package
from .control import ARGMAX, NO_GATE, CamRegisters
from .dma import Iodma
from .errors import MissingModule, Refused, ShortTransfer
from .hostcam import HostCam
from .hostside import CamError, UInt8
from .pictures import Pictures, check_pictures
from .probe import probe
from .slot import Slot
from .transfer import Transfer

NO_TAPS = "taps: expected an accelerator with head = tap, got head = cam; build one with that head"


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
        self._weights: Any = None
        self._host = self.bundle.host_cam()
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
        bundle = self.bundle
        # Checked before the chip is programmed.
        self._overlay: Any = open_overlay(pynq, self.bitfile, bundle)
        self._overlay.download()
        source, sink = (Iodma(getattr(self._overlay, bundle.dmas[way]), bundle.dmas[way]) for way in ("in", "out"))
        self._transfer = Transfer(source, sink, counted=self._host is None)
        cell = getattr(self._overlay, bundle.cam_block) if bundle.cam_block else None
        self._control: CamRegisters | HostCam = self._host or CamRegisters(cell, bundle.registers, bundle.weights)
        self._weights = bundle.bank_words() if bundle.weights else None
        require_build(self.bitfile, self._control.build_id(), bundle.build_id)
        what = "packets" if self._host is None else "taps"
        self._slots = [Slot(pynq, self.batch, bundle.size, bundle.length, what) for _ in range(2)]
        try:
            self._configure()
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        """The state after programming: weights loaded, every class, no gate."""
        self._transfer.forget()
        if self._host is not None:
            self._host.forget()
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
            DmaTimeout, ShortTransfer, StaleBuffer, WrongAnswer: the accelerator was reset; the next call starts afresh.
        """
        single = isinstance(images, np.ndarray) and images.ndim == 3
        pictures: Pictures = [images] if single else images  # type: ignore[list-item]
        sizes = check_pictures(pictures)
        answers: list[Prediction] = []

        def read(start: int, rows: UInt8) -> None:
            answers.extend(self._read(self._packets(rows), sizes[start : start + len(rows)]))

        with self._lock:
            self._run(pictures, class_id, read)
        return answers[0] if single else answers

    def packets(self, images: Pictures, class_id: int | None = None) -> UInt8:
        """The answers, undecoded: uint8 [N, L]; those that a CAM block would send where the accelerator has none."""
        check_pictures(images)
        whole = np.zeros((len(images), self.bundle.layout.length), np.uint8)

        def keep(start: int, rows: UInt8) -> None:
            whole[start : start + len(rows)] = self._packets(rows)

        with self._lock:
            self._run(images, class_id, keep)
        return whole

    def taps(self, images: Pictures) -> UInt8:
        """The last feature maps that an accelerator with head = tap sends: codes, uint8 [N, h, w, C].

        Raises:
            Refused: this one sends packets, or there are no such pictures.
            DmaTimeout, ShortTransfer, StaleBuffer, WrongAnswer: the accelerator was reset; the next call starts afresh.
        """
        stream = self.bundle.tap
        if stream is None:
            raise Refused(NO_TAPS)
        check_pictures(images)
        whole = np.zeros((len(images), *stream.shape), np.uint8)

        def keep(start: int, rows: UInt8) -> None:
            whole[start : start + len(rows)] = stream.read(rows, self._transfer.sink.name)

        with self._lock:
            self._run(images, None, keep)
        return whole

    def answers_of(self, taps: UInt8, images: Pictures) -> list[Prediction]:
        """As `predict`, of the taps, uint8 [N, h, w, C], that the accelerator sent for pictures."""
        return self._read(self.packets_of(taps), check_pictures(images))

    def packets_of(self, taps: UInt8) -> UInt8:
        """What a CAM block would send for taps, uint8 [N, h, w, C], each with its own class's map: uint8 [N, L]."""
        with self._lock:
            self._open()
            if self._host is None:
                raise Refused(NO_TAPS)
            self._host.select(ARGMAX)
            return self._host.packets(taps)

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
            take: gets the number of a batch's first picture and what came for it, while the next batch runs.
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

    def _packets(self, rows: UInt8) -> UInt8:
        """The packets of what came: itself, or what follows from taps."""
        if self._host is None or self.bundle.tap is None:
            return rows
        return self._host.packets(self.bundle.tap.read(rows, self._transfer.sink.name))

    def _read(self, packets: UInt8, sizes: Sequence[tuple[int, int]]) -> list[Prediction]:
        bundle = self.bundle
        try:
            return read_answers(packets, bundle.layout, self.labels, self.logit_scale, bundle.threshold, sizes)
        except CamError as error:
            raise ShortTransfer(f"{self._transfer.sink.name}: {error}; the accelerator was reset, try again") from None
