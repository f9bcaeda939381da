"""The tidy graph: what was exported, in the one form that the later passes know.

Its input is raw UINT8 pixels (NCHW), its weights are integers with their scales behind the layer, its pooling is a
GlobalAveragePool. Activations are still quantised by Quant or MultiThreshold nodes on floating-point tensors.
"""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.extract_conv_bias import ExtractBiasFromConv
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit

from finn_build.adapter import apply_passes, quiet
from finn_build.errors import UserError
from finn_build.graph.cleanup import clean, rename
from finn_build.graph.frontend import InputReport, Preprocessing, raw_pixel_input
from finn_build.graph.opset import raise_opset
from finn_build.graph.output import LOGITS
from finn_build.graph.pooling import normalise_pooling
from finn_build.graph.quantiser import quant_parameters
from finn_build.graph.walk import computed_inputs, consumers, label
from finn_build.graph.wellformed import require_shapes


@dataclass(frozen=True)
class TidyReport:
    """What tidying did: how the input became UINT8, and the number of nodes before and after."""

    input: InputReport
    nodes_before: int
    nodes_after: int


def tidy(model: ModelWrapper, size: int, preprocessing: Preprocessing) -> tuple[ModelWrapper, TidyReport]:
    """Brings an exported network into the tidy form.

    Args:
        model: as `read_network` gives it.
        size: image height and width in pixels.
        preprocessing: what the network expects instead of pixels.

    Returns:
        The tidy graph: input `image`, UINT8 values, NCHW [1, 3, size, size]; output as exported, in float.

    Raises:
        UserError: the image has no quantiser, a weight's quantiser is none that FINN takes, or an operator is too old.
    """
    from finn.transformation.qonnx.convert_qonnx_to_finn import InferMissingConvKernelShape, InferMissingGemmBias
    from finn.transformation.qonnx.fold_quant_weights import FoldQuantWeights

    before = len(model.graph.node)
    model = clean(fold_quantised_biases(for_one_image(model)))
    if len(model.graph.output) != 1:
        names = ", ".join(value.name for value in model.graph.output)
        raise UserError("network", "one output, the logits", names, "export the network with its logits only")
    require_shapes(model)
    model, report = raw_pixel_input(model, size, preprocessing)
    model = raise_opset(clean(normalise_pooling(model)))
    _check_weights(model)
    model = apply_passes(
        model,
        [
            InferMissingConvKernelShape(),
            ExtractBiasFromConv(),
            InferMissingGemmBias(),
            GemmToMatMul(),
            FoldTransposeIntoQuantInit(),
            InferDataTypes(),
            FoldQuantWeights(),
        ],
    )
    model = clean(model)
    model = rename(model)
    model.rename_tensor(model.graph.output[0].name, LOGITS)
    return model, TidyReport(report, before, len(model.graph.node))


def for_one_image(model: ModelWrapper) -> ModelWrapper:
    """Fixes a batch size that was left open to 1; shapes that were inferred without it are forgotten."""
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    opened = False
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].dim_value:
            dims[0].dim_value = 1
            opened = True
    if opened:
        del model.graph.value_info[:]
    return model


def fold_quantised_biases(model: ModelWrapper) -> ModelWrapper:
    """Replaces the quantiser of a constant that is added by the values that it gives.

    A bias keeps its real value until the scale of its accumulator is known; in integer logits, or in a threshold, it
    becomes an integer again. FINN's FoldQuantWeights would scale the whole branch instead.
    """
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
        for node in list(model.graph.node):
            readers = consumers(model, node.output[0])
            if node.op_type not in ("Quant", "IntQuant") or computed_inputs(model, node) or not readers:
                continue
            if all(_adds(reader, node.output[0]) for reader in readers):
                context = {name: model.get_initializer(name) for name in node.input}
                getCustomOp(node).execute_node(context, model.graph)
                model.set_initializer(node.output[0], np.asarray(context[node.output[0]], np.float32))
                model.graph.node.remove(node)
    return model


def _adds(node: NodeProto, tensor: str) -> bool:
    if node.op_type in ("Conv", "Gemm"):
        return len(node.input) > 2 and node.input[2] == tensor
    return node.op_type in ("Add", "Sub")


def _check_weights(model: ModelWrapper) -> None:
    for node in model.graph.node:
        if node.op_type in ("Quant", "IntQuant") and not computed_inputs(model, node):
            quant_parameters(model, node)
        elif node.op_type == "BipolarQuant":
            raise UserError(label(node), "2 to 8 bits", "1 bit", "quantise to at least 2 bits")
