"""Activation checkpointing: compute a block again in the backward pass, in place of keeping its activations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.utils.checkpoint import checkpoint

from i2i.errors import UsageError, setting
from i2i.networks.virtual_batch_norm import VirtualBatchNorm


class Recomputable(nn.Module):
    """A block of a network whose activations may be computed twice; a subclass implements `compute`.

    Attributes:
        recompute: keep the block's input only, and compute the rest again in the backward pass (Chen et al. 2016,
            "Training deep nets with sublinear memory cost"). Gradients are the same.
    """

    recompute = False

    def compute(self, x: Tensor) -> Tensor:
        """The block's output."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, whose activations are kept for the backward pass or not."""
        if not (self.recompute and self.training):
            return self.compute(x)
        contexts = (contextlib.nullcontext(), _as_before(self))
        result: Tensor = checkpoint(self.compute, x, use_reentrant=False, context_fn=lambda: contexts)
        return result


class Block(Recomputable, nn.Sequential):
    """Layers one after the other."""

    def compute(self, x: Tensor) -> Tensor:
        """The output of the last layer."""
        for layer in self:
            x = layer(x)
        return x


def recompute_activations(*networks: nn.Module) -> int:
    """Let the blocks of networks compute their activations twice; the number of these blocks.

    Blocks with spectral norm or virtual batch norm are left out: what they compute depends on the calls before.

    Raises:
        UsageError: there are none.
    """
    modules = [module for network in networks for module in network.modules()]
    blocks = [module for module in modules if isinstance(module, Recomputable) and not _has_memory(module)]
    for block in blocks:
        block.recompute = True
        first = next(block.children())
        if isinstance(first, nn.ReLU):
            first.inplace = False  # the input is kept as it is
    if not blocks:
        raise UsageError(
            "these generators have no blocks to compute twice; unet, resnet and coarse_to_fine have, but not with "
            f"spectral=true or norm=virtual; leave out {setting('checkpoint_activations')}"
        )
    return len(blocks)


def _has_memory(block: nn.Module) -> bool:
    return any(isinstance(module, _SpectralNorm | VirtualBatchNorm) for module in block.modules())


@contextlib.contextmanager
def _as_before(block: nn.Module) -> Iterator[None]:
    """While a block is computed again, running averages stay as they are."""
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked -= 1
