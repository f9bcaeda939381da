"""C simulation of the HLS block: compiled once by g++ for each content, loaded by ctypes, run on numpy arrays."""

import ctypes
import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cam_postproc import gxx
from cam_postproc.arithmetic import check_tap
from cam_postproc.block import CamBlock
from cam_postproc.checks import want_class, want_gate
from cam_postproc.errors import CamError
from cam_postproc.hls.sources import pack_bank, write_sources
from cam_postproc.hostside import UInt8, decode_packets, shown_classes
from cam_postproc.spec import ARGMAX, NO_GATE

T = TypeVar("T")
Arrays = dict[str, npt.NDArray[np.generic]]

FLAGS = (
    "-std=c++14",
    "-O2",
    "-fPIC",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
    # ap_private's own constructors mask bits that they have not set yet.
    "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
)
_MESSAGE_BYTES = 256
_PLACE = "CAM C simulation"


class CamCsim:
    """One compiled block. It keeps its state from call to call, as hardware does: frame counter and loaded bank.

    Args:
        block: what to build.
        fc_weight: INT<weight_bits> as int8 [K, C]; with weights loaded at run time, bank 0's at first.
        bias: INT<bias_bits> as int32 [K], or None.
        cache_dir: the caller's folder; builds lie below it under the hash of all that goes into them.

    Raises:
        CamError: g++ or the ap_int headers are missing, or the C++ does not compile.
    """

    def __init__(
        self,
        block: CamBlock,
        fc_weight: npt.NDArray[np.int8],
        bias: npt.NDArray[np.int32] | None,
        cache_dir: Path,
    ) -> None:
        self.block = block
        self.library_path = build_library(block, fc_weight, bias, cache_dir)
        self.banks = np.zeros((2, block.bank_words), dtype=np.uint32)
        # A copy of its own: two loads of one path would share their state.
        with tempfile.TemporaryDirectory(prefix="load-", dir=self.library_path.parent) as folder:
            private = Path(shutil.copy(self.library_path, folder))
            self._library = ctypes.CDLL(str(private))
        if block.runtime_weights:
            self.load_bank(0, fc_weight, bias)
        self.reset()

    def load_bank(self, bank: int, fc_weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None = None) -> None:
        """Write bank 0 or 1. The block copies a bank when the active one changes, so write the inactive one.

        Raises:
            CamError: a block whose weights are ROM, another bank, or weights that do not fit.
        """
        if not self.block.runtime_weights:
            raise CamError("weight bank", "a block with weights loaded at run time", "weights in ROM", "build it so")
        if bank not in (0, 1):
            raise CamError("weight bank", "0 or 1", str(bank), "choose one of the two")
        self.banks[bank] = pack_bank(self.block, fc_weight, bias)

    def reset(self, frame: int = 0) -> None:
        """Back to the state after reset; the frame counter may start elsewhere than at 0."""
        self._library.cam_csim_reset(ctypes.c_uint32(frame))

    @property
    def build_id(self) -> int:
        """The build id register, after the first frame."""
        return ctypes.c_uint32.in_dll(self._library, "cam_csim_build_id").value

    def run(
        self,
        tap: UInt8,
        *,
        select: int | Sequence[int | None] | None = None,
        gate: int | Sequence[int] = NO_GATE,
        bank: int | Sequence[int] = 0,
    ) -> Arrays:
        """A batch of frames, back to back.

        Args:
            tap: UINT<tap_bits> as uint8 [N, h, w, C].
            select: class to show, or None for the argmax; one for all frames or one each.
            gate: int32, likewise.
            bank: active weight bank, likewise; ignored where weights are ROM.

        Returns:
            packet uint8 [N, L]; and decoded from it: logits int32 [N, K], class uint16 [N], shown_classes int64
            [N, shown], heatmap uint8 [N, H, W], heatmaps uint8 [N, shown, H, W], peak uint16 [N, 2], gated and
            constant bool [N], frame uint32 [N]. Probed inside the block: shown_maps int32 [N, shown, h, w] and, where
            it keeps maps, maps int32 [N, K, h, w].

        Raises:
            CamError: arrays or registers that do not fit the block.
        """
        block, spec = self.block, self.block.spec
        check_tap(spec, tap)
        frames = len(tap)
        selects = _each("class select", select, frames)
        gates = _each("gate", gate, frames)
        banks = _each("bank", bank, frames)
        for chosen, least in zip(selects, gates, strict=True):
            want_class(spec, chosen)
            want_gate(least or 0)
        select_words = np.array([ARGMAX if s is None else s for s in selects], dtype=np.uint32)
        gate_words = np.array(gates, dtype=np.int32)
        bank_words = np.array(banks, dtype=np.uint32)
        packet = np.zeros((frames, spec.layout.length), dtype=np.uint8)
        size = (spec.map_height, spec.map_width)
        shown_maps = np.zeros((frames, spec.shown, *size), dtype=np.int32)
        maps = np.zeros((frames, spec.classes, *size), dtype=np.int32) if block.storage == "maps" else None
        message = ctypes.create_string_buffer(_MESSAGE_BYTES)
        failed = self._library.cam_csim_run(
            _pointer(np.ascontiguousarray(tap)),
            ctypes.c_int(frames),
            _pointer(select_words),
            _pointer(gate_words),
            _pointer(bank_words),
            _pointer(self.banks),
            _pointer(packet),
            _pointer(maps),
            _pointer(shown_maps),
            message,
            ctypes.c_int(_MESSAGE_BYTES),
        )
        if failed:
            got = message.value.decode(errors="replace")
            raise CamError(_PLACE, f"{frames} whole packets", got, "the generated C++ is wrong")
        decoded = decode_packets(spec.layout, packet)
        ranks = [shown_classes(decoded.logits[n : n + 1], spec.shown, s) for n, s in enumerate(selects)]
        results: Arrays = {
            "packet": packet,
            "logits": decoded.logits,
            "class": decoded.class_index,
            "shown_classes": np.concatenate(ranks),
            "heatmap": decoded.maps[:, 0],
            "heatmaps": decoded.maps,
            "peak": decoded.peak,
            "gated": decoded.gated,
            "constant": decoded.constant,
            "frame": decoded.frame,
            "shown_maps": shown_maps,
        }
        if maps is not None:
            results["maps"] = maps
        return results


