"""Images for the emulated board, and what the integer graph says of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finn_build.config import Config
from finn_build.head import Head, read_arrays
from finn_build.sources import find_dataset

UInt8 = NDArray[np.uint8]
SEED = 7
CHUNK = 256


def some_images(count: int, folder: Path, config: Config, data: Path | None) -> UInt8:
    """The first test images of the data set, where there is one and it has as many; else golden images, altered.

    Args:
        count: how many.
        folder: of the build.
        config: that was built.
        data: the data set's folder, or None for the one that is found without.

    Returns:
        uint8 [count, S, S, 3]. Altered ones are shifted around the border, mirrored and darkened by a fixed seed.
    """
    found = find_dataset(config, data)
    if found is not None:
        from models.datasets.load import load_dataset

        held = load_dataset(config.data.dataset, found, "test", config.input.size, config.data.classes)
        if len(held) >= count:
            return held.images[:count]
    golden = read_arrays(folder / "streamline" / "golden.npz")["images"]
    rng = np.random.default_rng(SEED)
    made = np.empty((count, *golden.shape[1:]), np.uint8)
    for i in range(count):
        image = golden[i % len(golden)][:, :: 1 - 2 * int(rng.integers(2))]
        image = np.roll(image, tuple(rng.integers(image.shape[0], size=2)), axis=(0, 1))
        made[i] = image * rng.uniform(0.3, 1.0)
    return made


def expected_answers(folder: Path, config: Config, head: Head) -> Callable[[UInt8], dict[str, UInt8]]:
    """Images to what has to come, by the integer graph and the integer specification of the CAM block.

    `tap` is uint8 [N, h, w, C], `packet` uint8 [N, L].
    """
    from finn_build.executors.cam import PacketExecutor

    spec = head.cam_spec(config.cam_output, config.cam.sampling)
    executor = PacketExecutor(folder / "streamline" / "model.onnx", head, spec, "integer", folder / "csim")

    def run(images: UInt8) -> dict[str, UInt8]:
        parts = [executor.run(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in ("tap", "packet")}

    return run
