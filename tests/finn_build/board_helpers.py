"""An emulated board with the package of the small network, and what its accelerator has to answer."""

from pathlib import Path

import numpy as np

from finn_build.emulation.model import IntegerModel
from finn_build.emulation.run import EmulatedBoard
from finn_build.executors.cam import PacketExecutor
from finn_build.head import Head
from finn_build.package.verify import verify_package


class Board:
    """An emulated board with a package, and what its accelerator has to answer."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder, self.work = folder, work
        ends = verify_package(folder / "tiny-deploy.zip").tap
        self.model = IntegerModel(folder, 16, "half-pixel", ends)
        self.board = EmulatedBoard(folder / "tiny-deploy.zip", self.model, work)

    @property
    def head(self) -> Head:
        return self.model.head

    def expected(self, images: np.ndarray) -> np.ndarray:
        """The packets of the integer graph and the integer specification."""
        graph = self.folder / "streamline" / "model.onnx"
        executor = PacketExecutor(graph, self.head, self.model.block.spec, "integer", self.work)
        return executor.run(images)["packet"]

    def script(self, text: str, **values: object) -> str:
        """Runs Python on the board; `board` is the emulated device, the packaged driver can be imported."""
        file = self.work / "script.py"
        whole = {
            "bitfile": str(self.board.bitfile),
            "package": str(self.board.package),
            "work": str(self.work),
            **values,
        }
        file.write_text("".join(f"{name} = {value!r}\n" for name, value in whole.items()) + text)
        self.board.run({"script": str(file), "pillow": True})
        return self.board.told()
