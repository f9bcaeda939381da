"""The config tables that this package reads: what a network is, what it sees and how it is trained."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from models.augment import Augmentation


def _sayable(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("a path with a zero byte, which no file has")
    return path


def _printable(label: str) -> str:
    if not label.strip() or not label.isprintable():
        raise ValueError(f"{label!r}; a label is printable text")
    return label


LoosePath = Annotated[Path, Field(strict=False), AfterValidator(_sayable)]
"""A path written as a string in TOML, relative to the file it stands in."""

Label = Annotated[str, AfterValidator(_printable)]
"""A class's name as reports and pictures show it."""


class Table(BaseModel):
    """A table of the TOML file: unknown keys, silent type changes, nan and inf are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


MOST_BLOCKS, MOST_CHANNELS = 64, 4096
"""More than any published ResNet has: a slip of the keyboard would fill the memory, or build for hours."""


class Groups(Table):
    """Residual groups: entry i of each list describes group i.

    `weight_bit_widths` and `act_bit_widths` take the place of the network's one `weight_bit_width` and
    `act_bit_width` in the groups; the stem keeps the latter.
    """

    blocks: list[int] = Field(min_length=1)
    channels: list[int] = Field(min_length=1)
    strides: list[int] = Field(min_length=1)
    weight_bit_widths: list[Annotated[int, Field(ge=2, le=8)]] | None = None
    act_bit_widths: list[Annotated[int, Field(ge=2, le=8)]] | None = None

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Checkpoints and states of networks with one width throughout say nothing of it here.
        return {key: value for key, value in handler(self).items() if value is not None}

    @model_validator(mode="after")
    def _same_length(self) -> "Groups":
        if not len(self.blocks) == len(self.channels) == len(self.strides):
            raise ValueError("blocks, channels and strides need one entry a group each")
        for widths in (self.weight_bit_widths, self.act_bit_widths):
            if widths is not None and len(widths) != len(self.blocks):
                raise ValueError("bit widths need one entry a group")
        if min(self.blocks) < 1 or min(self.channels) < 1 or not set(self.strides) <= {1, 2}:
            raise ValueError("blocks and channels are at least 1, strides 1 or 2")
        if max(self.blocks) > MOST_BLOCKS or max(self.channels) > MOST_CHANNELS:
            raise ValueError(f"a group has at most {MOST_BLOCKS} blocks and {MOST_CHANNELS} channels")
        return self


class ModelSpec(Table):
    """`[model]`: the network, and where its weights come from.

    `source = "checkpoint"` builds a `QuantResNet` from the fields below and loads `checkpoint` (safetensors);
    `source = "onnx"` takes `path`, a QONNX or FINN-ONNX file, as it is. The stem has `groups.channels[0]` channels.

    `pooling = "max"` trains and localises in software alone: the CAM block computes averages, and export says so.
    """

    source: Literal["checkpoint", "onnx"] = "checkpoint"
    stem: Literal["cifar", "imagenet"] = "cifar"
    groups: Groups | None = None
    pooling: Literal["average", "max"] = "average"
    weight_bit_width: int = Field(default=5, ge=2, le=8)
    act_bit_width: int = Field(default=5, ge=2, le=8)
    first_bit_width: int = Field(default=5, ge=2, le=8)
    last_bit_width: int = Field(default=5, ge=2, le=8)
    checkpoint: LoosePath | None = None
    path: LoosePath | None = None
    url: str | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    licence: str | None = None

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Checkpoints and states of networks that average say nothing of it.
        return {key: value for key, value in handler(self).items() if (key, value) != ("pooling", "average")}

    @model_validator(mode="after")
    def _complete(self) -> "ModelSpec":
        if self.source == "checkpoint" and (self.groups is None or self.checkpoint is None):
            raise ValueError('source = "checkpoint" needs groups and checkpoint')
        if self.source == "onnx" and self.path is None:
            raise ValueError('source = "onnx" needs path')
        return self


class InputSpec(Table):
    """`[input]`: what the accelerator is fed, always raw UINT8 pixels.

    `mean`, `std`, `layout` and `channel_order` describe what a foreign network expects instead; they are folded into
    its first quantiser. Shipped networks expect pixel/255: mean 0 and std 1.
    """

    size: int = Field(ge=8, le=1024)
    mean: list[float] = Field(default=[0.0, 0.0, 0.0], min_length=3, max_length=3)
    std: list[Annotated[float, Field(gt=0)]] = Field(default=[1.0, 1.0, 1.0], min_length=3, max_length=3)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channel_order: Literal["RGB", "BGR"] = "RGB"

    @property
    def foreign(self) -> list[str]:
        """The keys that ask for something else than pixel/255, RGB, NCHW."""
        keys = ("mean", "std", "layout", "channel_order")
        return [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]


class DataSpec(Table):
    """`[data]`: the data set that the network is trained and evaluated on."""

    dataset: Literal["cifar10", "tiny-imagenet", "folder"]
    classes: int = Field(ge=2, le=1000)
    labels: list[Label] | None = None
    path: LoosePath | None = None

    @model_validator(mode="after")
    def _labelled(self) -> "DataSpec":
        if self.labels is not None and len(self.labels) != self.classes:
            raise ValueError(f"{len(self.labels)} labels for {self.classes} classes")
        return self


class TrainSpec(Table):
    """`[train]`: the recipe. The defaults are the reference's: quantisers on from the first step.

    With `float_epochs` the network is first trained with its quantisers off; `epochs` of quantisation-aware training
    follow. In the last `freeze_epochs` of these the batch statistics and the activation scales stand still.
    """

    start: LoosePath | None = None
    """A checkpoint to start from instead of random weights and a float phase: the same shape, any bit widths."""
    epochs: int = Field(default=200, ge=1)
    float_epochs: int = Field(default=0, ge=0)
    freeze_epochs: int = Field(default=0, ge=0)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=0.1, gt=0)
    float_learning_rate: float = Field(default=0.1, gt=0)
    scale_learning_rate: float = Field(default=0.01, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["cosine", "one-cycle"] = "cosine"
    warmup: float = Field(default=0.3, gt=0, lt=1)
    """The share of a one-cycle schedule in which the learning rate rises."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    distillation: float = Field(default=0.0, ge=0, le=1)
    """The share of the loss that compares with a teacher's answer: of `teacher`, else of the network after its float
    phase, or of `start` without quantisers; these two teach the quantised phase alone."""
    teacher: LoosePath | None = None
    """A checkpoint of any network for these classes and this image size, as a wider one; it teaches both phases."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Softens both answers of a distillation (Hinton et al., arXiv:1503.02531)."""
    recurrence: int = Field(default=0, ge=0)
    """After so many epochs the same changed images come again, in another order, so that `teacher` is asked once for
    each and its answers are kept; 0: new ones for ever."""
    augment: list[Augmentation] = ["crop", "flip"]
    mixup: float = Field(default=0.0, ge=0, le=4)
    """The beta distribution's parameter of mixup (Zhang et al., arXiv:1710.09412); 0 for none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    fuse: bool = False
    """Let torch.compile fuse the element-wise work once the quantisers are on: about twice as fast; needs g++, and one
    process alone."""
    held_out: int = Field(default=0, ge=0)
    """Training images kept apart to choose by; the test set is only reported on."""
    seed: int = Field(default=0, ge=0)

    @field_serializer("start", "teacher")
    def _named(self, checkpoint: Path | None) -> str | None:
        # A recipe is kept in checkpoints and cards, which name no folder of a machine.
        return checkpoint.name if checkpoint is not None else None

    @model_validator(mode="after")
    def _ordered(self) -> "TrainSpec":
        if self.freeze_epochs > self.epochs:
            raise ValueError("freeze_epochs is at most epochs")
        if self.start is not None and self.float_epochs > 0:
            raise ValueError("start takes the place of the float phase: float_epochs has to be 0")
        if self.distillation > 0 and self.float_epochs == 0 and self.start is None and self.teacher is None:
            raise ValueError("distillation needs teacher, float_epochs or start")
        if self.teacher is not None and self.distillation == 0:
            raise ValueError("teacher needs distillation above 0")
        if self.recurrence and (self.teacher is None or self.mixup):
            raise ValueError("recurrence is for a teacher, without mixup")
        return self
