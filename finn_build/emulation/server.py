"""Answers the emulated board's requests through a Unix socket, in a thread of this process."""

import json
import tempfile
import threading
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from types import TracebackType

import numpy as np

from finn_build.emulation.model import Accelerator


class ModelServer:
    """Serves one model to one board at a time, within a `with` block.

    Args:
        model: answers.
        image_bytes: of an image.
    """

    def __init__(self, model: Accelerator, image_bytes: int) -> None:
        self._model, self._image_bytes = model, image_bytes
        # Unix sockets have short paths only.
        self._folder = tempfile.TemporaryDirectory(prefix="cam-")
        self.address = str(Path(self._folder.name) / "model")
        self._listener = Listener(self.address, "AF_UNIX")
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                connection: Connection = self._listener.accept()
            except OSError:
                # Closed: nobody will ask any more.
                return
            with connection:
                self._answer_all(connection)

    def _answer_all(self, connection: Connection) -> None:
        while True:
            try:
                head, body = json.loads(connection.recv_bytes()), connection.recv_bytes()
            except (EOFError, OSError):
                return
            try:
                answer = self._answer(head, body)
            except Exception as error:
                # Whatever it is, the other process has to hear of it.
                connection.send_bytes(b"failed")
                connection.send_bytes(str(error).encode())
                continue
            connection.send_bytes(b"ok")
            connection.send_bytes(answer)

    def _answer(self, head: dict[str, int | str], body: bytes) -> bytes:
        if head["do"] == "reset":
            self._model.reset()
            return b""
        count = int(head["images"])
        pixels = np.frombuffer(body, np.uint8, count * self._image_bytes).reshape(count, self._image_bytes)
        banks = np.frombuffer(body, "<u4", int(head["words"]), count * self._image_bytes).astype(np.uint32)
        packets = self._model.run(pixels, int(head["select"]), int(head["gate"]), int(head["bank"]), banks)
        return np.ascontiguousarray(packets).tobytes()
