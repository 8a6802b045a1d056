"""Virtual batch normalisation: an image is normalised by the statistics of a fixed reference batch and its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class VirtualBatchNorm(nn.Module):
    """Salimans et al. 2016, sec. 3.4, as in its code: statistics of a reference batch mixed with the sample's own.

    Of the first and the second moment, the sample's share is 1 / (|R| + 1) and that of the reference R the rest. A
    sample's result depends on no other sample. `hold_reference` prepares the network that contains it.
    """

    mean: Tensor
    square: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels)), eps
        self.size = 0  # of the reference batch; 0 while there is none
        self.seeing_reference = False
        for name in ("mean", "square"):  # of the reference batch; recomputed after the weights change
            self.register_buffer(name, torch.empty(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C) or (N, C, H, W)."""
        precise = x.float()
        within = list(range(2, x.dim()))
        mean, square = (m.mean(within, keepdim=True) if within else m for m in (precise, precise.square()))
        if self.seeing_reference:
            mean, square = mean.mean(0, keepdim=True), square.mean(0, keepdim=True)
            self.mean, self.square, self.size = mean, square, len(x)
            return self._normalised(x, mean, square)
        return self.mixed(x, mean, square)

    def mixed(self, x: Tensor, mean: Tensor, square: Tensor) -> Tensor:
        """Normalise by the sample's own moments, (N, C) or (N, C, 1, 1), mixed with those of the reference."""
        if self.size:  # without a reference yet, the sample's alone
            share = 1 / (self.size + 1)
            mean = share * mean + (1 - share) * self.mean
            square = share * square + (1 - share) * self.square
        return self._normalised(x, mean, square)

    def _normalised(self, x: Tensor, mean: Tensor, square: Tensor) -> Tensor:
        shape = (-1, *[1] * (x.dim() - 2))
        normal = (x.float() - mean) * torch.rsqrt(self.eps + square - mean.square())
        return (self.weight.view(shape) * normal + self.bias.view(shape)).to(x.dtype)

    def extra_repr(self) -> str:
        """Options in `print(network)`."""
        return f"{len(self.weight)}, eps={self.eps}"


class Reference(nn.Module):
    """The reference batch of a network: its first input, kept in checkpoints and in the model file."""

    batch: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("batch", torch.empty(0), persistent=False)
        self.seen = False  # whether the layers hold the statistics of the current weights

    def get_extra_state(self) -> Tensor:
        """The reference batch."""
        return self.batch

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the reference batch."""
        self.batch, self.seen = state.to(self.batch, copy=True), False


def hold_reference(network: nn.Module) -> None:
    """Prepare a network with virtual batch norm: it keeps its first input as the reference batch.

    In training the reference batch passes through the network before each input, so that a step costs as if its batch
    were larger by the reference; in evaluation once, until the network is trained further. Networks without virtual
    batch norm, and those already prepared, are left as they are.
    """
    if _layers(network) and not isinstance(getattr(network, "reference", None), Reference):
        network.reference = Reference()
        network.register_forward_pre_hook(_see_reference)


def _layers(network: nn.Module) -> list[VirtualBatchNorm]:
    return [module for module in network.modules() if isinstance(module, VirtualBatchNorm)]


def _see_reference(network: nn.Module, given: tuple[Any, ...]) -> None:
    reference, layers = network.reference, _layers(network)
    assert isinstance(reference, Reference)
    if reference.seen and not network.training:
        return
    batch = reference.batch if len(reference.batch) else given[0].detach().clone()
    for layer in layers:
        layer.seeing_reference = True
    try:
        # In evaluation the statistics are kept for later inputs, and must not hold the graph of this one.
        with torch.set_grad_enabled(network.training and torch.is_grad_enabled()):
            network.forward(batch)
    finally:
        for layer in layers:
            layer.seeing_reference = False
    reference.batch, reference.seen = batch, not network.training
