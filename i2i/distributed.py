"""Ranks of a run under torchrun: the process group, collectives with gradients, and DDP."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from i2i.errors import UsageError, setting

_TIMEOUT = timedelta(minutes=10)  # of a collective, after which a rank that does not answer is given up


@contextlib.contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the process group where torchrun started this process; yields the device of this rank.

    Each rank of a machine has a GPU of its own; on the CPU they share it. The backend is NCCL, or gloo on the CPU.

    Raises:
        UsageError: the device is one that only one rank could have, or there are fewer GPUs than ranks.
    """
    if "LOCAL_RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield device
        return
    local_rank = int(os.environ["LOCAL_RANK"])
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise UsageError(
            f"{setting('device', device)}: each rank under torchrun needs a device of its own; leave out "
            f"{setting('device')}, or use {setting('device', 'cpu')}"
        )
    if device == "cuda":
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise UsageError(f"{local_rank + 1} or more ranks on a machine with {count} GPUs; start one for each GPU")
        torch.cuda.set_device(local_rank)
        device = f"cuda:{local_rank}"
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device != "cpu" else "gloo", timeout=_TIMEOUT)
    try:
        yield device
    finally:
        with contextlib.suppress(Exception):  # a peer may be gone already
            distributed.destroy_process_group()


def launcher() -> list[str]:
    """The command that started i2i: `i2i`, or torchrun with as many ranks."""
    local, whole = (int(os.environ.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    if "LOCAL_RANK" not in os.environ:
        return ["i2i"]
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "HOST:29500"]
    machines = ["--nnodes", str(whole // local), *rendezvous] if whole > local else []
    return ["torchrun", *machines, "--nproc-per-node", str(local), "-m", "--", "i2i"]


def rank() -> int:
    """The rank of this process; 0 where there is one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Number of ranks; 1 without torchrun."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def all_reduce_max(number: int) -> int:
    """The largest of the ranks' numbers; a barrier too."""
    if world_size() == 1:
        return number
    value = torch.tensor(number)  # on the CPU, so that a GPU need not be waited for
    distributed.all_reduce(value, distributed.ReduceOp.MAX)
    return int(value)


def broadcast(value: Tensor) -> None:
    """Overwrite a tensor with that of rank 0."""
    if world_size() > 1:
        distributed.broadcast(value, src=0)


def broadcast_object(text: str | None) -> str | None:
    """The text of rank 0, on every rank."""
    objects = [text]
    if world_size() > 1:
        distributed.broadcast_object_list(objects, src=0, device=torch.device("cpu"))
    return objects[0]


def is_peer_failure(error: BaseException) -> bool:
    """Whether an error of a collective says that another rank is gone."""
    words = ("closed by peer", "Connection reset", "Broken pipe", "Timed out", "NCCL", "Connection refused")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, in place and without gradient."""
    if world_size() > 1:
        distributed.all_reduce(value)
        value /= world_size()
    return value


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum of a tensor over the ranks; gradients flow back to each, summed as well."""
    result: Tensor = _AllReduceSum.apply(x)
    return result


def all_gather(x: Tensor) -> Tensor:
    """The (N, ...) of all ranks, concatenated in their order; gradients flow back to each."""
    if world_size() == 1:
        return x
    whole = x.new_zeros((world_size() * len(x), *x.shape[1:]))
    whole[rank() * len(x) : (rank() + 1) * len(x)] = x
    return all_reduce_sum(whole)


def local_shard(x: Tensor) -> Tensor:
    """This rank's part of a batch, as `all_gather` concatenates them."""
    count = len(x) // world_size()
    return x[rank() * count : (rank() + 1) * count]


def wrap_ddp(module: nn.Module) -> nn.Module:
    """The module in DistributedDataParallel, which averages gradients; itself where there is one rank."""
    if world_size() == 1:
        return module
    with warnings.catch_warnings():  # later versions of torch rename the option
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(module, broadcast_buffers=False)


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return all_reduce_sum(gradient)  # differentiable again, for gradient penalties
