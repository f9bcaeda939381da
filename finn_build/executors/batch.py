"""The batch executor: a graph of any stage, prepared once, run on batches with PyTorch.

With precision `exact` each node's range is bounded from its real weights, its thresholds and the pixels' range, and it
is computed in the narrower floating type in which that is exact; a node that cannot be proven exact is refused.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from qonnx.core.modelwrapper import ModelWrapper
from torch import Tensor

from finn_build.errors import UserError
from finn_build.executors.base import (
    RAW,
    Array,
    Images,
    InputFormat,
    Output,
    as_outputs,
    check_images,
    give_out,
    input_layout,
)
from finn_build.executors.operators import build_step
from finn_build.executors.ops_shape import as_tensor
from finn_build.executors.values import UNKNOWN, Kernel, NodeView, Precision, Range, Value

PIXELS = Range(0.0, 255.0, True)

CHUNK_PIXELS = 8 * 32 * 32
"""Images go through the graph in chunks of about this many pixels, so that a layer's tensors stay in the cache."""


@dataclass(frozen=True)
class _Call:
    """A prepared node: `outputs` = kernel(`inputs`); a name None stands for an absent input."""

    kernel: Kernel
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    done_with: tuple[str, ...]


class BatchExecutor:
    """Runs a graph on batches.

    Args:
        model: the graph: a file, a protobuf or a QONNX wrapper. It is exported for one image and not changed.
        outputs: names by which tensors are given out; by default the graph's outputs.
        precision: `exact` for integer graphs, `float64` or `float32` for graphs with scales.
        input_format: what the graph is fed; raw pixels by default.

    Raises:
        UserError: naming the node that cannot be run in batches, or not exactly.
    """

    def __init__(
        self,
        model: ModelWrapper | onnx.ModelProto | Path,
        outputs: dict[str, Output | str] | None = None,
        precision: Precision = "exact",
        input_format: InputFormat = RAW,
    ) -> None:
        proto = _load(model)
        graph = proto.graph
        self._format = input_format
        self._precision: Precision = precision
        self._float = np.float32 if precision == "float32" else np.float64
        self.outputs = as_outputs(outputs, [o.name for o in graph.output])
        initialisers = {i.name: as_tensor(onnx.numpy_helper.to_array(i)) for i in graph.initializer}
        inputs = [i for i in graph.input if i.name not in initialisers]
        if len(inputs) != 1:
            raise UserError("graph", "one input", f"{len(inputs)}", "give a graph whose only input is the picture")
        shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
        self._input, self.layout = inputs[0].name, input_layout(shape)
        self.size = (shape[1], shape[2]) if self.layout == "NHWC" else (shape[2], shape[3])
        self._constants: dict[str, Tensor] = {}
        self.ranges: dict[str, Range] = {}
        with _plain_arithmetic(), _threads(1):
            self._calls = self._prepare(proto, initialisers)
        self._variable = [self._input, *(name for call in self._calls for name in call.outputs)]
        missing = [o.tensor for o in self.outputs.values() if o.tensor not in self.ranges]
        if missing:
            raise UserError("graph", f"a tensor {missing[0]}", "none of that name", "name a tensor of the graph")

    def run(self, images: Images) -> dict[str, Array]:
        """Computes the named outputs: integers (int32, or int64 where wider) if exact, else floats.

        Args:
            images: uint8, NHWC [N, H, W, 3], RGB.

        Returns:
            one array a name, batch first, `Output`s marked NCHW turned to NHWC.
        """
        tensors = self._run(images, [o.tensor for o in self.outputs.values()])
        return {name: give_out(tensors[o.tensor], o) for name, o in self.outputs.items()}

    def run_all(self, images: Images) -> dict[str, Array]:
        """Computes every tensor that depends on the image, input and outputs included, each as it lies in the graph."""
        return self._run(images, self._variable)

    def _run(self, images: Images, wanted: list[str]) -> dict[str, Array]:
        check_images(images, self.size)
        most = max(1, CHUNK_PIXELS // (self.size[0] * self.size[1]))
        length = min(most, -(-len(images) // torch.get_num_threads()))
        chunks = [images[start : start + length] for start in range(0, len(images), length)]
        with _plain_arithmetic():
            parts = _map(lambda chunk: self._arrays(chunk, wanted), chunks)
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def _arrays(self, images: Images, wanted: list[str]) -> dict[str, Array]:
        with torch.inference_mode():
            tensors = self._chunk(images, set(wanted))
            return {name: self._array(name, tensors[name], len(images)) for name in wanted}

    def _chunk(self, images: Images, wanted: set[str]) -> dict[str, Tensor]:
        tensors: dict[str | None, Tensor | None] = {None: None}
        tensors.update(self._constants)
        tensors[self._input] = self._as_input(images)
        for call in self._calls:
            result = call.kernel(*[tensors[name] for name in call.inputs])
            for name in call.outputs:
                tensors[name] = result
            for name in call.done_with:
                if name not in wanted:
                    tensors[name] = None
        return {name: found for name in wanted if (found := tensors[name]) is not None}

    def _as_input(self, images: Images) -> Tensor:
        # Channels stay innermost in memory whatever the graph's layout: that is how PyTorch convolves fastest.
        dtype = np.float32 if self._precision == "exact" else self._float
        values = torch.from_numpy(self._format.prepare(images, "NHWC", dtype))
        return values if self.layout == "NHWC" else values.permute(0, 3, 1, 2)

    def _array(self, name: str, tensor: Tensor, batch: int) -> Array:
        if tensor.shape[:1] != (batch,):
            # A constant that the graph gives out is the same for every image.
            tensor = tensor.expand(batch, *tensor.shape[1:]) if tensor.dim() else tensor.expand(batch)
        if self._precision == "exact" and self.ranges[name].integer:
            narrow = self.ranges[name].magnitude < 1 << 31
            tensor = tensor.to(torch.int32 if narrow else torch.int64)
        return tensor.numpy()

    def _prepare(self, proto: onnx.ModelProto, initialisers: dict[str, Tensor]) -> list[_Call]:
        """Prepares every node in order, running it on one image to learn its output's shape."""
        pixels = PIXELS if self._format.raw else UNKNOWN
        sample = self._as_input(np.zeros((1, *self.size, 3), dtype=np.uint8))
        values = {name: Value(name, t, Range.of(t), constant=True) for name, t in initialisers.items()}
        values[self._input] = Value(self._input, sample, pixels)
        opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
        calls: list[_Call] = []
        for node in proto.graph.node:
            inputs = [self._known(values, node, name) if name else None for name in node.input]
            view = NodeView(
                node.name or node.output[0],
                node.op_type,
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
                inputs,
                opset,
                self._precision,
                tuple(node.output),
            )
            try:
                step = build_step(view, node.domain)
                found = step.kernel(*[v.sample if v is not None else None for v in inputs])
            except (RuntimeError, IndexError, TypeError) as error:
                # What PyTorch says of shapes that do not fit.
                raise view.refuse("inputs and attributes that fit together", str(error).splitlines()[0]) from error
            constant = step.folded or all(v is None or v.constant for v in inputs)
            if not constant and found.shape[:1] != (1,):
                raise view.refuse("an output with the batch dimension first", f"shape {list(found.shape)}")
            for name in node.output:
                values[name] = Value(name, found, Range.of(found) if constant else step.range, constant)
            if not constant:
                names = tuple(name or None for name in node.input)
                calls.append(_Call(step.kernel, names, tuple(node.output), ()))
        self.ranges = {name: v.range for name, v in values.items()}
        used = {name for call in calls for name in call.inputs} | {o.tensor for o in self.outputs.values()}
        self._constants = {name: v.sample for name, v in values.items() if v.constant and name in used}
        return _release_early(calls, set(self._constants))

    @staticmethod
    def _known(values: dict[str, Value], node: onnx.NodeProto, name: str) -> Value:
        if name not in values:
            place = f"node {node.name or node.output[0]} ({node.op_type})"
            raise UserError(place, f"its input {name} computed before it", "nothing", "sort the graph topologically")
        return values[name]


def _release_early(calls: list[_Call], constants: set[str]) -> list[_Call]:
    """Notes with each call which tensors nobody reads after it, so that a chunk's memory is reused."""
    seen: set[str] = set(constants)
    released: list[_Call] = []
    for call in reversed(calls):
        last = tuple({name for name in call.inputs if name is not None and name not in seen})
        seen.update(last)
        released.append(_Call(call.kernel, call.inputs, call.outputs, last))
    return released[::-1]


def _load(model: ModelWrapper | onnx.ModelProto | Path) -> onnx.ModelProto:
    if isinstance(model, Path):
        return onnx.load(model)
    return model.model if isinstance(model, ModelWrapper) else model


def _map(work: Callable[[Images], dict[str, Array]], chunks: list[Images]) -> list[dict[str, Array]]:
    """Works on every chunk, as many at a time as PyTorch has threads.

    A thread a chunk serves better than all threads on one: threads that share an operator this small wait for one
    another much of the time, and on a busy machine nearly all of it (measured: a tenth of a single thread's speed).
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(chunks) == 1:
        return [work(chunk) for chunk in chunks]
    with _threads(threads), ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:
        return list(pool.map(work, chunks))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Lets PyTorch use so many threads within the block, and restores what a thread within it may have set."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _plain_arithmetic() -> Iterator[None]:
    """Keeps PyTorch from trading exactness for speed: no bfloat16 products, no Winograd convolutions, no gradients."""
    # Typed as Any: PyTorch declares these settings only at run time.
    mkldnn: Any = torch.backends.mkldnn
    before = mkldnn.matmul.fp32_precision, mkldnn.conv.fp32_precision
    mkldnn.matmul.fp32_precision = mkldnn.conv.fp32_precision = "ieee"
    try:
        with torch.inference_mode(), torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        mkldnn.matmul.fp32_precision, mkldnn.conv.fp32_precision = before
