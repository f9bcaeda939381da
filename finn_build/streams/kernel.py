"""The compiled state machines, and one call that runs them."""

import ctypes
import hashlib
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cam_postproc.gxx import compile_cpp, find_compiler
from finn_build.environment import default_build_folder

FLAGS = ("-std=c++14", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra")
PARAMETERS = 14
"""Numbers a node; as many as streams.cpp reads."""

_PLACE = "stream model"
Int64 = npt.NDArray[np.int64]


class KernelRun(NamedTuple):
    """What a run did.

    Attributes:
        last: cycle of each finished frame's last word out.
        first_in: cycle of the first word in; -1 where none moved.
        cycles: run in all.
        most: most words that each node, if it is a FIFO, held.
        signals: valid and ready of each edge at the end, bool [edges, 2].
    """

    last: Int64
    first_in: int
    cycles: int
    most: Int64
    signals: npt.NDArray[np.bool_]


def run_kernel(
    kinds: npt.NDArray[np.int32],
    parameters: Int64,
    table: Int64,
    ends: npt.NDArray[np.int32],
    words: tuple[int, int],
    frames: int,
    limit: int,
    period: int = 0,
) -> KernelRun:
    """Runs nodes, given from the input to the output, until all frames are out, nothing moves, or the limit is reached.

    Args:
        kinds: of each node, int32 [nodes].
        parameters: of each node, int64 [nodes, PARAMETERS].
        table: longer lists that parameters point into, int64.
        ends: producer and consumer of each edge, -1 for the outside, int32 [edges, 2].
        words: of a frame, in and out.
        frames: offered one after the other without a pause; the output takes a word whenever there is one.
        limit: cycles.
        period: cycles over which the words of a frame are offered, evenly; 0 for one a cycle.

    Raises:
        CamError: there is no g++.
    """
    last, totals = np.zeros(frames, np.int64), np.zeros(3, np.int64)
    most, signals = np.zeros(len(kinds), np.int64), np.zeros((len(ends), 2), np.uint8)
    kinds, ends = np.ascontiguousarray(kinds), np.ascontiguousarray(ends)
    parameters, table = np.ascontiguousarray(parameters), np.ascontiguousarray(table)
    _library()(
        ctypes.c_int(len(kinds)), _pointer(kinds), _pointer(parameters), _pointer(table), ctypes.c_int(len(ends)),
        _pointer(ends), ctypes.c_int64(words[0]), ctypes.c_int64(words[1]), ctypes.c_int(frames),
        ctypes.c_int64(period), ctypes.c_int64(limit),
        _pointer(last), _pointer(most), _pointer(signals), _pointer(totals),
    )  # fmt: skip
    done, cycles, first = (int(value) for value in totals)
    return KernelRun(last[:done], first, cycles, most, signals.astype(np.bool_))


def _pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@cache
def _library() -> "ctypes._NamedFuncPointer":
    """The kernel, compiled once for each state of its source below the build folder's cache."""
    source = (files("finn_build.streams") / "cpp" / "streams.cpp").read_text(encoding="utf-8")
    folder = default_build_folder() / ".cache" / "streams"
    compiler, version = find_compiler(_PLACE)
    digest = hashlib.sha256("\0".join([version, *FLAGS, source]).encode()).hexdigest()
    library = folder / f"streams-{digest[:24]}.so"
    if not library.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="streams-", dir=folder) as scratch:
            work = Path(scratch)
            (work / "streams.cpp").write_text(source, encoding="utf-8")
            compile_cpp(_PLACE, compiler, [*FLAGS, "streams.cpp"], work, work / "streams.so")
            (work / "streams.so").replace(library)
    run = ctypes.CDLL(str(library)).run_streams
    run.restype = None
    return run
