"""The heatmaps of annotated images, each of its image's own class, from every form of a built network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam_postproc.arithmetic import run_cam
from cam_postproc.block import CamBlock
from cam_postproc.hls.csim import CamCsim
from cam_postproc.hostside import decode_packets
from cam_postproc.reference import heatmap_float64
from cam_postproc.spec import CamSpec
from finn_build.cam_methods import map_batch
from finn_build.config import Config
from finn_build.errors import CheckFailed
from finn_build.executors.base import Output
from finn_build.executors.batch import BatchExecutor
from finn_build.fcam_maps import FcamMaps
from finn_build.head import Head, read_head
from finn_build.localisation_data import Boxed
from finn_build.software_only import heatmap_spec, is_software_only
from models.checkpoint import load_checkpoint
from models.network import Arithmetic, QuantResNet

BATCH = 16
"""Gradients of more images than this keep more activations than a cache holds."""

FormName = tuple[str, str]
"""Executor and method."""


@dataclass(frozen=True)
class Heat:
    """One form's answer to N images.

    Attributes:
        maps: uint8, or float64 within 0 to 255, [N, H, W] at the size of the packet's heatmap.
        logits: any real dtype [N, classes].
    """

    maps: NDArray[Any]
    logits: NDArray[Any]


class Forms:
    """Every form of a built network.

    `float` has its quantisers off, `quantised` is the trained network; for both the class activation map is computed
    in float64, and gradient methods may be asked for. `integer` is the integer graph with the CAM block's numpy model,
    `csim` the same with its C++; a network that pools a maximum has neither.

    Args:
        config: that was built.
        folder: of its build.
        methods: of `cam_methods.ALL_METHODS`; integer and csim know `cam` alone.
        decoders: of F-CAM, trained on this network; None leaves its methods away.

    Raises:
        ModelError: the decoders were trained on another network.
    """

    def __init__(self, config: Config, folder: Path, methods: Sequence[str], decoders: Path | None = None) -> None:
        self._network: QuantResNet | None = None
        if config.model.source == "checkpoint":
            weights = folder / "model" / "network.safetensors"
            self._network, _ = load_checkpoint(weights, config.model, config.data.classes)
        self._block: _Block | None = None
        if self._network is not None and is_software_only(config):
            self._spec = heatmap_spec(config, self._network)
        else:
            self._block = _Block(config, folder)
            self._spec = self._block.spec
        self._fcam = FcamMaps(decoders, self._network) if decoders is not None and self._network is not None else None
        self._methods = methods

    def run(self, boxed: Boxed, progress: Callable[[float], None]) -> dict[FormName, Heat]:
        """The heatmaps of each image's own class, by executor and method.

        Raises:
            CheckFailed: a packet's logits are not the integer graph's, or the C++ answers otherwise than the numpy
                model.
        """
        found = {} if self._network is None else self._software(boxed, self._network, progress)
        if self._fcam is not None:
            for method, maps in self._fcam.of_images(boxed.images).items():
                found["quantised", method] = Heat(maps, found["quantised", "cam"].logits)
        return {**found, **self.hardware(boxed)}

    @property
    def packets_an_image(self) -> int:
        """How many packets are compared with the integer graph for each image."""
        return 0 if self._block is None else 2

    def _software(self, boxed: Boxed, network: QuantResNet, progress: Callable[[float], None]) -> dict[FormName, Heat]:
        """The heatmaps of the network, with its quantisers off and as it was trained."""
        found: dict[FormName, Heat] = {}
        forms = {"float": Arithmetic.FLOAT, "quantised": Arithmetic.TRAINING}
        for number, (name, arithmetic) in enumerate(forms.items()):
            parts: dict[str, list[NDArray[Any]]] = {method: [] for method in self._methods}
            logits = []
            for start in range(0, len(boxed), BATCH):
                part = slice(start, start + BATCH)
                maps, own = map_batch(network, boxed.images[part], boxed.labels[part], arithmetic, self._methods)
                for method in self._methods:
                    parts[method].append(heatmap_float64(self._spec, maps[method]))
                logits.append(own)
                progress((number + min(1.0, (start + BATCH) / len(boxed))) / (len(forms) + 1))
            whole = np.concatenate(logits)
            found |= {(name, method): Heat(np.concatenate(own_maps), whole) for method, own_maps in parts.items()}
        return found

    def hardware(self, boxed: Boxed) -> dict[FormName, Heat]:
        """The heatmaps of the integer graph with the block's numpy model and with its C++, and of the tap's decoder.

        Raises:
            CheckFailed: a packet's logits or class are not the integer graph's, or the C++ answers otherwise than the
                numpy model.
        """
        if self._block is None:
            return {}
        answers = self._block.graph.run(boxed.images)
        tap, logits = answers["tap"].astype(np.uint8), answers["logits"]
        head, layout = self._block.head, self._spec.layout
        integer = np.empty((len(boxed), layout.length), np.uint8)
        for label in np.unique(boxed.labels):
            where = boxed.labels == label
            integer[where] = run_cam(self._spec, tap[where], head.fc_weight, head.bias, select=int(label)).packet
        self._block.csim.reset()
        csim = np.asarray(self._block.csim.run(tap, select=boxed.labels.tolist())["packet"], np.uint8)
        found = {}
        for name, packets in (("integer", integer), ("csim", csim)):
            read = decode_packets(layout, packets)
            _need_equal(f"{name}: packet's logits", read.logits, "the integer graph's", logits)
            _need_equal(f"{name}: packet's class", read.class_index, "the integer graph's", logits.argmax(axis=1))
            found[name, "cam"] = Heat(read.maps[:, 0], read.logits)
        _need_equal("csim: heatmap", found["csim", "cam"].maps, "the numpy model's", found["integer", "cam"].maps)
        if self._fcam is not None:
            for method, maps in self._fcam.of_taps(boxed.images, tap, head.tap_scale).items():
                found["integer", method] = Heat(maps, logits)
        return found


class _Block:
    """The integer graph of a built network, and its CAM block in C++."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.head: Head = read_head(folder / "streamline" / "head.npz")
        self.spec: CamSpec = self.head.cam_spec(config.cam_output, config.cam.sampling)
        integer = folder / "streamline" / "model.onnx"
        self.graph = BatchExecutor(integer, {"tap": Output("tap", "NCHW"), "logits": "logits"})
        self.csim = CamCsim(CamBlock(self.spec), self.head.fc_weight, self.head.bias, folder / "csim")


def _need_equal(what: str, got: NDArray[Any], whose: str, wanted: NDArray[Any]) -> None:
    wrong = np.argwhere(np.asarray(got, np.int64) != np.asarray(wanted, np.int64))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        told = f"{what} at {list(place)} is {got[place]}, {whose} {wanted[place]} ({len(wrong)} differ)"
        raise CheckFailed("localisation", told, "that is a mistake in the CAM block: please report it")
