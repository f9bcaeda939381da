"""Checks of what callers hand in; each failure is one line that names the array and the first bad value."""

import numpy as np
import numpy.typing as npt

from cam_postproc.errors import CamError
from cam_postproc.spec import CamSpec


def want_array(
    place: str,
    array: npt.NDArray[np.generic],
    dtype: type[np.generic],
    shape: tuple[int, ...],
    low: int,
    high: int,
) -> None:
    """Refuse an array of another dtype or shape (-1: any size above 0), or with a value outside low to high.

    Raises:
        CamError: one line: the array's name, what was wanted, what came.
    """
    if not isinstance(array, np.ndarray):
        raise CamError(place, "a numpy array", type(array).__name__, "convert it with numpy.asarray")
    wanted = np.dtype(dtype).name
    if array.dtype != np.dtype(dtype):
        raise CamError(place, wanted, str(array.dtype), f"quantise it to {wanted} first")
    fits = array.ndim == len(shape) and all(want in (-1, got) for want, got in zip(shape, array.shape, strict=True))
    if not fits or array.size == 0:
        sizes = "[" + ", ".join("N" if size == -1 else str(size) for size in shape) + "]"
        raise CamError(place, f"shape {sizes}, not empty", str(list(array.shape)), "check the CAM's sizes")
    for value in (int(array.min()), int(array.max())):
        if not low <= value <= high:
            index = [int(i) for i in np.argwhere(array == value)[0]]
            raise CamError(place, f"values from {low} to {high}", f"{value} at {index}", "check its data type")


def want_class(spec: CamSpec, select: int | None) -> None:
    """Refuse a class that the block does not have.

    Raises:
        CamError: select is not None and not 0 to classes - 1.
    """
    if select is not None and not 0 <= select < spec.classes:
        raise CamError("class select", f"0 to {spec.classes - 1}", str(select), "choose a class of the model")


def want_gate(gate: int) -> None:
    """Refuse a gate that its 32-bit register cannot hold.

    Raises:
        CamError: gate is no int32.
    """
    if not -(1 << 31) <= gate < 1 << 31:
        raise CamError("gate", "an int32", str(gate), "choose a logit that the block can reach")
