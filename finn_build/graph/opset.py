"""Old FINN-ONNX files (opset 9, domain `finn.custom_op.general`) as today's operators."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.graph.wellformed import require_wellformed

OPSET = 13
"""What an old graph is raised to: the first version whose ReduceSum takes its axes as an input."""

SAME_SINCE_9 = frozenset(
    {"Add", "AveragePool", "BatchNormalization", "Concat", "Constant", "Conv", "Div", "Flatten", "Gather", "Gemm",
     "GlobalAveragePool", "GlobalMaxPool", "Identity", "MatMul", "MaxPool", "Mul", "Relu", "Reshape", "Shape", "Sub",
     "Transpose"}
)  # fmt: skip
"""Operators that mean the same, written the same way, in opset 9 and in 13."""

FOLDABLE = frozenset({"Squeeze", "Unsqueeze", "Pad", "ReduceMean", "Slice", "Dropout"})
"""Those whose attributes became inputs: gone before the version is raised, folded or in the head's normal form."""

OLD_DOMAINS = {"finn.custom_op.general": "qonnx.custom_op.general", "finn": "qonnx.custom_op.general"}


def read_network(path: Path) -> ModelWrapper:
    """Reads a QONNX or FINN-ONNX file; the old domain becomes today's.

    Raises:
        UserError: there is no such file, it is no ONNX file, it is truncated, or its graph does not hang together.
    """
    remedy = "give the path of a QONNX or FINN-ONNX file"
    try:
        proto = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise UserError(str(path), "a readable ONNX file", error.strerror or str(error), remedy) from None
    except (DecodeError, ValueError) as error:
        raise UserError(str(path), "an ONNX file", f"bytes that are none ({error})", remedy) from None
    if not proto.graph.node or not proto.graph.output:
        found = "no output" if proto.graph.node else "no nodes"
        raise UserError(str(path), "an ONNX file with a graph", found, remedy)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in proto.graph.initializer):
        raise UserError(str(path), "weights inside the file", "external data", "save it as one file")
    for node in proto.graph.node:
        node.domain = OLD_DOMAINS.get(node.domain, node.domain)
    require_wellformed(proto, str(path))
    with quiet():
        model = ModelWrapper(proto)
    for domain in [entry.domain for entry in proto.opset_import]:
        if domain in OLD_DOMAINS:
            _import(model, OLD_DOMAINS[domain], 1)
    del_old = [entry for entry in proto.opset_import if entry.domain in OLD_DOMAINS]
    for entry in del_old:
        model.model.opset_import.remove(entry)
    return model


def raise_opset(model: ModelWrapper) -> ModelWrapper:
    """Raises the version of the standard operators to 13 where it is older; every operator must mean the same in both.

    Raises:
        UserError: an operator changed in between and is still there.
    """
    versions = {entry.domain: entry.version for entry in model.model.opset_import}
    current = versions.get("", 0)
    if current >= OPSET:
        return model
    for node in model.graph.node:
        if node.domain == "" and (current < 9 or node.op_type not in SAME_SINCE_9):
            raise UserError(
                f"node {node.name or node.output[0]}",
                f"an operator of opset {OPSET} or later",
                f"{node.op_type} of opset {current}",
                f"export the network with opset {OPSET}",
            )
    _import(model, "", OPSET)
    return model


def _import(model: ModelWrapper, domain: str, version: int) -> None:
    for entry in model.model.opset_import:
        if entry.domain == domain:
            entry.version = max(entry.version, version)
            return
    model.model.opset_import.append(onnx.helper.make_opsetid(domain, version))
