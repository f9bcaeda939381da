"""Layer by layer: how far quantisation moves a network from float, and that integer stages agree on every layer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from finn_build.adapter import quiet
from finn_build.executors.base import LOGITS, TAP, UNIT, Array, Images, Output
from finn_build.executors.brevitas import BrevitasExecutor, code_steps
from finn_build.executors.nodes import NodeExecutor
from finn_build.report.schema import Check, LayerFidelity, Verification, VerifiedStage
from finn_build.verify.compare import Arrays, require_equal
from finn_build.verify.rounding import require_close
from finn_build.verify.structure import layers_of, matching_layers
from models.network import Arithmetic, QuantResNet


def fidelity(
    network: QuantResNet, exported: Path, images: Images, progress: Callable[[float], None]
) -> tuple[list[Verification], list[Check], list[LayerFidelity]]:
    """Compares QONNX, computed by ONNX Runtime and QONNX, with Brevitas, and both with float.

    Args:
        network: what was exported.
        exported: the QONNX file, whose activations bear the names that the network gives them.
        images: uint8 NHWC.
        progress: told the fraction that is done.

    Returns:
        the rows and checks of stage `qonnx`, and the mean square errors of each layer against float, in the order of
        `layers_of`, the logits last.

    Raises:
        CheckFailed: QONNX and Brevitas differ by more than near-ties.
    """
    steps = code_steps(network)
    tap = list(steps)[-1]
    exact = BrevitasExecutor(network).run_all(images)
    unquantised = BrevitasExecutor(network, Arithmetic.FLOAT).run_all(images)
    progress(0.6)
    with quiet():
        model = ModelWrapper(str(exported)).transform(InferShapes())
    outputs = {name: Output(name, "NCHW") for name in steps} | {LOGITS: Output(LOGITS)}
    executor = NodeExecutor(model, dict(outputs), UNIT, stage="qonnx")
    free = executor.run(images)
    progress(0.8)
    reference = {name: values for name, values in exact.items() if name != TAP}
    forced = executor.run_forced(images, outputs, {name: reference[name] for name in steps})
    rows, checks = require_close(reference, forced, {name: free[name] for name in (tap, LOGITS)}, steps, tap, LOGITS)
    names = [layer.tensor for layer in layers_of(model)]
    table = [
        LayerFidelity(name=name, mse_brevitas=_mse(exact, unquantised, name), mse_qonnx=_mse(free, unquantised, name))
        for name in [*names, LOGITS]
    ]
    return rows, checks, table


def layer_outputs(model: ModelWrapper) -> dict[str, Output]:
    """Every layer of a graph as outputs for an executor, NHWC, named `layer 0`, `layer 1`, … in `layers_of`'s order."""
    return {f"layer {index}": layer.output for index, layer in enumerate(layers_of(model))}


def require_equal_layers(
    stage: VerifiedStage, reference: ModelWrapper, values: Arrays, model: ModelWrapper, found: Arrays
) -> list[Verification]:
    """Compares every layer of two integer graphs.

    Args:
        stage: the stage that made `model`.
        reference: the streamlined integer graph.
        values: its layers' values, as an executor gives them for `layer_outputs(reference)`.
        model: the later stage's graph.
        found: its layers' values, for `layer_outputs(model)`.

    Returns:
        one row a layer, under its name in the reference.

    Raises:
        CheckFailed: the layers do not match in number or place, or a value differs.
    """
    pairs = matching_layers(stage, layers_of(reference), layers_of(model))
    names = {f"layer {index}": f"layer {index} ({ours.name})" for index, (ours, _) in enumerate(pairs)}
    ours = {label: values[name] for name, label in names.items()}
    theirs = {label: found[name] for name, label in names.items()}
    return require_equal(stage, ours, theirs)


def dead_layers(model: ModelWrapper, values: Arrays) -> list[str]:
    """Layers that answer the same to every image and at every place: a scale so large that all codes are 0, say.

    Args:
        model: an integer graph.
        values: its layers' values on the golden images, as an executor gives them for `layer_outputs(model)`.
    """
    names = zip(layers_of(model), layer_outputs(model), strict=True)
    return [layer.name for layer, name in names if (values[name] == values[name][:1, :1, :1]).all()]


def _mse(values: dict[str, Array], reference: dict[str, Array], name: str) -> float:
    apart = np.asarray(values[name], np.float64) - np.asarray(reference[name], np.float64)
    return float(np.mean(apart * apart))
