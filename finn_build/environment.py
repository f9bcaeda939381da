"""The only file that reads environment variables: what a machine says of itself, and where this checkout lies."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the folder of `configs/` and `models/`."""


def configs_folder() -> Path:
    """Where a config's name is looked up."""
    return ROOT / "configs"


def default_build_folder() -> Path:
    """Where builds go unless `--out` says otherwise: `build/` of the checkout."""
    return ROOT / "build"


def data_folder() -> Path | None:
    """The folder of data sets that `FINN_CAM_DATA` names; `--data` goes before it."""
    return _folder("FINN_CAM_DATA")


def models_folder() -> Path | None:
    """The folder that `FINN_CAM_MODELS` names, looked in before a model is downloaded."""
    return _folder("FINN_CAM_MODELS")


def deps_folder() -> Path:
    """What vendor builds need from git: the folder that `FINN_DEPS` names, else one below the build folder."""
    return (_folder("FINN_DEPS") or default_build_folder() / ".cache" / "finn-deps").resolve()


def licence_variables() -> dict[str, str]:
    """Where AMD's tools look for licences."""
    return {name: os.environ.get(name, "") for name in ("XILINXD_LICENSE_FILE", "LM_LICENSE_FILE")}


def cores_of_this_process() -> int:
    """CPU cores of the machine, shared out among the processes that torchrun launched on it."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _folder(name: str) -> Path | None:
    value = os.environ.get(name, "")
    return Path(value).expanduser() if value else None


def keep_out_of_home() -> None:
    """Tells libraries that keep caches in HOME by default to keep them below the build folder."""
    os.environ.setdefault("MPLCONFIGDIR", str(default_build_folder() / ".cache" / "matplotlib"))
