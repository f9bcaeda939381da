"""LayerCAM fused over several layers: where in the image the evidence is, seen at every depth of a network."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_postproc.errors import CamError
from cam_postproc.methods import ClassMaps, choose_classes, find_layer, plain_tensor

FUSED = "layercam-fused"
"""Its name among the methods."""


def fused_layer_cam(
    model: nn.Module, layers: Sequence[nn.Module | str], images: Tensor, *, classes: Sequence[int] | None = None
) -> ClassMaps:
    """The mean of LayerCAM's maps of several layers, each averaged to the last one's size and min-maxed.

    Jiang et al., "LayerCAM", IEEE TIP 2021, fuses the layers by their pixel-wise maximum, shallow ones through a tanh
    (section III-C). The mean is this project's choice: the deep map says which object, the shallow ones how far it
    reaches, and averaging them down leaves out single edges. Maps of one layer are `methods.compute_maps`' "layercam".

    Args:
        model: gives logits [N, K]; alone, first in a tuple, or as ["logits"].
        layers: whose outputs [N, C, h, w] are mapped, or their names, first to last.
        images: float [N, …], as the model takes them.
        classes: N classes; None takes each image's argmax.

    Returns:
        Maps at the last layer's size, within 0 to 1; the model's mode and gradients are left as they were.

    Raises:
        CamError: no layer, an unknown one or one that does not lead to the logits, no image, an unknown class.
    """
    modules = [find_layer(model, layer) for layer in layers]
    if not modules or len(images) == 0:
        raise CamError("fused LayerCAM", "layers and images", f"{len(modules)} and {len(images)}", "pass some of both")
    training = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with torch.enable_grad():
            logits, activations = _run(model, modules, images)
            chosen = choose_classes(logits, classes)
            score = logits.gather(1, chosen[:, None]).sum()
            try:
                gradients = torch.autograd.grad(score, activations)
            except RuntimeError as error:
                got = str(error).splitlines()[0]
                raise CamError("CAM layer", "layers that lead to the logits", got, "choose others") from None
    finally:
        for part, mode in training.items():
            part.training = mode
    size = (activations[-1].shape[2], activations[-1].shape[3])
    maps = torch.zeros(len(images), *size)
    for activation, gradient in zip(activations, gradients, strict=True):
        layer_map = (gradient.clamp(min=0) * activation.detach()).sum(dim=1, keepdim=True)
        maps += _min_max(functional.adaptive_avg_pool2d(layer_map, size)[:, 0].float().cpu()) / len(activations)
    return ClassMaps(
        maps=maps.numpy(),
        classes=chosen.cpu().numpy().astype(np.int64),
        logits=logits.detach().float().cpu().numpy(),
    )


def _run(model: nn.Module, modules: Sequence[nn.Module], images: Tensor) -> tuple[Tensor, list[Tensor]]:
    seen: dict[nn.Module, Any] = {}

    def keep(module: nn.Module, _: Any, output: Any) -> None:
        seen[module] = plain_tensor(output)

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(keep).remove)
        # Gradients have to reach the layers even if every parameter is frozen.
        output = model(images.detach().clone().requires_grad_(images.is_floating_point()))
    logits = plain_tensor(output.get("logits") if isinstance(output, dict) else output)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise CamError("model output", "logits [N, classes]", type(logits).__name__, "pass a classifier")
    found = [seen.get(module) for module in modules]
    kept = [x for x in found if isinstance(x, Tensor) and x.ndim == 4]
    if len(kept) != len(modules):
        raise CamError("CAM layer", "layers that the model runs, with outputs [N, C, h, w]", "others", "choose others")
    return logits, kept


def _min_max(maps: Tensor) -> Tensor:
    """Maps [N, h, w] to 0 … 1; a constant or NaN map becomes zeros."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    spread = high - low
    return torch.where((spread > 0) & spread.isfinite(), (maps - low) / spread, torch.zeros(()))