def build_library(
    block: CamBlock, fc_weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None, cache_dir: Path
) -> Path:
    """Write the sources and compile them; returns the shared library, built before if nothing has changed.

    Raises:
        CamError: g++ or the ap_int headers are missing, or the C++ does not compile.
    """
    compiler, version = find_compiler()
    headers = find_ap_types()
    cache_dir = cache_dir.resolve()  # g++ runs in another folder, and dlopen looks elsewhere for a bare name
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="csim-", dir=cache_dir) as folder:
        work = Path(folder)
        sources = write_sources(block, fc_weight, bias, work / "src")
        digest = hashlib.sha256("\0".join([version, *FLAGS]).encode())
        for path in [*sources, *sorted(headers.rglob("*.h"))]:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        target = cache_dir / f"cam-{digest.hexdigest()[:24]}" / "cam_csim.so"
        if target.is_file():
            return target
        library = work / "src" / target.name
        compile_cpp(compiler, ["cam_csim.cpp"], ["-shared"], headers, work / "src", library)
        try:
            (work / "src").rename(target.parent)
        except OSError:
            # Another process has finished the same build in the meantime.
            if not target.is_file():
                raise
    return target


def compile_cpp(
    compiler: str, sources: Sequence[str], flags: Sequence[str], headers: Path, folder: Path, out: Path
) -> None:
    """Compile generated sources of `folder`.

    Raises:
        CamError: g++ fails; the message holds its first error.
    """
    # The ap_int headers as system headers: their warnings are not ours.
    options = [*FLAGS, *flags, "-I.", "-Isim", f"-isystem{headers}", *sources]
    gxx.compile_cpp(_PLACE, compiler, options, folder, out)


def find_compiler() -> tuple[str, str]:
    """g++'s path and version.

    Raises:
        CamError: there is none.
    """
    return gxx.find_compiler(_PLACE)


def find_ap_types() -> Path:
    """The folder of the Apache-2.0 ap_int.h that hls4ml ships; hls4ml itself is not imported.

    Raises:
        CamError: hls4ml is not installed.
    """
    spec = importlib.util.find_spec("hls4ml")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        headers = Path(folder) / "templates" / "vivado" / "ap_types"
        if (headers / "ap_int.h").is_file():
            return headers
    raise CamError(_PLACE, "hls4ml's ap_int.h", "none", "install it: pip install --no-deps hls4ml==1.3.0")


def _each(name: str, value: T | Sequence[T], frames: int) -> list[T]:
    if not isinstance(value, Sequence):
        return [value] * frames
    if len(value) != frames:
        raise CamError(
            name, f"{frames} values, one a frame", str(len(value)), "pass one for each frame, or one for all"
        )
    return list(value)


def _pointer(array: npt.NDArray[np.generic] | None) -> ctypes.c_void_p | None:
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)
