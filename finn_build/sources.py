"""Where a build's inputs come from: weights, foreign networks, data sets."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from finn_build.cache.digest import file_digest
from finn_build.config import Config
from finn_build.environment import configs_folder, data_folder, models_folder
from finn_build.errors import UserError
from models.errors import ModelError


@dataclass(frozen=True)
class Sources:
    """The files that a build starts from.

    Attributes:
        checkpoint: the weights of a network of this project's; None for random ones, or if `onnx` is given.
        onnx: a network from elsewhere.
        dataset: the folder of the data set that accuracy is measured on; None where there is none.
    """

    checkpoint: Path | None = None
    onnx: Path | None = None
    dataset: Path | None = None

    @property
    def untrained(self) -> bool:
        """Whether the weights are random."""
        return self.checkpoint is None and self.onnx is None


def find_sources(config: Config, data: Path | None, untrained: bool) -> Sources:
    """Finds what a build starts from, downloading a foreign network if it has to.

    Args:
        config: whose files are wanted.
        data: the folder that the user names; it has to hold the data set.
        untrained: random weights instead of a checkpoint.

    Raises:
        UserError: a file is not there, or is not the one that the config pins.
    """
    dataset = find_dataset(config, data)
    if config.model.source == "onnx":
        if untrained:
            raise UserError("--untrained", "a config whose network is built here", "an ONNX file", "leave it away")
        return Sources(onnx=_find_onnx(config), dataset=dataset)
    if untrained:
        return Sources()
    checkpoint = config.model.checkpoint
    if checkpoint is None or not checkpoint.is_file():
        raise UserError(
            f"{config.name}: checkpoint",
            "a file",
            f"the folder {checkpoint}" if checkpoint is not None and checkpoint.is_dir() else f"no {checkpoint}",
            f"train it with finn-cam train {config.name}, or build with --untrained: random weights size the hardware",
        )
    return Sources(checkpoint=checkpoint, dataset=dataset)


def make_arguments(config: Config, *options: str) -> str:
    """What follows `make build` to build a config: its name, or its file's where it does not ship, and options."""
    shipped = config.file.resolve().parent == configs_folder().resolve()
    arguments = f" ARGS={shlex.quote(' '.join(options))}" if options else ""
    return f"CONFIG={shlex.quote(config.name if shipped else config.file.name)}{arguments}"


def find_dataset(config: Config, data: Path | None) -> Path | None:
    """The folder that holds the config's data set.

    `--data` and the config's own path have to hold it; a folder that the environment names may hold others instead.

    Raises:
        UserError: the folder that was named does not hold the data set.
    """
    from models.datasets.load import find_root

    named = data or config.data.path
    if named is not None:
        root = find_root(config.data.dataset, named)
        if root is None:
            raise UserError(str(named), f"a data set in the layout of {config.data.dataset}", "none", "correct --data")
        return root
    folder = data_folder()
    return None if folder is None else find_root(config.data.dataset, folder)


def require_dataset(config: Config, data: Path | None) -> Path:
    """As `find_dataset`, for what cannot do without.

    Raises:
        UserError: no folder was named, or it does not hold the data set.
    """
    root = find_dataset(config, data)
    if root is None:
        raise UserError(
            f"{config.name}: data set",
            f"a folder with {config.data.dataset}",
            "none named",
            "give --data DIR or set FINN_CAM_DATA; finn-cam data cifar10 downloads one",
        )
    return root


def _find_onnx(config: Config) -> Path:
    path, folder = config.model.path, models_folder()
    if path is None:
        raise UserError(f"{config.name}: [model] path", "a path", "none", "add it")
    for candidate in ([folder / path.name] if folder else []) + [path]:
        if candidate.is_file():
            return _pinned(config, candidate)
    if config.model.url is None or config.model.sha256 is None:
        raise UserError(str(path), "an ONNX file", "no such file", "correct [model] path, or add url and sha256")
    from models.datasets.download import download

    try:
        return download(config.model.url, path, config.model.sha256)
    except ModelError as error:
        remedy = f"{error.remedy}, or name the folder that holds {path.name} with FINN_CAM_MODELS"
        raise UserError(error.place, error.expected, error.got, remedy) from None


def _pinned(config: Config, path: Path) -> Path:
    wanted = config.model.sha256
    found = file_digest(path) if wanted else None
    if found != wanted:
        raise UserError(str(path), f"SHA-256 {wanted}", str(found), "remove the file, or correct [model] sha256")
    return path
