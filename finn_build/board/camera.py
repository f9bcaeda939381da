"""A web page with the camera's picture under its heatmap: motion JPEG, on this machine alone unless told otherwise."""

from __future__ import annotations

import html
import importlib
import io
import itertools
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from .accelerator import CamAccelerator
from .errors import MissingModule, Refused
from .hostside import UInt8
from .overlay import draw
from .pictures import find_pictures, pillow, read_picture

BOUNDARY = "frame"
QUALITY = 80
WAIT_SECONDS = 5.0


def camera(
    accelerator: CamAccelerator,
    source: str,
    host: str,
    port: int,
    frames: int | None,
    say: Callable[[str], None],
) -> int:
    """Serves until Ctrl-C, or until so many frames have been computed.

    Args:
        accelerator: open.
        source: number of a USB camera (OpenCV), or a folder of pictures, shown over and over (Pillow).
        host: address to listen on.
        port: to listen on; 0 lets the system choose.
        frames: to end after; None for no end.
        say: tells the address.

    Raises:
        Refused: no such camera, folder or port.
        MissingModule: OpenCV or Pillow is not installed.
    """
    taken = _camera_frames(int(source)) if source.isdigit() else _folder_frames(source)
    first = next(taken)
    newest = _Newest()
    encoder = pillow("Image")
    try:
        server = ThreadingHTTPServer((host, port), _page(newest, accelerator.bundle.manifest["config"]))
    except (OSError, OverflowError) as error:
        raise Refused(f"{host}:{port}: expected an address to listen on, got {error}; choose another") from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    say(f"http://{host}:{server.server_address[1]}/ shows {source}; Ctrl-C ends it")
    try:
        for number, picture in enumerate(itertools.chain([first], taken), 1):
            answer = accelerator.predict(picture)
            buffer = io.BytesIO()
            encoder.fromarray(draw(picture, answer)).save(buffer, "JPEG", quality=QUALITY)
            newest.put(buffer.getvalue(), f"{answer.label} {answer.score:.2f}")
            if number == frames:
                break
        return 0
    finally:
        newest.close()
        server.shutdown()
        server.server_close()


class _Newest:
    """The newest frame; readers wait for the next and miss those that came meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number, self._jpeg, self.caption, self.closed = 0, b"", "", False

    def put(self, jpeg: bytes, caption: str) -> None:
        with self._changed:
            self._number, self._jpeg, self.caption = self._number + 1, jpeg, caption
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes]:
        """The frame after `number`, or the same again where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number or self.closed, WAIT_SECONDS)
            return self._number, self._jpeg

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()


def _page(newest: _Newest, title: str) -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        """`/` is the page, `/stream` the motion JPEG, `/frame.jpg` the newest frame, `/caption` its class."""

        def do_GET(self) -> None:
            if self.path == "/":
                page = (
                    f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title>"
                    "<body style='margin:0;background:#121418;text-align:center'>"
                    f"<img src=/stream alt='camera under its heatmap' style='max-width:100%;max-height:100vh'>"
                )
                self._send("text/html; charset=utf-8", page.encode())
            elif self.path == "/frame.jpg":
                self._send("image/jpeg", newest.after(0)[1])
            elif self.path == "/caption":
                self._send("text/plain; charset=utf-8", newest.caption.encode())
            elif self.path == "/stream":
                self._stream()
            else:
                self.send_error(404)

        def _send(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            number = 0
            try:
                while not newest.closed:
                    number, jpeg = newest.after(number)
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                # The browser has gone.
                return

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a line a frame would fill the terminal."""

    return Page


def _folder_frames(folder: str) -> Iterator[UInt8]:
    if not Path(folder).is_dir():
        raise Refused(f"--source: expected a camera's number or a folder of pictures, got {folder!r}; correct it")
    paths = find_pictures([folder])
    for path in itertools.cycle(paths):
        yield read_picture(path)


def _camera_frames(number: int) -> Iterator[UInt8]:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise MissingModule("OpenCV: needed for a camera, but not installed; run: pip install opencv-python") from None
    capture = cv2.VideoCapture(number)
    try:
        while True:
            worked, frame = capture.read()
            if not worked:
                raise Refused(f"--source {number}: expected a camera's picture, got none; plug it in, check its number")
            yield np.ascontiguousarray(frame[:, :, ::-1])
    finally:
        capture.release()
