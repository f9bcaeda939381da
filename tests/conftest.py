"""`make verify`: what the long tests measured goes to build/verify.json, and is not measured twice at one commit."""

import io
import os
import signal
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finn_build.bars import Measured, clean_commit, digests, holds_still, read_bars, write_bar
from finn_build.conclude import VERIFY_JSON
from finn_build.environment import ROOT, default_build_folder, keep_out_of_home
from finn_build.report.schema import Relation

keep_out_of_home()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and the tests of interruptions with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Where Vivado is installed, a test's build would go on to a bitfile: the tests bring stand-ins of their own.
os.environ["PATH"] = os.pathsep.join(
    folder
    for folder in os.environ["PATH"].split(os.pathsep)
    if not any((Path(folder) / tool).exists() for tool in ("vivado", "vitis_hls", "vitis-run"))
)

LOCK = ROOT / "requirements.lock"
REAL_IMAGES = 400
Record = Callable[..., None]


def command_of(item: pytest.Item) -> str:
    return f"make verify ARGS='{item.nodeid}'"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a long test that passed at this commit, so that an interrupted `make verify` goes on where it was."""
    if item.get_closest_marker("verify") is None:
        return
    commit = clean_commit()
    for figure in read_bars(default_build_folder() / VERIFY_JSON):
        if figure.name == item.nodeid and figure.passed and holds_still(figure, commit):
            pytest.skip("measured already at this commit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keeps whether a long test passed."""
    report = yield
    if report.when == "call" and item.get_closest_marker("verify") is not None and report.outcome != "skipped":
        keep(item, item.nodeid, float(report.passed), "==", 1.0, [])
    return report


def keep(
    item: pytest.Item, name: str, measured: float, relation: Relation, limit: float, inputs: Iterable[Path]
) -> Measured:
    figure = Measured(name, measured, relation, limit, command_of(item), clean_commit(), digests([LOCK, *inputs]))
    write_bar(default_build_folder() / VERIFY_JSON, figure)
    return figure


@pytest.fixture
def bar(request: pytest.FixtureRequest) -> Record:
    """Keeps a figure with its limit, and fails the test if it does not hold."""

    def record(name: str, measured: float, relation: Relation, limit: float, inputs: Iterable[Path] = ()) -> None:
        figure = keep(request.node, name, measured, relation, limit, inputs)
        assert figure.passed, f"{name}: {measured:g}, limit {relation} {limit:g}"

    return record


@pytest.fixture(scope="session")
def cifar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real CIFAR-10 test images in the binary layout: the user's, or the first of the archive beside the checkout."""
    own = os.environ.get("FINN_CAM_DATA")
    if own and (Path(own) / "cifar-10-batches-bin" / "test_batch.bin").is_file():
        return Path(own)
    archive = ROOT.parent / "shared" / "data" / "cifar10_jpeg_test.npz"
    if not archive.is_file():
        pytest.skip("no real images: FINN_CAM_DATA names no folder with CIFAR-10")
    from PIL import Image

    folder = tmp_path_factory.mktemp("data")
    batches = folder / "cifar-10-batches-bin"
    batches.mkdir()
    with np.load(archive) as held:
        jpeg, offsets, labels = held["jpeg"], held["offsets"][: REAL_IMAGES + 1], held["labels"][:REAL_IMAGES]
        names = [str(name) for name in held["classes"]]
    rows = []
    for label, start, stop in zip(labels, offsets[:-1], offsets[1:], strict=True):
        with Image.open(io.BytesIO(jpeg[start:stop].tobytes())) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        rows.append(np.concatenate([[label], pixels.transpose(2, 0, 1).reshape(-1)]).astype(np.uint8))
    (batches / "test_batch.bin").write_bytes(np.stack(rows).tobytes())
    (batches / "batches.meta.txt").write_text("\n".join(names) + "\n")
    return folder
