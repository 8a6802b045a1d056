"""The perceptual loss: distance between two images in VGG-19's features."""

from __future__ import annotations

import pickle
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from i2i.errors import UsageError, setting
from i2i.losses.reconstruction import l1

# Indices of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 among VGG-19's layers, and the weight of each.
_LAYERS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Perceptual:
    """Distance between the activations of VGG-19, trained on ImageNet, on two images.

    Source: Johnson et al. 2016, sec. 3.2; Wang et al. 2018, sec. 4, whose code gives the layers and their weights.
    That code feeds VGG images in [-1, 1] as they are; here they are normalised as VGG's own training data were.

    It isn't an nn.Module, so that VGG is neither trained nor saved with a method. VGG moves to the images' device.

    Raises:
        UsageError: VGG's weights aren't on disk and can't be downloaded.
    """

    def __init__(self) -> None:
        self._vgg = _load()

    def __call__(self, image: Tensor, target: Tensor) -> Tensor:
        """The weighted sum over five layers of the activations' mean absolute difference, a scalar >= 0.

        Args:
            image: (N, C, H, W) in [-1, 1]; C is 3, or 1 for grey.
            target: the same shape; no gradient flows here.

        Raises:
            UsageError: another number of channels.
        """
        self._vgg.to(image.device)
        with torch.no_grad():
            target_features = self._features(target)
        layers = zip(_LAYERS.values(), self._features(image), target_features, strict=True)
        return torch.stack([weight * l1(found, expected) for weight, found, expected in layers]).sum()

    def _features(self, x: Tensor) -> list[Tensor]:
        channels = x.shape[1]
        if channels not in (1, 3):
            raise UsageError(
                f"the perceptual term compares colour or grey images, not {channels} channels; "
                f"leave it out with {setting('perceptual_weight', 0)}"
            )
        mean, std = (x.new_tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        x = ((x.float() + 1) / 2 - mean) / std  # grey becomes three channels here
        seen = []
        for index, layer in enumerate(self._vgg):
            x = layer(x)
            if index in _LAYERS:
                seen.append(x)
        return seen


def _load() -> nn.Sequential:
    """VGG-19's convolutions up to relu5_1 with torchvision's weights, downloaded unless they are on disk."""
    from torchvision.models import VGG19_Weights, vgg19

    weights = VGG19_Weights.IMAGENET1K_V1
    with torch.device("meta"):  # no memory for the classifier, which isn't needed
        convolutions = vgg19().features
    try:
        state = weights.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
        named = {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
        convolutions.load_state_dict(named, assign=True)
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"the perceptual term needs torchvision's weights of VGG-19 (548 MB), which can't be downloaded "
            f"({reason}); put them at {file}, or leave the term out with {setting('perceptual_weight', 0)}"
        ) from None
    vgg = convolutions[: max(_LAYERS) + 1].eval().requires_grad_(False)
    assert isinstance(vgg, nn.Sequential)
    return vgg
