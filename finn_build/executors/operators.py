"""Which operators the batch executor knows, by the family of their domain."""

from collections.abc import Callable, Mapping

from finn_build.executors import ops_hardware, ops_linear, ops_pool, ops_quant, ops_shape, ops_threshold
from finn_build.executors.values import NodeView, Step

Builder = Callable[[NodeView], Step]

_ONNX: Mapping[str, Builder] = {
    "Add": ops_linear.add,
    "AveragePool": ops_pool.average_pool,
    "BatchNormalization": ops_linear.batch_normalization,
    "Cast": ops_shape.cast,
    "Concat": ops_shape.concat,
    "Constant": ops_shape.constant,
    "Conv": ops_linear.conv,
    "Div": ops_linear.div,
    "Dropout": ops_shape.identity,
    "Flatten": ops_shape.flatten,
    "Gather": ops_shape.gather,
    "Gemm": ops_linear.gemm,
    "GlobalAveragePool": ops_pool.global_average_pool,
    "Identity": ops_shape.identity,
    "MatMul": ops_linear.matmul,
    "MaxPool": ops_pool.max_pool,
    "Mul": ops_linear.mul,
    "Pad": ops_shape.pad,
    "ReduceMean": ops_pool.reduce_mean,
    "ReduceSum": ops_pool.reduce_sum,
    "Relu": ops_linear.relu,
    "Reshape": ops_shape.reshape,
    "Shape": ops_shape.shape,
    "Slice": ops_shape.slice_,
    "Squeeze": ops_shape.squeeze,
    "Sub": ops_linear.sub,
    "Transpose": ops_shape.transpose,
    "Unsqueeze": ops_shape.unsqueeze,
}

_QONNX: Mapping[str, Builder] = {
    "Im2Col": ops_pool.im2col,
    "IntQuant": ops_quant.quant,
    "MaxPoolNHWC": ops_pool.max_pool_nhwc,
    "MultiThreshold": ops_threshold.multi_threshold,
    "Quant": ops_quant.quant,
}

_HARDWARE: Mapping[str, Builder] = {
    "ConvolutionInputGenerator": ops_hardware.convolution_input_generator,
    "DuplicateStreams": ops_hardware.duplicate_streams,
    "ElementwiseAdd": ops_linear.add,
    "ElementwiseMul": ops_linear.mul,
    "ElementwiseSub": ops_linear.sub,
    "FMPadding": ops_hardware.fm_padding,
    "GlobalAccPool": ops_hardware.global_acc_pool,
    "MVAU": ops_hardware.mvau,
    "Pool": ops_hardware.pool,
    "Thresholding": ops_hardware.thresholding,
}

_FAMILIES: Mapping[str, Mapping[str, Builder]] = {
    "": _ONNX,
    "ai.onnx": _ONNX,
    "qonnx.custom_op.general": _QONNX,
    "finn.custom_op.general": _QONNX,
    "onnx.brevitas": _QONNX,
    "finn.custom_op.fpgadataflow": _HARDWARE,
}


def build_step(node: NodeView, domain: str) -> Step:
    """Prepares one node.

    Raises:
        UserError: if the operator, or this form of it, is not executed in batches.
    """
    builder = _FAMILIES.get(domain, {}).get(node.op)
    if builder is None:
        raise node.refuse("an operator that runs in batches", f"{domain or 'ai.onnx'}::{node.op}")
    return builder(node)
