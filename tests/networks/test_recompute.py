"""Activation checkpointing: the same gradients and buffers, with fewer activations in memory."""

from __future__ import annotations

import copy

import pytest
import torch

from i2i.errors import UsageError
from i2i.networks import build_generator
from i2i.networks.recompute import recompute_activations

NETWORKS = {
    "unet:depth=4,width=4,dropout=0.5": 8,
    "unet:depth=3,width=4,norm=instance,up=resize": 6,
    "unet:depth=3,width=4,latent=2,where=all": 6,
    "resnet:blocks=2,width=4,norm=batch,dropout=0.5": 2,
    "coarse_to_fine:width=4,depth=2,blocks=2,enhancers=1,enhancer_blocks=1": 3,
}


@pytest.mark.parametrize("spec", NETWORKS)
def test_gradients_and_buffers_are_those_without_it(spec: str) -> None:
    torch.manual_seed(0)
    network = build_generator(spec, in_channels=3, out_channels=3).train()
    other = copy.deepcopy(network)
    assert recompute_activations(other) == NETWORKS[spec]
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    z = [torch.randn(2, network.latent)] if network.latent else []
    for one in (network, other):
        torch.manual_seed(1)
        (one(one(x, *z), *z) + one(-x, *z)).square().sum().backward()  # as in a cycle
    for (name, weight), recomputed in zip(network.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(recomputed.grad, weight.grad, msg=name)
    for (name, before), after in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(after, before, msg=name)
    assert all(module.training for module in other.modules())


@pytest.mark.parametrize("spec", ["unet:depth=3,width=4,spectral=true", "resnet:blocks=1,width=4,norm=virtual"])
def test_what_depends_on_earlier_calls_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"no blocks to compute twice; .* leave out checkpoint_activations"):
        recompute_activations(build_generator(spec, in_channels=3, out_channels=3))


def test_fewer_activations_are_kept() -> None:
    network = build_generator("resnet:blocks=6,width=4", in_channels=3, out_channels=3).train()
    before = kept_by(network)
    recompute_activations(network)
    assert kept_by(network) < 0.7 * before


def kept_by(network: torch.nn.Module) -> int:
    """Values that the forward pass keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.rand(1, 3, 32, 32))
    return sum(sizes.values())
