import hashlib
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import torch
from torchvision.models import AlexNet_Weights, alexnet

from i2i.errors import UsageError
from i2i.evaluation.scores.lpips import Lpips

pytest.importorskip("torchmetrics", reason="torchmetrics isn't installed")
FILE = Path(urlparse(AlexNet_Weights.IMAGENET1K_V1.url).path).name
CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of AlexNet's weights, in an empty folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / FILE
    file.parent.mkdir(parents=True)
    return file


def test_distances_in_an_untrained_alexnet_grow_with_noise(weights: Path) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in alexnet().state_dict().items()}
    # LPIPS doesn't use the classifier, most of the weights: zeros that take no space in the file.
    state = {
        name: torch.zeros(1).expand(shape) if name.startswith("classifier") else torch.randn(shape) / 20
        for name, shape in shapes.items()
    }
    torch.save(state, weights)
    lpips = Lpips(CPU)
    assert lpips.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    image = RNG.integers(0, 256, (64, 64, 3)).astype(float)
    noise = RNG.normal(size=image.shape)
    little, much = ((image + scale * noise).clip(0, 255) for scale in (4, 60))
    assert lpips(image, image) == 0
    assert 0 < lpips(little, image) < lpips(much, image)
    assert lpips(much, image) == lpips(much, image)  # no state is kept between calls
    grey = image[..., :1]
    assert lpips(grey, np.repeat(255 - grey, 3, axis=-1)) == pytest.approx(
        lpips(np.repeat(grey, 3, axis=-1), np.repeat(255 - grey, 3, axis=-1))
    )


def test_weights_that_hold_other_objects_are_refused(weights: Path) -> None:
    torch.save({"x": Path("anything")}, weights)
    with pytest.raises(UsageError, match=r"AlexNet .* can't be loaded .*put them at .*alexnet.*or leave out lpips"):
        Lpips(CPU)


@pytest.mark.download
@pytest.mark.skipif(
    not (Path(torch.hub.get_dir()) / "checkpoints" / FILE).is_file(), reason="needs torchvision's weights of AlexNet"
)
def test_lpips_with_the_published_weights() -> None:
    image = RNG.integers(0, 256, (64, 64, 3)).astype(float)
    assert Lpips(CPU)(255 - image, image) > 0.1
