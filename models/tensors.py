"""Copying a network's tensors back into it, with a readable word on what does not fit."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.errors import ModelError


@torch.no_grad()
def restore(network: nn.Module, tensors: Mapping[str, Tensor], place: str, remedy: str) -> None:
    """Copy every tensor of a network's state into it, in place.

    `load_state_dict` is avoided: Brevitas replaces its scale parameters there, and an optimiser would lose them.

    Args:
        network: changed in place, and only if all tensors fit.
        tensors: by the names of `network.state_dict()`.
        place: the file they come from, for the error.
        remedy: what the user does about a misfit.

    Raises:
        ModelError: a tensor is missing, of another shape or type, or unknown; the first one is named.
    """
    own = network.state_dict()
    for name, tensor in own.items():
        wanted = f"{name} as {_describe(tensor)}"
        if name not in tensors:
            raise ModelError(place, wanted, "no such tensor", remedy)
        if tensors[name].shape != tensor.shape or tensors[name].dtype != tensor.dtype:
            raise ModelError(place, wanted, _describe(tensors[name]), remedy)
    for name in tensors:
        if name not in own:
            raise ModelError(place, f"{len(own)} tensors of this network", f"{name} besides", remedy)
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def _describe(tensor: Tensor) -> str:
    shape = "×".join(str(length) for length in tensor.shape) or "scalar"
    return f"{shape} {str(tensor.dtype).removeprefix('torch.')}"
