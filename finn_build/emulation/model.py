"""What answers behind the emulated DMAs: the verified models of the accelerator, a batch at a time."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cam_postproc.hostside import pack_stream
from finn_build.errors import CheckFailed
from finn_build.head import Head
from finn_build.package.manifest import Tap

if TYPE_CHECKING:
    from cam_postproc.hls.csim import CamCsim

UInt8 = NDArray[np.uint8]


class Accelerator(Protocol):
    """A model of the programmed chip."""

    def reset(self) -> None:
        """The chip was programmed: the frame counter starts at 0."""

    def run(self, images: UInt8, select: int, gate: int, bank: int, banks: NDArray[np.uint32]) -> UInt8:
        """What leaves the chip, uint8 [N, L], packets or taps, for images, uint8 [N, bytes].

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
        ends: the package's tap, where the accelerator ends in it.
    """

    def __init__(self, build: Path, output: int, sampling: str, ends: Tap | None = None) -> None:
        from finn_build.executors.base import Output
        from finn_build.executors.batch import BatchExecutor
        from finn_build.head import read_head
        from finn_build.stages.cam import block_of

        self.ends = ends
        self.head: Head = read_head(build / "streamline" / "head.npz")
        spec = self.head.cam_spec(output, "top-left" if sampling == "top-left" else "half-pixel")
        self.block = block_of(build / "specialise" / "model.onnx", spec)
        self._graph = BatchExecutor(build / "streamline" / "model.onnx", {"tap": Output("tap", "NCHW")})
        self._compiled = build / "csim"

    @cached_property
    def _cam(self) -> "CamCsim":
        """The CAM block's C++, compiled where there is a block to answer for."""
        from cam_postproc.hls.csim import CamCsim

        return CamCsim(self.block, self.head.fc_weight, self.head.bias, self._compiled)

    def reset(self) -> None:
        """As after programming; weights have to be loaded anew."""
        if self.ends is None:
            self._cam.reset()
            self._cam.banks[:] = 0

    def tap(self, images: UInt8) -> UInt8:
        """The last feature map, uint8 [N, h, w, C], of images, uint8 [N, S, S, 3]."""
        return self._graph.run(images)["tap"].astype(np.uint8)

    def stream(self, images: UInt8, ends: Tap) -> UInt8:
        """The tap as the output DMA writes it: uint8 [N, bytes]."""
        return pack_stream(self.tap(images), ends.bits, ends.lanes)

    def run(self, images: UInt8, select: int, gate: int, bank: int, banks: NDArray[np.uint32]) -> UInt8:
        """See `Accelerator`."""
        pixels = images.reshape(len(images), *self._graph.size, 3)
        if self.ends is not None:
            return self.stream(pixels, self.ends)
        tap = self.tap(pixels)
        if self.block.runtime_weights:
            self._cam.banks[:] = banks.reshape(2, -1)
        chosen = select if select < self.block.spec.classes else None
        return np.asarray(self._cam.run(tap, select=chosen, gate=gate, bank=bank)["packet"], np.uint8)


class RtlModel(IntegerModel):
    """The generated RTL in Verilator up to the tap, and the CAM block's C++ behind it.

    Args:
        build: a finished build's folder.
        output, sampling: of the heatmap, as configured.
        programs: where compiled simulators are kept.
        ends: the package's tap, where the accelerator ends in it.
    """

    def __init__(self, build: Path, output: int, sampling: str, programs: Path, ends: Tap | None = None) -> None:
        from qonnx.core.modelwrapper import ModelWrapper

        from finn_build.nodes.registry import register_nodes
        from finn_build.rtl.golden import CAM
        from finn_build.rtl.netlist import read_netlist
        from finn_build.rtl.top import write_accelerator
        from finn_build.rtl.verilator import build as compiled

        super().__init__(build, output, sampling, ends)
        register_nodes()
        self._code = build / "codegen" / "nodes"
        graph = ModelWrapper(str(build / "codegen" / "model.onnx"))
        self._netlist = read_netlist(graph, self._code, end_at=CAM)
        self._work = build / "rtl" / "board"
        self._simulator = compiled(write_accelerator(self._netlist, self._work).design(), programs)

    def tap(self, images: UInt8) -> UInt8:
        """As the hardware sends it."""
        from finn_build.rtl.words import unpack_words

        netlist, spec = self._netlist, self.block.spec
        lanes = netlist.output_values // netlist.output.words
        values = unpack_words(self._words(images), lanes, spec.tap_bits, signed=False)
        return values.astype(np.uint8).reshape(len(images), spec.map_height, spec.map_width, spec.channels)

    def stream(self, images: UInt8, ends: Tap) -> UInt8:
        """The hardware's words, one behind the other, as the output DMA writes them: uint8 [N, bytes]."""
        return np.frombuffer(self._words(images), np.uint8).reshape(len(images), ends.bytes)

    def _words(self, images: UInt8) -> bytes:
        """What leaves the hardware; a run starts from reset, as the pipeline between two of them would be empty."""
        from finn_build.rtl.golden import frame_words, words_in

        netlist = self._netlist
        run = self._simulator.run(
            {"in0_V": words_in(netlist, images)},
            {"out0_V": netlist.output.words * len(images)},
            folder=self._work / "run",
            work=self._code,
            frame_words=frame_words(netlist),
            idle_cycles=100_000,
        )
        if run.status != "done":
            raise CheckFailed("rtl", f"the simulated hardware ended as {run.status}", "see finn-cam simulate")
        return bytes(run.outputs["out0_V"][: len(images) * netlist.output.words * (netlist.output.bits // 8)])
