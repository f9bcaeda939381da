"""One training in several processes, as `torchrun` launches them: equal to one process at the same batch.

Every process holds all images and the same network, and works on its own part of each batch. Gradients are averaged
by PyTorch's DistributedDataParallel. Its SyncBatchNorm exists on GPUs alone, so batch statistics are taken over the
whole batch by `GlobalBatchNorm`, on any device: up to the rounding of sums, they are those of one process.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from models.errors import ModelError


@dataclass(frozen=True)
class Processes:
    """The processes of a training: which this one is, of how many."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def part(self, length: int) -> slice:
        """This process's part of so many things."""
        return slice(length * self.rank // self.count, length * (self.rank + 1) // self.count)

    def total(self, *values: float) -> list[float]:
        """Each value, summed over the processes."""
        if self.count == 1:
            return list(values)
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        sums = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(sums)
        totals: list[float] = sums.tolist()
        return totals

    def wait(self) -> None:
        """Go on when every process has come here."""
        self.total(0.0)

    def shared(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the processes; anew whenever other parameters are to be learnt."""
        if self.count == 1:
            return network
        # Gradients of 1×1 kernels have other strides than their weights, and lie in memory just the same.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(network, forward_sync_buffers=False)

    def require_divisible(self, batch: int) -> None:
        """Refuse batches of which processes would get unequal parts.

        Raises:
            ModelError: a mean of the processes' means would not be the batch's.
        """
        if batch % self.count:
            wanted = f"a multiple of the {self.count} processes"
            raise ModelError("[train] batch_size", wanted, str(batch), "launch another number of processes")

    def require_same(self, place: str, *values: int) -> None:
        """Refuse to start where the processes have read different states.

        Raises:
            ModelError: `place` is another folder on another machine.
        """
        if self.total(*values) != [self.count * value for value in values]:
            found = f"{values} in process {self.rank}, others elsewhere"
            raise ModelError(place, "one state for all processes", found, "give --out a folder that all of them see")


@contextmanager
def launched(device: str) -> Iterator[Processes]:
    """The processes that torchrun launched, joined for the block; this one alone where it did not.

    Args:
        device: "cpu" or "cuda…": how they talk (Gloo or NCCL).
    """
    if not distributed.is_torchelastic_launched():
        yield Processes()
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def local_device(device: str) -> str:
    """The GPU of this process among those of its machine, where torchrun launched several."""
    if device == "cuda" and distributed.is_torchelastic_launched():
        return f"cuda:{distributed.get_node_local_rank()}"
    return device


class _SumOverProcesses(torch.autograd.Function):
    """Sum over the processes; the gradient of the processes' summed losses is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        sums = values.clone()
        distributed.all_reduce(sums)
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        sums = grads[0].clone()
        distributed.all_reduce(sums)
        return sums


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of all processes' images together."""

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to the same shape and type."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        values = x if x.dtype == torch.float64 else x.float()
        count = torch.tensor([values.numel() / values.shape[1]], dtype=values.dtype, device=x.device)
        distributed.all_reduce(count)
        mean: Tensor = _SumOverProcesses.apply(values.sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        centred = values - mean[None, :, None, None]
        variance: Tensor = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        with torch.no_grad():
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised = centred * scale[None, :, None, None] + self.bias[None, :, None, None]
        return normalised.to(x.dtype)


def normalise_globally(network: nn.Module) -> None:
    """Put `GlobalBatchNorm` in place of every batch normalisation, with its very parameters and statistics."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                norm = GlobalBatchNorm(child.num_features, child.eps, child.momentum, device=child.weight.device)
                norm.weight, norm.bias = child.weight, child.bias
                norm.running_mean, norm.running_var = child.running_mean, child.running_var
                norm.num_batches_tracked = child.num_batches_tracked
                norm.train(child.training)
                setattr(module, name, norm)
