import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.datasets.archive import extract
from models.datasets.download import download, fetch_cifar10
from models.errors import ModelError

BODY = bytes(range(256)) * 4000
HASH = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `body`, and misbehaves as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.ranges = True
        self.cut_after: int | None = None
        self.status = 200
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if start >= len(self.server.body):
            self.send_error(416)
            return
        body = self.server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_tells_its_progress_and_is_done_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    told: list[tuple[int, int | None]] = []
    assert download(server.url, path, HASH, lambda done, total: told.append((done, total))) == path
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert told[0][0] < len(BODY)
    download(server.url, path, HASH)
    assert len(server.asked) == 1
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_was(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.cut_after, server.ranges = 300_000, ranges
    path = tmp_path / "file"
    with pytest.raises(ModelError, match="cut after 300000 bytes"):
        download(server.url, path, HASH)
    assert not path.exists()
    server.cut_after = None
    told: list[int] = []
    download(server.url, path, HASH, lambda done, total: told.append(done))
    assert server.asked == [None, "bytes=300000-"]
    assert path.read_bytes() == BODY
    assert (told[0] > 300_000) == ranges


def test_a_whole_part_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY)
    download(server.url, tmp_path / "file", HASH)
    assert (tmp_path / "file").read_bytes() == BODY


def test_another_hash_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.body = BODY[:-1] + b"?"
    with pytest.raises(ModelError, match=f"SHA-256 {HASH}"):
        download(server.url, tmp_path / "file", HASH)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_other_file_is_replaced_only_by_the_right_one(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    server.status = 503
    with pytest.raises(ModelError, match="HTTP 503"):
        download(server.url, path, HASH)
    assert path.read_bytes() == b"old"
    server.status = 200
    download(server.url, path, HASH)
    assert path.read_bytes() == BODY


def test_without_a_network_it_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match=r"a network.*refused") as caught:
        download(f"http://127.0.0.1:{port}/file", tmp_path / "file", HASH)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="http or https"):
        download("file:///etc/passwd", tmp_path / "file", HASH)


def test_a_place_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ModelError, match="can be written"):
        download(server.url, tmp_path / "taken" / "file", HASH)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


GOOD = tar_of(
    (entry("cifar-10-batches-bin", tarfile.DIRTYPE), b""),
    (entry("cifar-10-batches-bin/test_batch.bin"), b"\0" * 3073),
    (entry("cifar-10-batches-bin/readme.html"), b"x" * 200_000),
)


def test_cifar10_is_fetched_unpacked_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    server.body = GOOD
    digest = hashlib.sha256(GOOD).hexdigest()
    root = fetch_cifar10(tmp_path, url=server.url, sha256=digest)
    assert root == tmp_path / "cifar-10-batches-bin"
    assert (root / "test_batch.bin").stat().st_size == 3073
    assert fetch_cifar10(tmp_path, url=server.url, sha256=digest) == root
    assert len(server.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-batches-bin"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (tar_of((entry("../outside"), b"x")), "outside"),
        (tar_of((entry("/outside"), b"x")), "outside"),
        (tar_of((entry("a/../../outside"), b"x")), "outside"),
        (tar_of((entry("link", tarfile.SYMTYPE, "/etc"), b""), (entry("link/outside"), b"x")), "link"),
        (tar_of((entry("hard", tarfile.LNKTYPE, "/etc/passwd"), b"")), "hard"),
        (tar_of((entry("pipe", tarfile.FIFOTYPE), b"")), "pipe"),
        (tar_of((entry("device", tarfile.CHRTYPE), b"")), "device"),
        (GOOD[: len(GOOD) // 2], "whole archive"),
        (GOOD[:60] + bytes(20) + GOOD[80:], "whole archive"),
        (b"no archive", "whole archive"),
    ],
    # Told apart by name: an archive's bytes hold the time it was made, and every worker makes its own.
    ids=["parent", "absolute", "detour", "symlink", "hard link", "pipe", "device", "cut", "damaged", "none"],
)
def test_a_hostile_or_damaged_archive_writes_nothing_outside(tmp_path: Path, content: bytes, match: str) -> None:
    archive, folder = tmp_path / "a.tar.gz", tmp_path / "inside" / "deep"
    archive.write_bytes(content)
    folder.mkdir(parents=True)
    with pytest.raises(ModelError, match=match):
        extract(archive, folder)
    assert not list(tmp_path.rglob("outside"))


def test_a_failed_fetch_leaves_no_half_data_set(server: Server, tmp_path: Path) -> None:
    server.body = tar_of((entry("cifar-10-batches-bin/a"), b"x"), (entry("../outside"), b"x"))
    with pytest.raises(ModelError, match="outside"):
        fetch_cifar10(tmp_path, url=server.url, sha256=hashlib.sha256(server.body).hexdigest())
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]
