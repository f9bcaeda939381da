"""What answers behind the emulated DMAs: the verified models of the accelerator, a batch at a time."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from finn_build.errors import UserError
from finn_build.head import Head

UInt8 = NDArray[np.uint8]


class Accelerator(Protocol):
    """A model of the programmed chip."""

    def reset(self) -> None:
        """The chip was programmed: the frame counter starts at 0."""

    def run(self, images: UInt8, select: int, gate: int, bank: int, banks: NDArray[np.uint32]) -> UInt8:
        """The packets, uint8 [N, L], of images, uint8 [N, bytes].

        Args:
            images: raw pixels.
            select: the class register, 0xFFFFFFFF for the argmax.
            gate: the gate register, int32.
            bank: the active weight bank.
            banks: both banks' words; empty where weights are fixed.
        """
        ...


class IntegerModel:
    """The streamlined integer graph up to the tap, and the CAM block's C++ behind it.

    Args:
        build: a finished build's folder.
        output, sampling: of the heatmap, as configured.
    """

    def __init__(self, build: Path, output: int, sampling: str) -> None:
        from cam_postproc.hls.csim import CamCsim
        from finn_build.executors.base import Output
        from finn_build.executors.batch import BatchExecutor
        from finn_build.head import read_head
        from finn_build.stages.cam import block_of

        self.head: Head = read_head(build / "streamline" / "head.npz")
        spec = self.head.cam_spec(output, "top-left" if sampling == "top-left" else "half-pixel")
        self.block = block_of(build / "specialise" / "model.onnx", spec)
        self._graph = BatchExecutor(build / "streamline" / "model.onnx", {"tap": Output("tap", "NCHW")})
        self._cam = CamCsim(self.block, self.head.fc_weight, self.head.bias, build / "csim")

    def reset(self) -> None:
        """As after programming; weights have to be loaded anew."""
        self._cam.reset()
        self._cam.banks[:] = 0

    def run(self, images: UInt8, select: int, gate: int, bank: int, banks: NDArray[np.uint32]) -> UInt8:
        """See `Accelerator`."""
        size = self._graph.size
        tap = self._graph.run(images.reshape(len(images), *size, 3))["tap"].astype(np.uint8)
        if self.block.runtime_weights:
            self._cam.banks[:] = banks.reshape(2, -1)
        chosen = select if select < self.block.spec.classes else None
        return np.asarray(self._cam.run(tap, select=chosen, gate=gate, bank=bank)["packet"], np.uint8)


def require_words(model: IntegerModel, words: int) -> None:
    """Checks that package and build have the same weight memory.

    Raises:
        UserError: they have not.
    """
    wanted = model.block.bank_words if model.block.runtime_weights else 0
    if words != wanted:
        raise UserError("package", f"a weight bank of {wanted} words", str(words), "build the config again")
