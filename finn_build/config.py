"""One TOML file a build: its tables, checked in full before anything runs."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from finn_build.environment import configs_folder
from finn_build.errors import UserError
from models.spec import DataSpec, InputSpec, LoosePath, ModelSpec, Table, TrainSpec

LEAST_MAP = 2
"""Height and width that the last group's map has at least: FINN slides no 3×3 window over a single pixel."""


class HardwareSpec(Table):
    """`[hardware]`: the chip, the clock in MHz, and what leaves the accelerator."""

    part: Literal["xc7z020clg400-1", "xc7z020clg484-1"] = "xc7z020clg400-1"
    clock_mhz: float = Field(default=100.0, ge=10, le=500)
    head: Literal["cam", "tap", "logits"] = "cam"


class FoldingSpec(Table):
    """`[folding]`: a folding JSON, or the frames a second that FINN's SetFolding aims at.

    `budget` is the share of each resource of the chip that the accelerator may use: place and route wants a margin.
    """

    file: LoosePath | None = None
    target_fps: float | None = Field(default=None, gt=0)
    budget: float = Field(default=0.8, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of(self) -> "FoldingSpec":
        if self.file is not None and self.target_fps is not None:
            raise ValueError("give file or target_fps, not both")
        return self

    @property
    def fps(self) -> float:
        """What SetFolding aims at where there is no file."""
        return 100.0 if self.target_fps is None else self.target_fps


class CamSettings(Table):
    """`[cam]`: the heatmap: size in pixels, block, box threshold (a fraction of the peak), sampling convention.

    `weights`: the FC weights are `loaded` by the host, so that other classes need no other bitfile, or `fixed` in ROM;
    with backend = "rtl" they are fixed.
    """

    output: int | None = Field(default=None, ge=1, le=1024)
    backend: Literal["hls", "rtl"] = "hls"
    threshold: float = Field(default=0.5, ge=0, lt=1)
    sampling: Literal["half-pixel", "top-left"] = "half-pixel"
    weights: Literal["loaded", "fixed"] | None = None

    @model_validator(mode="after")
    def _has_memory(self) -> "CamSettings":
        if self.weights == "loaded" and self.backend == "rtl":
            raise ValueError('weights = "loaded", but the block of backend = "rtl" has them fixed')
        return self

    @property
    def loaded(self) -> bool:
        """Whether the host loads the FC weights: unless told otherwise, wherever the block can."""
        return self.backend == "hls" and self.weights != "fixed"


class Config(Table):
    """A whole config file, its paths made absolute. `name` is the file's stem, under which results lie."""

    name: str
    file: Path
    model: ModelSpec
    input: InputSpec
    data: DataSpec
    train: TrainSpec = TrainSpec()
    hardware: HardwareSpec = HardwareSpec()
    folding: FoldingSpec = FoldingSpec()
    cam: CamSettings = CamSettings()

    @model_validator(mode="after")
    def _fed_as_trained(self) -> "Config":
        if self.model.source == "checkpoint" and self.input.foreign:
            given = ", ".join(self.input.foreign)
            raise ValueError(f'[input] {given}, but a network of source = "checkpoint" expects pixel/255, RGB, NCHW')
        return self

    @model_validator(mode="after")
    def _map_left(self) -> "Config":
        if self.model.source == "checkpoint" and self.model.groups is not None:
            # The imagenet stem halves twice; a stride of 2 rounds up.
            strides = [2, 2] if self.model.stem == "imagenet" else []
            size = self.input.size
            for stride in (*strides, *self.model.groups.strides):
                size = -(-size // stride)
            if size < LEAST_MAP:
                raise ValueError(small_map(self.input.size, size, size))
        return self

    @property
    def cam_output(self) -> int:
        """Height and width of the heatmap in pixels: the image's unless `[cam] output` says otherwise."""
        return self.cam.output or self.input.size

    @property
    def labels(self) -> list[str]:
        """Class names; numbers where the config has none."""
        return self.data.labels or [str(index) for index in range(self.data.classes)]


def small_map(size: int, height: int, width: int) -> str:
    """What is wrong with a network whose map is too small, however it came to be."""
    left = f"[input] size {size} and strides that leave a map of {height}×{width} pixels"
    return f"{left}; a heatmap needs {LEAST_MAP}×{LEAST_MAP}"


def config_names() -> list[str]:
    """The configs that ship, sorted."""
    return sorted(path.stem for path in configs_folder().glob("*.toml"))


def load_config(name_or_path: str) -> Config:
    """Reads a config: a name in `configs/`, or the path of a TOML file.

    Raises:
        UserError: there is no such config, the file is no TOML, or a key is unknown, misspelt or of the wrong type.
    """
    path = _find(name_or_path)
    if not path.stem.strip("."):
        # Results lie in a folder of this name: `..` is another one.
        raise UserError(str(path), "a file name to call the results by", path.name, "rename it, as mine.toml")
    try:
        # Some editors begin a file with a byte order mark.
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError and UnicodeDecodeError are ValueErrors, and so is a number of thousands of digits.
        raise UserError(str(path), "a TOML file", str(error), "correct that line") from None
    except OSError as error:
        raise UserError(str(path), "a readable file", str(error), "correct the path or its permissions") from None
    for reserved in ("name", "file"):
        if reserved in tables:
            raise _unknown_key(path, (reserved,), Config, tables[reserved])
    try:
        config = Config(name=path.stem, file=path, **tables)
    except ValidationError as error:
        raise _readable(path, error) from None
    return _with_absolute_paths(config)


def _find(name_or_path: str) -> Path:
    as_path = Path(name_or_path)
    if as_path.suffix == ".toml" or as_path.parent != Path():
        if as_path.is_file():
            return as_path.resolve()
        found = "a folder" if as_path.is_dir() else "no such file"
        raise UserError(name_or_path, "a config's TOML file", found, "correct the path")
    path = configs_folder() / f"{name_or_path}.toml"
    if path.is_file():
        return path.resolve()
    near = difflib.get_close_matches(name_or_path, config_names(), n=1)
    remedy = f"did you mean {near[0]}?" if near else "give the path of a TOML file, or one of those names"
    raise UserError(f"config {name_or_path!r}", f"one of {', '.join(config_names())}", "no such name", remedy)


def _with_absolute_paths(config: Config) -> Config:
    base = config.file.parent

    def resolved(table: Table, *names: str) -> dict[str, Path]:
        values = {name: getattr(table, name) for name in names}
        return {name: (base / value).resolve() for name, value in values.items() if value is not None}

    return config.model_copy(
        update={
            "model": config.model.model_copy(update=resolved(config.model, "checkpoint", "path")),
            "data": config.data.model_copy(update=resolved(config.data, "path")),
            "train": config.train.model_copy(update=resolved(config.train, "start", "teacher")),
            "folding": config.folding.model_copy(update=resolved(config.folding, "file")),
        }
    )


_WANTED = {
    "model_type": "a table",
    "path_type": "a path as text",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
}
"""What pydantic's kinds of error want, in words of TOML."""


def _readable(path: Path, error: ValidationError) -> UserError:
    errors = error.errors(include_url=False)
    # A misspelt key is also a missing one: the misspelling says more.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    location = tuple(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, location, Config, first["input"])
    place = f"{path.name}: {_dotted(location)}" if location else path.name
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return UserError(place, "this key", "nothing", "add it")
    if first["type"] == "value_error":
        return UserError(place, "keys that agree", message, "correct the table")
    expected = _WANTED.get(first["type"], message.removeprefix("Input should be "))
    return UserError(place, expected, repr(first["input"]), "correct the value")


def _unknown_key(path: Path, location: tuple[str, ...], root: type[BaseModel], value: Any) -> UserError:
    table: type[BaseModel] = root
    for part in location[:-1]:
        nested = _table_of(table, part)
        if nested is None:
            break
        table = nested
    known = sorted(set(table.model_fields) - {"name", "file"} if table is root else table.model_fields)
    near = difflib.get_close_matches(location[-1], known, n=1)
    remedy = f"did you mean {near[0]}?" if near else "remove it"
    kind = "table" if isinstance(value, dict) else "key"
    return UserError(f"{path.name}: {_dotted(location)}", f"one of {', '.join(known)}", f"an unknown {kind}", remedy)


def _table_of(table: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = table.model_fields.get(key)
    if field is None:
        return None
    candidates = getattr(field.annotation, "__args__", (field.annotation,))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _dotted(location: tuple[str, ...]) -> str:
    return f"[{location[0]}]" + (f" {'.'.join(location[1:])}" if len(location) > 1 else "")
