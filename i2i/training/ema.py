"""Exponential moving average (EMA) of the generators' weights."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping

import torch
from torch import nn


class ModelEMA(nn.Module):
    """An exponential moving average (EMA) of networks' weights, whose outputs vary less from step to step.

    Source: Karras et al. 2018, "Progressive growing of GANs", sec. 4; Yazici et al. 2019. The decay warms up: after n
    updates it is at most (1 + n) / (10 + n).

    Args:
        networks: those to average, by name.
        decay: weight of the average so far, below 1.
    """

    updates: torch.Tensor

    def __init__(self, networks: Mapping[str, nn.Module], *, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self._trained = dict(networks)  # in a dict, so that they are not submodules
        self.networks = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.networks.requires_grad_(False).eval()
        self.register_buffer("updates", torch.tensor(0))

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current weights; buffers, such as running statistics, are copied."""
        self.updates += 1
        count = int(self.updates)
        share = 1 - min(self.decay, (1 + count) / (10 + count))
        for name, trained in self._trained.items():
            average = self.networks[name]
            torch._foreach_lerp_(list(average.parameters()), list(trained.parameters()), share)
            for kept, buffer in zip(average.buffers(), trained.buffers(), strict=True):
                if kept.shape != buffer.shape:  # the reference batch of virtual batch norm is empty at first
                    kept.data = torch.empty_like(buffer)  # not resize_: a saved tensor's memory was shown to NumPy
                kept.copy_(buffer)

    def restart(self) -> None:
        """Start again from the current weights."""
        for name, trained in self._trained.items():
            self.networks[name].load_state_dict(trained.state_dict())

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Let the networks have the averaged weights within this context."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, trained in self._trained.items():
            for weight, average in zip(trained.parameters(), self.networks[name].parameters(), strict=True):
                weight.data, average.data = average.data, weight.data
