"""Stages `tidy`, `streamline` and `lower`: from float with scales to the golden integer graph, channels last."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finn_build.config import LEAST_MAP, CamSettings, small_map
from finn_build.errors import UserError
from finn_build.report.schema import Check, check
from finn_build.stages.executed import verify_layers
from finn_build.stages.files import GOLDEN, GRAPH, HEAD
from finn_build.stages.result import Progress, StageResult, required
from models.spec import DataSpec, InputSpec, ModelSpec

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_build.executors.base import Executor
    from finn_build.head import Head


def tidy_graph(qonnx: Path, input_spec: InputSpec, out: Path, progress: Progress) -> StageResult:
    """Raw UINT8 input, constants folded; equal to the QONNX graph where both are computed in float64.

    Raises:
        UserError: the network has no quantised input, or an operator, weight or head that FINN or the CAM do not take.
        CheckFailed: an output differs.
    """
    from finn_build.executors.batch import BatchExecutor
    from finn_build.graph.frontend import Preprocessing
    from finn_build.graph.opset import read_network
    from finn_build.graph.tap import head_of_graph
    from finn_build.graph.tidy import tidy
    from finn_build.graph.wellformed import require_layers
    from finn_build.samples import golden_images
    from finn_build.stages.inputs import input_format, save_graph, tap_of
    from finn_build.verify.compare import require_equal

    network = read_network(qonnx)
    preprocessing = Preprocessing(input_spec.mean, input_spec.std, input_spec.layout, input_spec.channel_order)
    tidied, report = tidy(network, input_spec.size, preprocessing)
    require_layers(tidied)
    head = head_of_graph(tidied)
    if min(head.tap_shape[1:3]) < LEAST_MAP:
        got = small_map(input_spec.size, head.tap_shape[1], head.tap_shape[2])
        raise UserError("network", "keys that agree", got, "correct the table, or take another network")
    progress(0.3)
    images = golden_images(input_spec.size)
    before = _codes(network, tap_of(network), head, BatchExecutor, input_format(input_spec)).run(images)
    progress(0.6)
    after = _codes(tidied, tap_of(tidied), head, BatchExecutor).run(images)
    rows = require_equal("tidy", before, after)
    save_graph(tidied, out / GRAPH)
    return StageResult(verification=tuple(rows), checks=(check("nodes left to compile", report.nodes_after, ">=", 1),))


def streamline_graph(
    tidy: Path,
    model: ModelSpec,
    data: DataSpec,
    cam: CamSettings,
    input_spec: InputSpec,
    output: int,
    trained: bool,
    out: Path,
    progress: Progress,
    exported_head: Path | None = None,
) -> StageResult:
    """Makes the golden integer graph, the head and the golden set.

    The tidy graph is computed in float64, so that a float32 near-tie cannot pass for a mismatch; the integer graph by
    QONNX's own node-by-node executor and by the batch executor. All three agree on every value.

    Raises:
        UserError: the network has another number of classes, the branches of an add differ in scale, or a tensor stays
            in floating point.
        CheckFailed: an output differs, or the head is not the one that was exported.
    """
    from finn_build.executors.batch import BatchExecutor
    from finn_build.executors.nodes import NodeExecutor
    from finn_build.graph.streamline import streamline
    from finn_build.graph.tap import head_of_graph
    from finn_build.head import write_arrays, write_head
    from finn_build.samples import golden_images
    from finn_build.stages.inputs import load_graph, save_graph, tap_of
    from finn_build.verify.compare import require_equal
    from finn_build.verify.golden import make_golden
    from finn_build.verify.layers import dead_layers, layer_outputs
    from finn_build.verify.sweeps import require_equal_thresholds

    tidied = load_graph(tidy)
    found = head_of_graph(tidied, _labels(data, exported_head))
    if len(found.fc_weight) != data.classes:
        remedy = "correct [data] classes, or take another network"
        raise UserError("[data] classes", f"{len(found.fc_weight)} as the network has", str(data.classes), remedy)
    integer, report = streamline(tidied)
    save_graph(integer, out / GRAPH)
    progress(0.2)
    images = golden_images(input_spec.size)
    reference = _codes(tidied, tap_of(tidied), found, BatchExecutor).run(images)
    outputs = integer_outputs("NCHW")
    judged = NodeExecutor(integer, outputs, stage="streamline").run(images)
    rows = require_equal("streamline", reference, judged)
    progress(0.7)
    computed = BatchExecutor(integer, {**outputs, **layer_outputs(integer)}).run(images)
    batch = {name: computed[name] for name in outputs}
    require_equal("streamline", judged, batch, remedy="the batch executor computes something else")
    rows += require_equal_thresholds("streamline", integer, integer)
    spec = found.cam_spec(output, cam.sampling)
    write_arrays(out / GOLDEN, make_golden(images, batch, spec, found.fc_weight, found.bias))
    write_head(out / HEAD, found)
    dead = dead_layers(integer, computed)
    told = f"{', '.join(dead)}; a scale may be too large: train again, or correct the file" if dead else ""
    checks = [
        check("layers that answer the same to every image", len(dead), "==", 0, unit="layers", detail=told),
        *(Check(name=f"branches of {add.add}", measured=_branches(add), passed=True) for add in report.adds),
        check("bias rounded by", round(report.bias_error, 6), "<=", 0.5, unit="steps of the logit"),
    ]
    if exported_head is not None:
        checks.append(required("streamline", _same_head(exported_head, found), "the passes changed the classifier"))
    return StageResult(
        checks=tuple(checks),
        verification=tuple(rows),
        facts={"network": _network(integer, model, input_spec, trained)},
    )


def lower_graph(integer: Path, golden: Path, out: Path, progress: Progress) -> StageResult:
    """Convolutions become sliding windows and matrix products, channels last.

    Raises:
        UserError: an operator has no such form.
        CheckFailed: an output, a layer or a threshold differs.
    """
    from finn_build.graph.lower import lower
    from finn_build.head import read_arrays
    from finn_build.stages.inputs import load_graph, save_graph

    lowered = lower(load_graph(integer))
    progress(0.2)
    rows = verify_layers("lower", lowered, integer_outputs("NHWC"), read_arrays(golden), integer)
    save_graph(lowered, out / GRAPH)
    compared = f"of {sum(row.values for row in rows):,}"
    differing = check("values that differ", sum(row.mismatches for row in rows), "==", 0, detail=compared)
    return StageResult(checks=(differing,), verification=tuple(rows))


def integer_outputs(layout: Any) -> dict[str, Any]:
    """Tap and logits of an integer graph, as executors give them out."""
    from finn_build.executors.base import Output

    return {"tap": Output("tap", layout), "logits": Output("logits")}


def _codes(model: "ModelWrapper", tap: str, head: "Head", executor: Any, format_: Any = None) -> "Executor":
    """A graph with scales as an executor of the integers that they multiply, computed in float64."""
    from finn_build.executors.base import RAW, Output
    from finn_build.executors.codes import CodeExecutor

    outputs = {"tap": Output(tap, "NCHW"), "logits": Output(model.graph.output[0].name)}
    runs = executor(model, outputs, precision="float64", input_format=format_ or RAW)
    return CodeExecutor(runs, {"tap": head.tap_scale, "logits": head.logit_scale})


def _same_head(exported: Path, found: "Head") -> Check:
    """The head that the graph holds is the one that was exported, integers and scales."""
    from finn_build.head import read_head

    written = read_head(exported)
    pairs: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
        name: (np.asarray(getattr(written, name)), np.asarray(getattr(found, name)))
        for name in ("fc_weight", "bias", "tap_shape", "tap_bits")
    }
    differing = {
        name: int(np.count_nonzero(a != b)) if a.shape == b.shape else max(a.size, b.size)
        for name, (a, b) in pairs.items()
    }
    for name in ("weight_scale", "tap_scale"):
        # The exported scales are float32 numbers read by two ways of dividing; a wrong one differs by far more.
        differing[name] = int(not np.isclose(getattr(written, name), getattr(found, name), rtol=1e-6, atol=0.0))
    told = ", ".join(name for name, count in differing.items() if count)
    return check("head's values unlike the exported", sum(differing.values()), "==", 0, detail=told)


def _network(integer: "ModelWrapper", model: ModelSpec, input_spec: InputSpec, trained: bool) -> dict[str, Any]:
    """What the report says of the network, counted in the integer graph."""
    weights = macs = 0
    for node in integer.graph.node:
        if node.op_type not in ("Conv", "MatMul"):
            continue
        shape = integer.get_tensor_shape(node.input[1])
        count = int(np.prod(shape))
        weights += count
        places = integer.get_tensor_shape(node.output[0])[2:] if node.op_type == "Conv" else []
        macs += count * int(np.prod(places, dtype=np.int64))
    facts: dict[str, Any] = {
        "input": [input_spec.size, input_spec.size],
        "weights": weights,
        "macs": macs,
        "trained": trained,
        "source": model.source,
        "licence": model.licence or "",
    }
    if model.source == "checkpoint":
        facts |= {
            "weight_bits": model.weight_bit_width,
            "act_bits": model.act_bit_width,
            "first_bits": model.first_bit_width,
            "last_bits": model.last_bit_width,
        }
    return facts


def _labels(data: DataSpec, exported_head: Path | None) -> Sequence[str]:
    """The classes' names: the config's, or those that the network was trained with."""
    from finn_build.head import read_head

    if data.labels is None and exported_head is not None:
        return read_head(exported_head).labels
    return data.labels or [str(index) for index in range(data.classes)]


def _branches(add: Any) -> str:
    return " and ".join(f"{branch.datatype} at scale {branch.scale}" for branch in add.branches)
