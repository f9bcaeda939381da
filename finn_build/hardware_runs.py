"""What the commands on a build's generated code share: that code with the CAM block in either language."""

from pathlib import Path
from typing import Literal

from filelock import FileLock

from finn_build.cache.store import Store
from finn_build.config import Config
from finn_build.runner import Listener, Runner
from finn_build.stages.files import GRAPH
from finn_build.stages.other_cam import generate_other_cam


def generated_with(config: Config, folder: Path, backend: Literal["hls", "rtl"], listener: Listener) -> Path:
    """The folder of a build's generated code, made first where the config's CAM block is in the other language.

    Args:
        config: built up to stage `codegen`.
        folder: of its results.
        backend: of the CAM block.
        listener: who is told.
    """
    if backend == config.cam.backend or config.hardware.head != "cam":
        return folder / "codegen"
    with FileLock(folder / ".lock"):
        return Runner(Store(folder), listener).stage(
            f"codegen-{backend}",
            f"the same with the CAM block in {'SystemVerilog' if backend == 'rtl' else 'C++'}",
            generate_other_cam,
            {"specialised": folder / "specialise" / GRAPH},
            {"backend": backend, "hardware": config.hardware},
        )
