"""A user's pictures as a golden set: what the hardware has to answer, by the integer graph, in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finn_build.stages.files import GRAPH, HEAD

if TYPE_CHECKING:
    from cam_postproc.spec import Sampling
    from finn_build.localise import Picture


def write_golden(
    pictures: Sequence["Picture"], integer: Path, size: int, output: int, sampling: "Sampling", path: Path
) -> Path:
    """Writes images, taps and packets of pictures, so that a simulation compares with words from a file.

    Args:
        pictures: of any size.
        integer: folder of the streamlined integer graph and its head.
        size: of the network's input, pixels.
        output: of the heatmap, pixels.
        sampling: of the heatmap.
        path: of the .npz file.
    """
    from cam_postproc.arithmetic import run_cam
    from finn_build.executors.base import Output
    from finn_build.executors.batch import BatchExecutor
    from finn_build.head import read_head
    from finn_build.localise import network_input

    head = read_head(integer / HEAD)
    images = network_input(pictures, size)
    tap = BatchExecutor(integer / GRAPH, {"tap": Output("tap", "NCHW")}).run(images)["tap"].astype(np.uint8)
    packet = run_cam(head.cam_spec(output, sampling), tap, head.fc_weight, head.bias).packet
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=images, tap=tap, packet=packet)
    return path
