"""The line to the accelerator's model, which runs in another process and environment."""

from __future__ import annotations

import json
import threading
from multiprocessing.connection import Client
from typing import Any

import numpy as np
import numpy.typing as npt


class Link:
    """Requests are a JSON header and a block of bytes, answers a block of bytes.

    Args:
        address: of the model's socket.
    """

    def __init__(self, address: str) -> None:
        self._connection = Client(address, "AF_UNIX")
        self._lock = threading.Lock()

    def reset(self) -> None:
        """The chip was programmed: the frame counter starts at 0, the weight memory is empty."""
        self._ask({"do": "reset"}, b"")

    def run(
        self, images: npt.NDArray[np.uint8], registers: dict[str, int], banks: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint8]:
        """The packets of `images` (uint8 [N, bytes]), one after another.

        Args:
            images: as they come from memory.
            registers: `select`, `gate`, `bank`.
            banks: both banks of the weight memory, empty where there is none.
        """
        head = {"do": "run", "images": len(images), "words": len(banks), **registers}
        answer = self._ask(head, images.tobytes() + banks.astype("<u4").tobytes())
        return np.frombuffer(answer, np.uint8)

    def _ask(self, head: dict[str, Any], body: bytes) -> bytes:
        with self._lock:
            self._connection.send_bytes(json.dumps(head).encode())
            self._connection.send_bytes(body)
            status = self._connection.recv_bytes()
            answer = self._connection.recv_bytes()
        if status != b"ok":
            raise RuntimeError(f"the accelerator's model failed: {answer.decode(errors='replace')}")
        return answer
