"""The compiled twin of `contours.map_ious`: the same figures, some ten to a hundred times faster."""

import ctypes
import hashlib
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.gxx import compile_cpp, find_compiler
from cam_postproc.metrics.contours import Float64, Int64, check_truth, quantise_scores, threshold_levels

FLAGS = ("-std=c++14", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra")
_PLACE = "box metrics"


class BoxKernel:
    """The compiled kernel; calls from several threads run at once.

    Args:
        cache_dir: the caller's folder; the library lies below it under the hash of all that goes into it.

    Raises:
        CamError: g++ is missing or fails.
    """

    def __init__(self, cache_dir: Path) -> None:
        source = (files("cam_postproc.metrics") / "cpp" / "contours.cpp").read_text(encoding="utf-8")
        compiler, version = find_compiler(_PLACE)
        digest = hashlib.sha256("\0".join([version, *FLAGS, source]).encode()).hexdigest()
        library = cache_dir.resolve() / f"contours-{digest[:24]}.so"
        if not library.is_file():
            cache_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="contours-", dir=cache_dir) as folder:
                work = Path(folder)
                (work / "contours.cpp").write_text(source, encoding="utf-8")
                compile_cpp(_PLACE, compiler, [*FLAGS, "contours.cpp"], work, work / "contours.so")
                (work / "contours.so").replace(library)
        self._call = ctypes.CDLL(str(library)).contour_ious

    def map_ious(
        self, score_map: npt.NDArray[np.floating], truth: Int64, thresholds: Float64
    ) -> tuple[Float64, Float64]:
        """As `contours.map_ious`."""
        scores = np.ascontiguousarray(quantise_scores(score_map))
        check_truth(truth)
        boxes = np.ascontiguousarray(truth, dtype=np.int64)
        wanted = threshold_levels(thresholds, int(scores.max()))
        distinct, index = np.unique(wanted, return_inverse=True)
        levels = np.ascontiguousarray(distinct, dtype=np.int32)
        largest, best = np.empty(len(levels)), np.empty(len(levels))
        self._call(
            scores.ctypes.data_as(ctypes.c_void_p),
            *(ctypes.c_int(size) for size in scores.shape),
            boxes.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(len(boxes)),
            levels.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(len(levels)),
            largest.ctypes.data_as(ctypes.c_void_p),
            best.ctypes.data_as(ctypes.c_void_p),
        )
        return largest[index], best[index]


def find_kernel(cache_dir: Path) -> BoxKernel | None:
    """The kernel, or None where there is no g++: OpenCV then does the work."""
    try:
        return BoxKernel(cache_dir)
    except CamError:
        return None
