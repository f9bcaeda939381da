"""Class activation maps in software, on any torch model and layer: CAM and five gradient methods.

For one image: A_k the activations of the layer (h × w for channel k), S the logit of the class, g_k = ∂S/∂A_k, ⊙ the
product pixel by pixel, and sums over pixels unless said otherwise.

| method            | map                                                   | source                               |
| ----------------- | ----------------------------------------------------- | ------------------------------------ |
| CAM               | Σ_k w[c, k]·A_k, w the classifier's weights           | Zhou, CVPR 2016, eq. 2               |
| Grad-CAM          | Σ_k mean(g_k)·A_k                                     | Selvaraju, ICCV 2017, eq. 1, 2       |
| Grad-CAM++        | Σ_k Σ(α_k ⊙ relu(g_k))·A_k,                           | Chattopadhay, WACV 2018, eq. 5, 19,  |
|                   | α_k = g_k² / (2·g_k² + Σ(A_k)·g_k³)                   | for an exponential score             |
| XGrad-CAM         | Σ_k (Σ(g_k ⊙ A_k) / ΣA_k)·A_k                         | Fu, BMVC 2020, eq. 6                 |
| Smooth Grad-CAM++ | Grad-CAM++, g, g², g³ averaged over noisy images      | Omeiza, 2019, eq. 9                  |
| LayerCAM          | Σ_k relu(g_k) ⊙ A_k                                   | Jiang, IEEE TIP 2021, eq. 5, 6       |

torchcam is the tests' oracle for CAM, Grad-CAM, XGrad-CAM and LayerCAM, and not the code: it always clips, its CAM
reads the unquantised weights, and its layers and models have to give plain tensors. In its release 0.5.0 Grad-CAM++
drops the divisor of α (it divides a copy), and Smooth Grad-CAM++ takes relu(g) of the last noisy image alone.

The papers clip negative values of most of these maps; that is `relu`, off by default, as the localisation protocol
min-maxes without it. Behind a global average pooling and one linear layer, Grad-CAM is CAM divided by h·w.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cam_postproc.errors import CamError

Method = Literal["cam", "gradcam", "gradcam++", "xgradcam", "smoothgradcam++", "layercam"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class ClassMaps:
    """Maps of N images.

    Args:
        maps: float32 [N, h, w], at the layer's size, neither clipped (unless asked for) nor normalised.
        classes: int64 [N], which class each map is for.
        logits: float32 [N, K].
    """

    maps: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]


def compute_maps(
    model: nn.Module,
    layer: nn.Module | str,
    images: Tensor,
    method: Method = "cam",
    *,
    classes: Sequence[int] | None = None,
    classifier: nn.Module | None = None,
    relu: bool = False,
    samples: int = 8,
    noise: float = 0.1,
    seed: int = 0,
) -> ClassMaps:
    """Class activation maps of a batch, in one call; the model's mode and gradients are left as they were.

    Args:
        model: gives logits [N, K]; alone, first in a tuple, or as ["logits"]; quantised tensors (with a `value`) do.
        layer: whose output [N, C, h, w] is mapped, or its name in `model.named_modules()`.
        images: float [N, …], as the model takes them.
        classes: N classes; None takes each image's argmax.
        classifier: for "cam", the linear layer whose weights are used; None takes the model's last one.
        relu: clip negative values of the map.
        samples: for "smoothgradcam++", noisy copies of each image.
        noise: for "smoothgradcam++", their standard deviation as a fraction of the image's range.
        seed: for "smoothgradcam++".

    Raises:
        CamError: an unknown method, layer or class, no image, a layer that gives no [N, C, h, w], does not run, or does
            not lead to the logits, or for "cam" a classifier that does not fit the layer.
    """
    if method not in METHODS:
        raise CamError("CAM method", " or ".join(METHODS), repr(method), "choose one of them")
    if len(images) == 0:
        raise CamError("images", "at least one", "none", "pass a batch")
    module = find_layer(model, layer)
    training = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with torch.enable_grad():
            run = _run(model, module, images)
            chosen = choose_classes(run.logits, classes)
            if method == "cam":
                maps = _cam(run.activations, _weights(model, classifier, run), chosen)
            elif method == "smoothgradcam++":
                moments = _noisy_moments(model, module, images, chosen, samples, noise, seed)
                maps = _plus_plus(run.activations, *moments)
            else:
                maps = _BY_GRADIENT[method](run.activations, _gradient(run, chosen))
    finally:
        for part, mode in training.items():
            part.training = mode
    maps = maps.detach()
    if relu:
        maps = maps.clamp(min=0)
    return ClassMaps(
        maps=maps.float().cpu().numpy(),
        classes=chosen.cpu().numpy().astype(np.int64),
        logits=run.logits.detach().float().cpu().numpy(),
    )


@dataclass(frozen=True)
class _Run:
    activations: Tensor  # [N, C, h, w]
    logits: Tensor  # [N, K]


def _run(model: nn.Module, layer: nn.Module, images: Tensor) -> _Run:
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        seen.append(plain_tensor(output))

    handle = layer.register_forward_hook(keep)
    try:
        # Gradients have to reach the layer even if every parameter is frozen.
        output = model(images.detach().clone().requires_grad_(images.is_floating_point()))
    finally:
        handle.remove()
    if isinstance(output, dict):
        output = output.get("logits")
    logits = plain_tensor(output)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise CamError("model output", "logits [N, classes]", got, "pass a classifier")
    if not seen:
        raise CamError("CAM layer", "a layer that the model runs", "one that it does not", "choose another layer")
    activations = seen[-1]
    if not isinstance(activations, Tensor) or activations.ndim != 4:
        got = f"{tuple(activations.shape)}" if isinstance(activations, Tensor) else type(activations).__name__
        raise CamError("CAM layer", "an output [N, C, h, w]", got, "choose the last convolution's layer")
    return _Run(activations, logits)


def plain_tensor(output: Any) -> Any:
    """The plain tensor of a quantised one (which may be a tuple as well), or the first of a tuple."""
    if hasattr(output, "value") and isinstance(output.value, Tensor):
        return output.value
    if isinstance(output, (tuple, list)) and output:
        return plain_tensor(output[0])
    return output


def find_layer(model: nn.Module, layer: nn.Module | str) -> nn.Module:
    """A layer, or the one of that name; CamError where there is none."""
    if isinstance(layer, nn.Module):
        return layer
    named = dict(model.named_modules())
    if layer not in named or not layer:
        near = [name for name in named if name and layer and layer.split(".")[0] in name][:3]
        raise CamError("CAM layer", "a name in the model", repr(layer), f"try {near or [n for n in named if n][-3:]}")
    found: nn.Module = named[layer]
    return found


def choose_classes(logits: Tensor, classes: Sequence[int] | None) -> Tensor:
    """The classes asked for, or each image's argmax: int64 [N]; CamError for ones that are not there."""
    if classes is None:
        return logits.detach().argmax(dim=1)
    count, limit = logits.shape
    if len(classes) != count or not all(0 <= c < limit for c in classes):
        raise CamError("CAM classes", f"{count} classes from 0 to {limit - 1}", str(list(classes))[:60], "check them")
    return torch.as_tensor(list(classes), dtype=torch.int64, device=logits.device)


