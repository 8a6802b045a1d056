"""Layers that look at a whole batch, for networks whose batch is spread over ranks.

Networks know no ranks. Here batch norm, dropout and minibatch discrimination get subclasses that do, as
`nn.SyncBatchNorm.convert_sync_batchnorm` does for batch norm: parameters, buffers and state dict keys stay as they are,
and so do the results of one rank with the whole batch.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from i2i.distributed import all_gather, all_reduce_sum, broadcast, local_shard, world_size
from i2i.networks.layers import Dropout, MinibatchDiscrimination
from i2i.networks.virtual_batch_norm import Reference


def synchronize(networks: nn.Module) -> None:
    """Let layers in training see the batches of all ranks, where there are several; plug-in networks' norms too."""
    if world_size() == 1:
        return
    for module in networks.modules():
        if isinstance(module, _BatchNorm | Dropout | MinibatchDiscrimination):
            layer: Any = type(module)
            module.__class__ = _synchronized(layer)


def broadcast_references(networks: nn.Module) -> None:
    """Let all ranks have the reference batches of rank 0."""
    for module in networks.modules():
        if isinstance(module, Reference):
            broadcast(module.batch)


class _Synchronized:
    """Marks the subclasses made here."""


@functools.cache
def _synchronized(layer: type[Any]) -> type[Any]:
    if issubclass(layer, _Synchronized):
        return layer
    if issubclass(layer, _BatchNorm):
        methods = {"forward": lambda self, x: _batch_norm(self, x) if self.training else layer.forward(self, x)}
    elif issubclass(layer, Dropout):
        methods = {"mask": _mask}
    else:
        methods = {"batch": lambda _, compared: all_gather(compared)}
    return type(layer.__name__, (_Synchronized, layer), methods)


def _mask(dropout: Dropout, x: Tensor) -> Tensor:
    """This rank's part of a mask that all ranks draw alike for the whole batch."""
    return local_shard(x.new_empty((world_size() * len(x), *x.shape[1:])).bernoulli_(1 - dropout.p))


def _batch_norm(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Normalise (N, C, ...) by the statistics of all ranks' batches together."""
    precise = x if x.dtype == torch.double else x.float()
    dims = [index for index in range(x.dim()) if index != 1]
    shape = (-1, *[1] * (x.dim() - 2))
    mean = all_reduce_sum(precise.mean(dims)) / world_size()
    centred = precise - mean.view(shape)  # before squaring: E[x^2] - E[x]^2 may round to less than 0
    variance = all_reduce_sum(centred.square().mean(dims)) / world_size()
    if norm.track_running_stats and norm.running_mean is not None:
        _update(norm, mean, variance, count=world_size() * x.numel() // x.shape[1])
    scale = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        scale = norm.weight * scale
    normal = centred * scale.view(shape)
    if norm.affine:
        normal = normal + norm.bias.view(shape)
    return normal.to(x.dtype)


@torch.no_grad()
def _update(norm: _BatchNorm, mean: Tensor, variance: Tensor, *, count: int) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    # Without momentum the running statistics are the mean over all batches, as in torch.
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean), share)
    norm.running_var.lerp_((variance * count / max(count - 1, 1)).to(norm.running_var), share)
