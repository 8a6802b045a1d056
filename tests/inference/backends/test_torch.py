"""The backend of PyTorch."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from i2i.inference.backends.torch import TorchBackend
from i2i.inference.tiling.exact import ExactTiler
from i2i.networks import Generator, build_generator
from support.images import Same


class Noting(Generator):
    """Changes nothing, and keeps what it was given."""

    in_channels = out_channels = 1

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return x


def test_arrays_and_tensors_give_the_same() -> None:
    backend = TorchBackend(build_generator("unet:depth=2,width=4,latent=3,dropout=0", in_channels=3, out_channels=2))
    assert (backend.in_channels, backend.out_channels, backend.multiple, backend.latent) == (3, 2, 4, 3)
    x, z = torch.rand(2, 3, 8, 12) * 2 - 1, torch.randn(2, 3)
    array = backend(x.numpy(), z.numpy())
    assert isinstance(array, np.ndarray)
    assert array.shape == (2, 2, 8, 12)
    with torch.no_grad():
        assert np.array_equal(array, backend.run(x, z.numpy()).numpy())
    assert not np.array_equal(array, backend(x.numpy(), 0 * z.numpy()))


def test_a_tensor_that_is_on_the_device_is_not_copied() -> None:
    network = Noting()
    x = torch.rand(1, 1, 2, 2)
    TorchBackend(network).run(x)
    assert network.given is x


def test_a_network_without_a_spec_is_named_by_its_class() -> None:
    assert TorchBackend(Noting()).spec == "Noting"
    assert TorchBackend(Same()).spec == "same"


def test_weights_and_buffers_make_the_checksum() -> None:
    def checksum(network: Generator) -> str:
        digest = hashlib.sha256()
        TorchBackend(network).hash_weights(digest)
        return digest.hexdigest()

    def build() -> Generator:
        torch.manual_seed(0)
        return build_generator("unet:depth=2,width=4,norm=batch", in_channels=3, out_channels=3)

    first = checksum(build())
    assert checksum(build()) == first
    for name in ("weight", "running_mean"):
        network = build()
        tensor = next(tensor for key, tensor in network.state_dict().items() if key.endswith(name))
        tensor.flatten()[0] += 1e-3
        assert checksum(network) != first


def test_its_tiles_are_exact() -> None:
    assert isinstance(TorchBackend(Same()).tiler(), ExactTiler)
