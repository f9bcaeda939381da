"""Pictures to packets: the integer graph up to the tap, and behind it the CAM block's numpy model or its C++."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cam_postproc.arithmetic import run_cam
from cam_postproc.block import CamBlock
from cam_postproc.spec import CamSpec
from finn_build.executors.base import Images, Output
from finn_build.head import Head

CamModel = Literal["integer", "csim"]


class PacketExecutor:
    """The accelerator's function: uint8 NHWC pictures in, packets out.

    Args:
        integer: the streamlined integer graph.
        head: the classifier.
        spec: of the CAM block.
        model: `integer` for the numpy specification, `csim` for the HLS C++ compiled with g++.
        cache: where the C++ is compiled.
    """

    def __init__(self, integer: Path, head: Head, spec: CamSpec, model: CamModel, cache: Path) -> None:
        from finn_build.executors.batch import BatchExecutor

        self._graph = BatchExecutor(integer, {"tap": Output("tap", "NCHW")})
        self._head, self._spec = head, spec
        self._csim = None
        if model == "csim":
            from cam_postproc.hls.csim import CamCsim

            self._csim = CamCsim(CamBlock(spec), head.fc_weight, head.bias, cache)

    def run(self, images: Images) -> dict[str, NDArray[np.uint8]]:
        """Computes `packet` (uint8 [N, L]) and `tap` (uint8 NHWC)."""
        tap = self._graph.run(images)["tap"].astype(np.uint8)
        return {"tap": tap, "packet": self.packets_of(tap)}

    def packets_of(self, tap: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The CAM block's packets, uint8 [N, L], of taps, uint8 NHWC."""
        if self._csim is not None:
            self._csim.reset()
            return np.asarray(self._csim.run(tap)["packet"], np.uint8)
        return run_cam(self._spec, tap, self._head.fc_weight, self._head.bias).packet
