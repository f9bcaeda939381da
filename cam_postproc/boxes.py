"""Boxes, points and scores from heatmaps and logits, and their scaling to the user's image.

The code lies in `hostside`, which the board's driver shares.
"""

from cam_postproc.hostside import (
    Box,
    component_boxes,
    largest_box,
    resize_image,
    scale_box,
    scale_point,
    softmax_scores,
)

__all__ = ["Box", "component_boxes", "largest_box", "resize_image", "scale_box", "scale_point", "softmax_scores"]