def _weights(model: nn.Module, classifier: nn.Module | None, run: _Run) -> Tensor:
    """Weights [K, C] of the classifier, quantised ones if it quantises them."""
    found = classifier
    if found is None:
        linear = [part for part in model.modules() if isinstance(part, nn.Linear)]
        if not linear:
            raise CamError("CAM classifier", "a linear layer", "none in the model", "name it, or use gradcam")
        found = linear[-1]
    quantise: Callable[[], Any] | None = getattr(found, "quant_weight", None)
    weight = plain_tensor(quantise()) if quantise is not None else getattr(found, "weight", None)
    wanted = (run.logits.shape[1], run.activations.shape[1])
    if not isinstance(weight, Tensor) or weight.numel() != wanted[0] * wanted[1]:
        got = f"{tuple(weight.shape)}" if isinstance(weight, Tensor) else type(found).__name__
        raise CamError("CAM classifier", f"weights {wanted}", got, "name layer and classifier that follow each other")
    return weight.reshape(wanted)


def _gradient(run: _Run, classes: Tensor) -> Tensor:
    """g [N, C, h, w]; images do not mix, as the model is in evaluation mode."""
    score = run.logits.gather(1, classes[:, None]).sum()
    try:
        (gradient,) = torch.autograd.grad(score, run.activations)
    except RuntimeError as error:
        got = str(error).splitlines()[0]
        raise CamError("CAM layer", "a layer that leads to the logits", got, "choose another layer") from None
    return gradient.detach()


def _cam(activations: Tensor, weights: Tensor, classes: Tensor) -> Tensor:
    return torch.einsum("nchw,nc->nhw", activations, weights[classes])


def _grad_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    return torch.einsum("nchw,nc->nhw", activations, gradient.mean(dim=(2, 3)))


def _grad_cam_plus_plus(activations: Tensor, gradient: Tensor) -> Tensor:
    return _plus_plus(activations, gradient, gradient**2, gradient**3)


def _plus_plus(activations: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    total = activations.sum(dim=(2, 3), keepdim=True)
    divisor = 2 * second + total * third
    alpha = second / torch.where(divisor == 0, 1.0, divisor)  # a channel without gradient weighs nothing
    weights = (alpha * first.clamp(min=0)).sum(dim=(2, 3))
    return torch.einsum("nchw,nc->nhw", activations, weights)


def _x_grad_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    total = activations.sum(dim=(2, 3))
    weights = (gradient * activations).sum(dim=(2, 3)) / torch.where(total == 0, 1.0, total)
    return torch.einsum("nchw,nc->nhw", activations, weights)


def _layer_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    return (gradient.clamp(min=0) * activations).sum(dim=1)


def _noisy_moments(
    model: nn.Module, layer: nn.Module, images: Tensor, classes: Tensor, samples: int, noise: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Means of g, g² and g³ over noisy copies of the images."""
    if samples < 1 or not noise >= 0:
        raise CamError("Smooth Grad-CAM++", "samples ≥ 1 and noise ≥ 0", f"{samples}, {noise}", "correct them")
    generator = torch.Generator().manual_seed(seed)
    axes = tuple(range(1, images.ndim))
    spread = (images.amax(dim=axes, keepdim=True) - images.amin(dim=axes, keepdim=True)) * noise
    moments: list[Tensor] = []
    for _ in range(samples):
        shift = torch.randn(images.shape, generator=generator, dtype=images.dtype).to(images.device)
        gradient = _gradient(_run(model, layer, images + shift * spread), classes)
        powers = [gradient, gradient**2, gradient**3]
        moments = [a + b for a, b in zip(moments, powers, strict=True)] if moments else powers
    first, second, third = (moment / samples for moment in moments)
    return first, second, third


_BY_GRADIENT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradcam": _grad_cam,
    "gradcam++": _grad_cam_plus_plus,
    "xgradcam": _x_grad_cam,
    "layercam": _layer_cam,
}
