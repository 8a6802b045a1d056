"""The mean of a network's weights over the steps of its training."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping

import torch
from torch import nn


class ModelEMA(nn.Module):
    """An exponential moving average of networks, which translates more steadily than they do.

    Source: Karras et al. 2018, "Progressive growing of GANs", sec. 4; Yazici et al. 2019. At the start, when there is
    little past, its share is smaller: (1 + n) / (10 + n) after n updates.

    Args:
        networks: those to average, by name.
        decay: the share of the past, below 1.
    """

    def __init__(self, networks: Mapping[str, nn.Module], *, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self._followed = dict(networks)  # in a dict, so that they aren't this module's own
        self.networks = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.networks.requires_grad_(False).eval()
        self.register_buffer("updates", torch.tensor(0))

    updates: torch.Tensor

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are into the mean; buffers, such as running statistics, are copied."""
        self.updates += 1
        count = int(self.updates)
        share = 1 - min(self.decay, (1 + count) / (10 + count))
        for name, network in self._followed.items():
            mean = self.networks[name]
            torch._foreach_lerp_(list(mean.parameters()), list(network.parameters()), share)
            for kept, buffer in zip(mean.buffers(), network.buffers(), strict=True):
                if kept.shape != buffer.shape:  # a reference of virtual batch norm begins empty
                    kept.data = torch.empty_like(buffer)  # not resize_: a saved tensor's memory was shown to NumPy
                kept.copy_(buffer)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the networks have the mean weights for a while."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, network in self._followed.items():
            for own, mean in zip(network.parameters(), self.networks[name].parameters(), strict=True):
                own.data, mean.data = mean.data, own.data
