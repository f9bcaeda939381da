"""Stage `export`: the network as QONNX with its head, and how far QONNX is from Brevitas."""

import shutil
from pathlib import Path

from finn_build.report.schema import Check
from finn_build.stages.files import GRAPH
from finn_build.stages.result import Progress, StageResult
from models.spec import DataSpec, InputSpec, ModelSpec


def export_network(
    weights: Path, model: ModelSpec, input_spec: InputSpec, data: DataSpec, out: Path, progress: Progress
) -> StageResult:
    """Writes `model.onnx` and `head.npz`, and compares QONNX with Brevitas on the golden images, layer by layer.

    Raises:
        ModelError: a condition of the CAM head, or of a residual add, is not met.
        CheckFailed: QONNX and Brevitas differ in more than the few values that float rounding explains.
    """
    from finn_build.samples import golden_images
    from finn_build.verify.layers import fidelity
    from models.checkpoint import load_checkpoint
    from models.export import export_qonnx

    network, facts = load_checkpoint(weights, model, data.classes)
    progress(0.1)
    written = export_qonnx(network, input_spec.size, data.labels or facts.labels, out)
    progress(0.5)
    rows, close, layers = fidelity(network, written.model, golden_images(input_spec.size), progress)
    conditions = [Check(name=c.name, measured=c.measured, limit=c.limit, passed=c.passed) for c in written.checks]
    return StageResult(
        checks=(*conditions, *close),
        verification=tuple(rows),
        facts={"layers": [layer.model_dump() for layer in layers]},
    )


def adopt_onnx(onnx: Path, out: Path, progress: Progress) -> StageResult:
    """Takes a network from elsewhere as it is; what it is not fit for, the passes will say.

    Raises:
        UserError: it is no ONNX file, or a truncated one.
    """
    from finn_build.graph.opset import read_network

    read_network(onnx)
    progress(0.5)
    shutil.copyfile(onnx, out / GRAPH)
    return StageResult()
