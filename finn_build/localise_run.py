"""Running pictures through one form of a built network, and reading the answers."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finn_build.config import Config
from finn_build.errors import UserError
from finn_build.head import Head, read_head
from finn_build.localise import Answer, Seen, answer, read_packets

CHUNK = 64

METHODS = ("cam", "fcam-tap", "fcam-skips")
"""Whose heatmaps there are: the CAM block's, and the F-CAM decoders'."""

FCAM_THRESHOLD = 0.65
"""τ of a box in a decoder's map, which is fuller than a class activation map: between those that 50 boxed training
images a class choose for the shipped decoders, 0.66 (tap) and 0.70 (skips)."""

NPY, ZIP = b"\x93NUMPY", b"PK"
"""How files begin."""

Form = Callable[[Sequence[Seen], NDArray[np.uint8] | None], list[Answer]]
"""Pictures, and their taps where they are known already, to answers."""


def read_taps(path: Path, pictures: int) -> NDArray[np.uint8]:
    """Taps that an accelerator with `head = tap` sent, from an .npy file: codes, uint8 [N, h, w, C].

    Raises:
        UserError: there is no such file, or it is no such array; naming what it is.
    """
    place, remedy = f"--taps {path}", "save the taps of all pictures, in their order, with numpy.save"
    if not path.is_file():
        # A pipe would be waited for.
        got = "a folder" if path.is_dir() else "a pipe or a device" if path.exists() else "no such file"
        raise UserError(place, "an .npy file", got, remedy)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # Of files that an old Python wrote, which are read all the same.
            warnings.simplefilter("ignore")
            start = file.read(len(NPY))
            file.seek(0)
            if start[: len(ZIP)] == ZIP:
                raise UserError(place, "an .npy file", "a zip archive, as .npz files are", remedy)
            if start != NPY:
                raise UserError(place, "an .npy file", "another file" if start else "an empty file", remedy)
            found = np.lib.format.read_array(file, allow_pickle=False)
    except (UserError, PermissionError):
        raise
    except Exception as error:
        # Damaged files make numpy raise almost anything.
        got = f"one that cannot be read ({' '.join(str(error).split()) or type(error).__name__})"
        raise UserError(place, "a whole .npy file of numbers", got, remedy) from None
    if found.dtype != np.uint8 or found.ndim != 4 or len(found) != pictures:
        got = f"{found.dtype} {list(found.shape)}"
        raise UserError(place, f"uint8 [{pictures}, h, w, C], a tap for each picture", got, remedy)
    return np.ascontiguousarray(found)


def answers_of(
    config: Config,
    folder: Path,
    pictures: Sequence[Seen],
    executor: str,
    progress: Callable[[float], None],
    method: str = "cam",
    threshold: float | None = None,
    taps: NDArray[np.uint8] | None = None,
) -> list[Answer]:
    """What one form of the network says of each picture.

    Args:
        config: that was built.
        folder: of its build.
        pictures: at the network's size.
        executor: `integer` (numpy model of the CAM block), `csim` (its C++), or `float` (the network with its
            quantisers off and a CAM in float64).
        progress: told the fraction that is done.
        method: whose heatmap, peak and box: `cam`, or that of an F-CAM decoder; class and score are the network's.
        threshold: τ of the box; None for the config's, or a decoder's usual one.
        taps: codes, uint8 [N, h, w, C], instead of those that the integer graph computes.

    Raises:
        UserError: the network was built elsewhere and has no float form; no decoders; taps of another network.
        ModelError: the decoders were trained on another network.
    """
    if executor == "float" and (method != "cam" or taps is not None):
        raise UserError("--executor", "integer or csim with taps and F-CAM", "float", "choose one of these")
    if executor == "float" and config.model.source != "checkpoint":
        raise UserError("--executor", "integer or csim", "float", "a network from elsewhere has no float form here")
    if executor == "float":
        run = _float_form(config, folder, threshold)
    else:
        head = read_head(folder / "streamline" / "head.npz")
        if taps is not None:
            _check_taps(taps, head)
        run = _packet_form(config, folder, head, executor, method, threshold)
    answers: list[Answer] = []
    for start in range(0, len(pictures), CHUNK):
        part = slice(start, start + CHUNK)
        answers.extend(run(pictures[part], None if taps is None else taps[part]))
        progress(min(1.0, (start + CHUNK) / len(pictures)))
    return answers


def _check_taps(taps: NDArray[np.uint8], head: Head) -> None:
    shape, most = head.tap_shape[1:], (1 << head.tap_bits) - 1
    found = int(taps.max(initial=0))
    if taps.shape[1:] != shape or found > most:
        got = f"{list(taps.shape)} up to {found}"
        remedy = "take them from this config's accelerator"
        raise UserError("--taps", f"[N, {shape[0]}, {shape[1]}, {shape[2]}] up to {most}", got, remedy)


def _packet_form(config: Config, folder: Path, head: Head, executor: str, method: str, threshold: float | None) -> Form:
    from finn_build.executors.cam import PacketExecutor

    spec = head.cam_spec(config.cam_output, config.cam.sampling)
    packets = PacketExecutor(
        folder / "streamline" / "model.onnx", head, spec, "csim" if executor == "csim" else "integer", folder / "csim"
    )
    decoder = None if method == "cam" else _decoder_maps(config, folder, head, method)
    usual = config.cam.threshold if decoder is None else FCAM_THRESHOLD
    tau = usual if threshold is None else threshold

    def run(pictures: Sequence[Seen], taps: NDArray[np.uint8] | None) -> list[Answer]:
        images = _batch(pictures)
        sent = packets.run(images) if taps is None else {"tap": taps, "packet": packets.packets_of(taps)}
        answers = read_packets(sent["packet"], spec.layout, head, tau, pictures)
        if decoder is None:
            return answers
        maps = decoder(images, sent["tap"])
        return [
            answer(picture, told.scores, heatmap, head.labels, tau)
            for picture, told, heatmap in zip(pictures, answers, maps, strict=True)
        ]

    return run


def _decoder_maps(
    config: Config, folder: Path, head: Head, method: str
) -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]:
    """Images and taps to the heatmaps of one decoder: uint8 [N, S, S]."""
    from finn_build.fcam import decoders_of
    from finn_build.fcam_maps import FCAM, FcamMaps
    from models.checkpoint import load_checkpoint

    path = decoders_of(config)
    network, _ = load_checkpoint(folder / "model" / "network.safetensors", config.model, config.data.classes)
    decoders = FcamMaps(path, network)

    def run(images: NDArray[np.uint8], taps: NDArray[np.uint8]) -> NDArray[np.uint8]:
        tap_fed = method == FCAM["tap"]
        found = decoders.of_taps(images, taps, head.tap_scale) if tap_fed else decoders.of_images(images, ["skips"])
        return np.rint(found[method]).astype(np.uint8)

    return run


def _float_form(config: Config, folder: Path, threshold: float | None) -> Form:
    from cam_postproc.reference import heatmap_float64
    from finn_build.executors.brevitas import BrevitasExecutor
    from finn_build.software_only import heatmap_spec, is_software_only
    from models.checkpoint import load_checkpoint
    from models.network import Arithmetic

    network, _ = load_checkpoint(folder / "model" / "network.safetensors", config.model, config.data.classes)
    weights = network.fc.weight.detach().double().numpy()
    executor = BrevitasExecutor(network, Arithmetic.FLOAT)
    tau = config.cam.threshold if threshold is None else threshold
    maximum = is_software_only(config)
    if maximum:
        spec, labels = heatmap_spec(config, network), tuple(config.labels)
    else:
        head = read_head(folder / "streamline" / "head.npz")
        spec, labels = head.cam_spec(config.cam_output, config.cam.sampling), head.labels

    def run(pictures: Sequence[Seen], taps: NDArray[np.uint8] | None) -> list[Answer]:
        outputs = executor.run(_batch(pictures))
        maps = np.einsum("nhwk,ck->nchw", outputs["tap"].astype(np.float64), weights)
        # Averages in float64, as the maps; a maximum over pixels is not that of the maps.
        logits = outputs["logits"].astype(np.float64) if maximum else maps.mean(axis=(2, 3))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
        shown = maps[np.arange(len(maps)), scores.argmax(axis=1)]
        heat = np.rint(heatmap_float64(spec, shown)).astype(np.uint8)
        return [answer(picture, scores[i], heat[i], labels, tau) for i, picture in enumerate(pictures)]

    return run


def _batch(pictures: Sequence[Seen]) -> NDArray[np.uint8]:
    return np.stack([picture.pixels for picture in pictures])
