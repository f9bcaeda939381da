"""What can go wrong on the board: each error has a name for scripts and one line for people."""

from __future__ import annotations


class BoardError(Exception):
    """An expected failure. `name` is stable; the message says what was wanted, what came, and what to do."""

    name = "board-error"


class BrokenPackage(BoardError):
    """A file of the package is missing, truncated or changed."""

    name = "broken-package"


class WrongBitfile(BoardError):
    """The bitfile is not the one that the manifest describes."""

    name = "wrong-bitfile"


class DmaTimeout(BoardError):
    """A DMA did not finish in time.

    Args:
        dma: its name in the block design.
        message: with what the other one did.
    """

    name = "dma-timeout"

    def __init__(self, dma: str, message: str) -> None:
        super().__init__(message)
        self.dma = dma


class ShortTransfer(BoardError):
    """A DMA reported the end, but a packet did not arrive whole."""

    name = "short-transfer"


class StaleBuffer(BoardError):
    """Accelerator and host saw different contents of a buffer: a cache was not flushed or invalidated."""

    name = "stale-buffer"


class CorruptWeights(BoardError):
    """The weight memory does not hold what was written."""

    name = "corrupt-weights"


class WrongAnswer(BoardError):
    """The accelerator's answer to a golden image is not the golden one, or one that it can never give.

    Args:
        message: where.
        images: compared.
        mismatches: of those, how many differ.
    """

    name = "wrong-answer"

    def __init__(self, message: str, images: int = 0, mismatches: int = 0) -> None:
        super().__init__(message)
        self.images, self.mismatches = images, mismatches


class Refused(BoardError):
    """What the driver was asked for cannot be done; nothing was changed."""

    name = "refused"


class MissingModule(BoardError):
    """A Python package that is needed for this alone is not installed."""

    name = "missing-module"
