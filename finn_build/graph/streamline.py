"""The streamlined integer graph: every tensor and every constant an integer, no scale left inside.

Order of the passes as measured (each is exact): quantisers become thresholds; until nothing changes, scales and biases
move down through linear operators and are absorbed by the next thresholds; both branches' scales are checked, then
moved behind the residual adds; what remains behind the classifier is taken off and returned as numbers.
"""

from dataclasses import dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.batchnorm_to_affine import BatchNormToAffine
from qonnx.transformation.general import ConvertDivToMul, ConvertSubToAdd, SortGraph

from finn_build.adapter import apply_pass, apply_passes, until_unchanged
from finn_build.graph.activations import quantisers_to_thresholds
from finn_build.graph.cleanup import RemoveIdentities, clean, rename
from finn_build.graph.integer import annotate_ranges, assert_integer, assert_integer_constants, to_single_precision
from finn_build.graph.output import LOGITS, TAP, strip_output_scale
from finn_build.graph.scales import AddScales, check_branch_scales
from finn_build.graph.walk import Array

MOST_ROUNDS = 12
"""Three rounds suffice for every network of this project; more mean that two passes undo each other."""


@dataclass(frozen=True)
class StreamlineReport:
    """What streamlining found and took off.

    Attributes:
        adds: every residual add and the scales of its branches.
        rounds: rounds until nothing changed.
        tap: name of the last feature map's tensor, NCHW [1, C, h, w], unsigned integers.
        positions: number h · w of its positions.
        logit_scale: float64; logit = logit_scale · integer logit. It holds the pooling's 1 / positions.
        bias: int64 [classes], added to the integer logits; zeros without a bias.
        bias_error: largest difference, in integer logits, between the bias and its rounded value.
    """

    adds: list[AddScales]
    rounds: int
    tap: str
    positions: int
    logit_scale: float
    bias: Array
    bias_error: float


def streamline(model: ModelWrapper) -> tuple[ModelWrapper, StreamlineReport]:
    """Makes the tidy graph an integer graph.

    Args:
        model: tidy.

    Returns:
        The integer graph: standard operators and MultiThreshold; input `image` UINT8 NCHW [1, 3, S, S]; outputs `tap`
        (UINTb, NCHW [1, C, h, w]) and `logits` (INT, [1, classes]); pooling is a ReduceSum.

    Raises:
        UserError: the branches of an add have different scales, the head is none that integers can express, or a
            tensor stays in floating point; each names its node.
    """
    model = quantisers_to_thresholds(model)
    adds = check_branch_scales(model)
    model, rounds = until_unchanged(model, _round, MOST_ROUNDS, "streamlining")
    model = apply_pass(model, SortGraph())
    model, head = strip_output_scale(model)
    model = clean(to_single_precision(model))
    model = rename(model, keep=(TAP, LOGITS))
    assert_integer_constants(model)
    model = annotate_ranges(model)
    assert_integer(model)
    report = StreamlineReport(
        adds, rounds, TAP, head.positions, head.logit_scale, np.asarray(head.bias, np.int64), head.bias_error
    )
    return model, report


def _round(model: ModelWrapper) -> ModelWrapper:
    from finn.transformation.streamline import absorb, collapse_repeated, reorder
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds

    model = apply_passes(
        model,
        [
            SortGraph(),
            ConvertSubToAdd(),
            ConvertDivToMul(),
            BatchNormToAffine(),
            absorb.AbsorbScalarBiasIntoMultiThreshold(),
            reorder.MoveMulPastMaxPool(),
            reorder.MoveScalarLinearPastInvariants(),
            reorder.MoveAddPastMul(),
            reorder.MoveScalarAddPastMatMul(),
            reorder.MoveAddPastConv(),
            reorder.MoveScalarMulPastMatMul(),
            reorder.MoveScalarMulPastConv(),
            reorder.MoveAddPastMul(),
            collapse_repeated.CollapseRepeatedAdd(),
            collapse_repeated.CollapseRepeatedMul(),
            absorb.AbsorbAddIntoMultiThreshold(),
            absorb.FactorOutMulSignMagnitude(),
            absorb.AbsorbMulIntoMultiThreshold(),
            absorb.Absorb1BitMulIntoMatMul(),
            absorb.Absorb1BitMulIntoConv(),
            RemoveIdentities(),
            RoundAndClipThresholds(),
        ],
    )
    check_branch_scales(model)
    return apply_passes(model, [reorder.MoveLinearPastEltwiseAdd(), reorder.MoveLinearPastFork()])
