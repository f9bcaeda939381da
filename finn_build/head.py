"""`head.npz`: the classifier as the CAM block computes it, read and written with numpy alone."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam_postproc.spec import CamSpec, Sampling, spec_for_head
from finn_build.errors import UserError


@dataclass(frozen=True)
class Head:
    """The classifier's integers and scales.

    Attributes:
        fc_weight: int8 [classes, C].
        bias: int32 [classes], in steps of the integer logit; zeros where there is none.
        weight_scale: the step of one weight.
        tap_scale: the step of one activation of the tap.
        tap_shape: [1, h, w, C].
        tap_bits: the tap is UINT<tap_bits>.
        labels: the classes' names.
    """

    fc_weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    weight_scale: float
    tap_scale: float
    tap_shape: tuple[int, int, int, int]
    tap_bits: int
    labels: tuple[str, ...]

    @property
    def logit_scale(self) -> float:
        """Logit = logit_scale · integer logit: the sum over h·w positions stands for their average."""
        return self.weight_scale * self.tap_scale / (self.tap_shape[1] * self.tap_shape[2])

    def cam_spec(self, output: int, sampling: Sampling) -> CamSpec:
        """The CAM block for a heatmap of output × output pixels."""
        return spec_for_head(
            self.fc_weight, self.bias, self.tap_shape[1:], self.tap_bits, (output, output), sampling=sampling
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As they stand in the file."""
        return {
            "fc_weight": self.fc_weight,
            "bias": self.bias,
            "weight_scale": np.array(self.weight_scale, np.float64),
            "tap_scale": np.array(self.tap_scale, np.float64),
            "tap_shape": np.array(self.tap_shape, np.int64),
            "tap_bits": np.array(self.tap_bits, np.int64),
            "labels": np.array(self.labels, np.str_),
        }


def read_head(path: Path) -> Head:
    """Reads `head.npz`.

    Raises:
        UserError: it is missing, truncated or lacks an array.
    """
    arrays = read_arrays(path)
    try:
        h = arrays["tap_shape"].tolist()
        return Head(
            fc_weight=arrays["fc_weight"].astype(np.int8),
            bias=arrays["bias"].astype(np.int32),
            weight_scale=float(arrays["weight_scale"]),
            tap_scale=float(arrays["tap_scale"]),
            tap_shape=(int(h[0]), int(h[1]), int(h[2]), int(h[3])),
            tap_bits=int(arrays["tap_bits"]),
            labels=tuple(str(label) for label in arrays["labels"]),
        )
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise UserError(str(path), "a head.npz", f"one without a usable {error}", "export the network again") from None


def write_head(path: Path, head: Head) -> None:
    """Writes `head.npz`; the same head always gives the same bytes."""
    write_arrays(path, head.arrays())


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` file; objects, which could run code, are refused.

    Raises:
        UserError: the file is missing or is none.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise UserError(str(path), "an .npz file", "no such file", "make it again with finn-cam build") from None
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(str(path), "an .npz file", str(error), "make it again with finn-cam build") from None


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Writes an `.npz` file; numpy stamps every entry with the same date, so bytes follow from the arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    path.write_bytes(buffer.getvalue())
