"""The tidy graph: what was exported, in the one form that the later passes know.

Its input is raw UINT8 pixels (NCHW), its weights are integers with their scales behind the layer, its pooling is a
GlobalAveragePool. Activations are still quantised by Quant or MultiThreshold nodes on floating-point tensors.
"""

from dataclasses import dataclass

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.extract_conv_bias import ExtractBiasFromConv
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit

from finn_build.adapter import apply_passes
from finn_build.errors import UserError
from finn_build.graph.cleanup import clean, rename
from finn_build.graph.frontend import InputReport, Preprocessing, raw_pixel_input
from finn_build.graph.opset import raise_opset
from finn_build.graph.output import LOGITS
from finn_build.graph.pooling import normalise_pooling
from finn_build.graph.quantiser import quant_parameters
from finn_build.graph.walk import computed_inputs, label


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
    model = clean(model)
    if len(model.graph.output) != 1:
        names = ", ".join(value.name for value in model.graph.output)
        raise UserError("network", "one output, the logits", names, "export the network with its logits only")
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


def _check_weights(model: ModelWrapper) -> None:
    for node in model.graph.node:
        if node.op_type in ("Quant", "IntQuant") and not computed_inputs(model, node):
            quant_parameters(model, node)
        elif node.op_type == "BipolarQuant":
            raise UserError(label(node), "2 to 8 bits", "1 bit", "quantise to at least 2 bits")
