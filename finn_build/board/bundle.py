"""The deployment package on the board's disk: checked against its manifest before anything else happens."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import BrokenPackage, Refused
from .hostcam import HostCam, TapStream
from .hostside import CamError, PacketLayout

MANIFEST = "manifest.json"
REMEDY = "copy the package again"
FORMAT = 1
HEADS = ("cam", "tap")


class Bundle:
    """A package's folder.

    Args:
        root: the folder with `manifest.json`.
        verify: compare every file of the manifest with its size and SHA-256.

    Raises:
        BrokenPackage: a file is missing, truncated or changed, or the manifest is none.
        Refused: the package is of another format, or its accelerator ends in logits.
    """

    def __init__(self, root: Path, verify: bool = True) -> None:
        self.root = root.resolve()
        self.manifest = _object(_json(self.root, MANIFEST))
        if self.manifest.get("format") != FORMAT:
            found = self.manifest.get("format")
            raise Refused(f"{root}: expected a package of format {FORMAT}, got {found!r}; use the driver it came with")
        if verify:
            self.verify()
        self.head = str(self.manifest.get("head"))
        if self.head not in HEADS:
            wanted = "an accelerator with head = cam or tap"
            raise Refused(f"{root}: expected {wanted}, got {self.head!r}; build one with such a head")
        self.cam = _object(_json(self.root, "cam.json"))
        self.labels = [str(label) for label in _json(self.root, "labels.json")]
        try:
            self.tap, self.layout = self._output()
            self.size = int(self.manifest["input"]["shape"][1])
            self.build_id = int(self.manifest["build_id"], 16)
            self.dmas = {str(dma["direction"]): str(dma["name"]) for dma in self.manifest["dmas"]}
            self.registers = {str(r["name"]): int(r["offset"]) for r in self.manifest["registers"]}
            self.cam_block: str | None = self.manifest["cam_block"]
            self.weights: dict[str, Any] | None = self.manifest["weights"]
            self.logit_scale = float(self.cam["logit_scale"])
            self.threshold = float(self.cam["threshold"])
        except (KeyError, TypeError, ValueError, CamError) as error:
            raise BrokenPackage(f"{root}: {MANIFEST} or cam.json: {error!r}; {REMEDY}") from None
        told = self.manifest["packet" if self.tap is None else "tap"]["bytes"]
        if self.length != told or not math.isfinite(self.logit_scale):
            raise BrokenPackage(f"{root}: {MANIFEST} contradicts itself; {REMEDY}")

    def _output(self) -> tuple[TapStream | None, PacketLayout]:
        """What leaves the accelerator: the tap's stream, if it is one, and the packet that it is or that follows."""
        if self.head == "tap":
            tap, (height, width) = self.manifest["tap"], self.cam["output"]
            stream = TapStream(tap["height"], tap["width"], tap["channels"], tap["bits"], tap["lanes"])
            return stream, PacketLayout(self.cam["classes"], height, width, self.cam["maps_shown"])
        packet = self.manifest["packet"]
        return None, PacketLayout(packet["classes"], packet["height"], packet["width"], packet["maps"])

    @property
    def length(self) -> int:
        """Bytes that leave the accelerator for an image."""
        return self.layout.length if self.tap is None else self.tap.length

    def verify(self) -> int:
        """Compares every listed file with the manifest; returns how many there are.

        Raises:
            BrokenPackage: naming the first file that is not as it was packed.
        """
        listed = self.manifest.get("files")
        if not isinstance(listed, list) or not listed:
            raise BrokenPackage(f"{self.root}: {MANIFEST} lists no files; {REMEDY}")
        for entry in listed:
            name = str(_object(entry).get("path"))
            path = self._inside(name)
            try:
                content = path.read_bytes()
            except OSError as error:
                raise BrokenPackage(f"{path}: expected a file of the package, got {error.strerror}; {REMEDY}") from None
            if len(content) != entry.get("bytes"):
                state = f"{len(content)} bytes instead of {entry.get('bytes')}"
                raise BrokenPackage(f"{path}: expected the file that was packed, got {state}; {REMEDY}")
            if hashlib.sha256(content).hexdigest() != entry.get("sha256"):
                raise BrokenPackage(f"{path}: expected the file that was packed, got other contents; {REMEDY}")
        return len(listed)

    def bitfile(self) -> Path:
        """The package's own bitfile.

        Raises:
            Refused: it has none.
        """
        name = self.manifest.get("bitfile")
        if not name:
            remedy = "make it with vendor tools as README.md says, and name it with --bitfile"
            raise Refused(f"{self.root}: expected a bitfile, got a package without one; {remedy}")
        return self._inside(str(name))

    def golden(self) -> dict[str, npt.NDArray[Any]]:
        """The golden vectors: `images` uint8 [N, S, S, 3], `packet` uint8 [N, L], and `tap` where that is sent."""
        arrays = self.arrays("golden/golden.npz")
        lacking = {"images", "packet", *([] if self.tap is None else ["tap"])} - arrays.keys()
        if lacking:
            raise BrokenPackage(f"{self.root}: golden/golden.npz lacks {', '.join(sorted(lacking))}; {REMEDY}")
        return arrays

    def bank_words(self) -> npt.NDArray[np.uint32]:
        """One bank of the weight memory as it was packed: uint32 [words]."""
        weights = self.weights or {}
        words = np.frombuffer(self._inside(str(weights.get("file"))).read_bytes(), "<u4").astype(np.uint32)
        if len(words) != weights.get("words"):
            raise BrokenPackage(f"{self.root}: {weights.get('file')} holds {len(words)} words; {REMEDY}")
        return words

    def host_cam(self) -> HostCam | None:
        """What computes behind an accelerator that ends in the tap; None for one with a CAM block.

        Raises:
            BrokenPackage: its weights do not fit it.
        """
        if self.tap is None:
            return None
        try:
            return HostCam(self.tap, self.cam, self.arrays("weights/head.npz"))
        except (ImportError, KeyError, TypeError, ValueError, Refused) as error:
            what = "cam.json, weights/head.npz or cam_postproc/"
            raise BrokenPackage(f"{self.root}: {what}: {error}; {REMEDY}") from None

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an `.npz` file of the package."""
        return read_arrays(self._inside(name))

    def _inside(self, name: str) -> Path:
        path = (self.root / name).resolve()
        if self.root not in path.parents:
            raise BrokenPackage(f"{self.root}: {MANIFEST} names {name!r}, outside the package; {REMEDY}")
        return path


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz` file; objects, which could run code, are refused.

    Raises:
        BrokenPackage: it is missing or none.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BrokenPackage(f"{path}: expected an .npz file, got {error}; {REMEDY}") from None


def find_package(start: Path) -> Path:
    """The folder of the package that a file lies in: the nearest above it with a manifest.

    Raises:
        Refused: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / MANIFEST).is_file():
            return folder
    raise Refused(f"{start}: expected a file in a package, got no {MANIFEST} above it; name the package's folder")


def _json(root: Path, name: str) -> Any:
    try:
        return json.loads((root / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise BrokenPackage(f"{root / name}: expected a file of the package, got {error.strerror}; {REMEDY}") from None
    except (ValueError, RecursionError) as error:
        raise BrokenPackage(f"{root / name}: expected JSON, got {error}; {REMEDY}") from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenPackage(f"expected a JSON object in the package, got {type(value).__name__}; {REMEDY}")
    return value
