"""Several processes that train one model: how they find each other under torchrun, and what they do together."""

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

from i2i.errors import UsageError

_PATIENCE = timedelta(minutes=10)  # until a process that is not heard of is given up


@contextlib.contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that torchrun started, where it did; gives the device of this one.

    Each process of a machine has a GPU of its own; on the CPU they share it. They talk by NCCL, or by gloo on the CPU.

    Raises:
        UsageError: a device was named that only one of them could have, or there are fewer GPUs than processes.
    """
    if "LOCAL_RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield device
        return
    local = int(os.environ["LOCAL_RANK"])
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device {device}: torchrun's processes need one each; leave out --device, or give cpu")
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise UsageError(f"{local + 1} processes on a machine of {torch.cuda.device_count()} GPUs; start as many")
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device != "cpu" else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        with contextlib.suppress(Exception):  # where another process is gone there is nobody to part from
            distributed.destroy_process_group()


def launcher() -> list[str]:
    """The words that start i2i as it was started: `i2i`, or torchrun with as many processes."""
    local, whole = (int(os.environ.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    if "LOCAL_RANK" not in os.environ:
        return ["i2i"]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "HOST:29500"]
    machines = ["--nnodes", str(whole // local), *meeting] if whole > local else []
    return ["torchrun", *machines, "--nproc-per-node", str(local), "-m", "--", "i2i"]


def rank() -> int:
    """Which of the processes this is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def all_reduce_max(number: int) -> int:
    """The highest of the processes' numbers, known to all of them; they wait for each other."""
    if world_size() == 1:
        return number
    value = torch.tensor(number)  # on the CPU, so that a GPU need not be waited for
    distributed.all_reduce(value, distributed.ReduceOp.MAX)
    return int(value)


def broadcast_object(text: str | None) -> str | None:
    """A text of the first process, known to all of them."""
    told = [text]
    if world_size() > 1:
        distributed.broadcast_object_list(told, src=0, device=torch.device("cpu"))
    return told[0]


def is_peer_failure(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    words = ("closed by peer", "Connection reset", "Broken pipe", "Timed out", "NCCL", "Connection refused")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes, in place; itself where there is one."""
    if world_size() > 1:
        distributed.all_reduce(value)
        value /= world_size()
    return value


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum of a tensor over the processes; gradients, which are summed too, flow back to each."""
    result: Tensor = _Summed.apply(x)
    return result


def all_gather(x: Tensor) -> Tensor:
    """The (N, ...) of all processes, in their order; gradients flow back to each."""
    if world_size() == 1:
        return x
    whole = x.new_zeros((world_size() * len(x), *x.shape[1:]))
    whole[rank() * len(x) : (rank() + 1) * len(x)] = x
    return all_reduce_sum(whole)


def local_shard(x: Tensor) -> Tensor:
    """This process' part of what `gathered` put together."""
    count = len(x) // world_size()
    return x[rank() * count : (rank() + 1) * count]


def wrap_ddp(turn: nn.Module) -> nn.Module:
    """A module whose gradients are averaged over the processes as they come."""
    if world_size() == 1:
        return turn
    with warnings.catch_warnings():  # later versions of torch give the option other names
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(turn, broadcast_buffers=False)


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return all_reduce_sum(gradient)  # which has a gradient too, for penalties on slopes
