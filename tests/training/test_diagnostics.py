"""Every warning of the diagnostics, each in a run that does go wrong; healthy runs have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.cli import main
from i2i.methods.pix2pix import Conditional
from i2i.training.checkpoint import load_state
from i2i.training.diagnostics import Diagnostics, image_statistics
from i2i.training.trainer import Trainer
from support.runs import SMALL, assert_equal_states, scene, trainer


def warnings_of(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["warning"] for line in lines if "warning" in line]


def steps_of(folder: Path, words: str) -> list[int]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if words in line.get("warning", "")]


def zeroed(one: Trainer) -> Trainer:
    with torch.no_grad():
        for weight in one.players["generator"].networks.parameters():
            weight.zero_()
    return one


def test_a_nan_loss_is_named_and_the_last_checkpoint_stays(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "pix2pix", str(pairs), "--run", str(tmp_path), *SMALL, "--log-every", "1", "--device", "cpu"]
    assert main([*words, "--steps", "4"]) == 0
    before = load_state(tmp_path / "state.pt")
    capsys.readouterr()
    assert main([*words, "--steps", "40", "--resume", "--lr", "1e30"]) == 1
    said = capsys.readouterr().err
    assert "generator/adversarial" in said
    assert "is NaN or infinite; the last checkpoint is untouched" in said
    assert f"i2i train pix2pix {pairs} --run {tmp_path} --resume --lr 2.5e+29" in said
    assert_equal_states(load_state(tmp_path / "state.pt"), before)
    assert json.loads((tmp_path / "summary.json").read_text())["state"] == "diverged"
    # The advice helps.
    assert main([*words, "--steps", "6", "--resume", "--lr", "1e-4"]) == 0


@pytest.mark.parametrize("coloured", [False, True])
def test_a_generator_of_a_single_colour_gives_one_warning(
    coloured: bool, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = zeroed(trainer(pairs, tmp_path, steps=12, log_every=1, lr=1e-9))
    if coloured:
        last = [weight for weight in one.players["generator"].networks.parameters() if weight.shape == (3,)][-1]
        last.data.copy_(torch.tensor([1.0, 0.0, -1.0]))
    one.fit()
    said = ["generated B is a single colour: the generator gives the same value at every pixel"]
    assert warnings_of(tmp_path) == said
    assert steps_of(tmp_path, "single colour") == [5]
    assert f"step 5: {said[0]}\n  try: train again with another seed or a lower lr" in capsys.readouterr().err


def test_a_discriminator_that_wins_completely_gives_one_warning(unpaired: Path, tmp_path: Path) -> None:
    # A refiner that is held to its input can't but leave drawings drawings, which are easily told from photographs.
    options = {"self_weight": 1000.0, "refiner_warmup": 0, "discriminator_warmup": 0, "refiner_steps": 1}
    specs = {"generator": "resnet:blocks=1,width=4", "discriminator": "patchgan:layers=1,width=8"}
    one = trainer(unpaired, tmp_path, "simgan", steps=80, log_every=5, lr=4e-3, options=options, **specs)
    one.monitor.diagnostics.steps = 20  # in a run of thousands of steps it may win for 2000
    one.fit()
    said = warnings_of(tmp_path)
    (words,) = [warning for warning in said if "wins" in warning]
    assert words == (
        "the discriminator wins completely: fake_accuracy has been above 0.995 for 20 steps, and the generator learns "
        "little from it"
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (step,) = steps_of(tmp_path, "wins")
    fake_accuracy = {line["step"]: line["fake_accuracy"] for line in lines if "fake_accuracy" in line}
    assert all(fake_accuracy[at] > 0.995 for at in range(step - 20, step + 1, 5))


@pytest.fixture(scope="module")
def negatives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpaired sets of which one is the negative of the other."""
    root = tmp_path_factory.mktemp("negatives")
    for number in range(4):
        _, photo = scene(number)
        for folder, image in (("trainA", photo), ("trainB", Image.fromarray(255 - np.asarray(photo)))):
            (root / folder).mkdir(exist_ok=True)
            image.save(root / folder / f"{number}.png")
    return root


def test_inverted_colours_give_one_warning_per_direction(negatives: Path, tmp_path: Path) -> None:
    one = trainer(negatives, tmp_path, "cyclegan", steps=12, log_every=2, lr=2e-3, generator="resnet:blocks=1,width=8")
    # First both generators learn to invert, as CycleGAN may by chance.
    for name, network in one.method.generators().items():
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        for step in range(40):
            x = one.dataset[step][name[0]][None]
            optimizer.zero_grad()
            (network(x) + x).abs().mean().backward()
            optimizer.step()
    one.fit()
    said = warnings_of(tmp_path)
    assert [warning.partition(":")[0] for warning in said if "inverted" in warning] == [
        "generated B is inverted",
        "generated A is inverted",
    ]
    (_, advice) = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()][5:7]
    assert steps_of(tmp_path, "inverted") == [10, 10]
    assert "--identity-weight 5" in advice["advice"]


def test_overfitting_gives_one_warning(tmp_path: Path) -> None:
    # Each pair has colours of its own, so that nothing of one can be learned from another.
    for split, count in (("train", 2), ("val", 3)):
        (tmp_path / "data" / split).mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng((count, number))
            halves = [np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(2)]
            Image.fromarray(np.hstack(halves)).save(tmp_path / "data" / split / f"{number}.png")
    settings = {"steps": 30, "validate_every": 5, "log_every": 5, "lr": 5e-3, "images": {"augment": ()}}
    one = trainer(tmp_path / "data", tmp_path / "run", generator="unet:depth=4,width=8,dropout=0", **settings)
    one.fit()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    (said,) = [line for line in lines if "warning" in line]
    assert said["warning"].startswith("overfitting: the L1 distance of held-out pairs rises (")
    scores = {line["step"]: line["validation/l1"] for line in lines if "validation/l1" in line}
    best = json.loads((tmp_path / "run" / "summary.json").read_text())["best"]
    assert f"{best['value']:.1f} at step {best['step']}, {scores[said['step']]:.1f} now" in said["warning"]
    assert said["step"] >= best["step"] + 15
    assert "best.safetensors has the best model so far" in said["advice"]


def test_a_player_whose_float16_steps_are_all_skipped_gives_one_warning(pairs: Path, tmp_path: Path) -> None:
    # No loss scale makes gradients of this weight fit into float16 within 60 steps, while losses stay finite.
    trainer(pairs, tmp_path, steps=64, log_every=8, precision="fp16", options={"l1_weight": 1e30}).fit()
    (said,) = warnings_of(tmp_path)
    assert said.startswith("the generator has not been updated for 56 steps: its gradients overflow in float16")
    assert steps_of(tmp_path, "has not been updated") == [56]


def test_an_absurd_learning_rate_ends_in_warnings(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "pix2pix", str(pairs), "--run", str(tmp_path), *SMALL, "--log-every", "2", "--device", "cpu"]
    assert main([*words, "--steps", "14", "--lr", "500"]) == 0
    capsys.readouterr()
    said = warnings_of(tmp_path)
    assert said[0].startswith("learning rate 500 is far too large for adam")
    (exploded,) = [warning for warning in said if "explodes" in warning]
    assert exploded.startswith("the loss explodes: ")
    (saturated,) = [warning for warning in said if "saturated" in warning]
    assert saturated.startswith("generated B is saturated: every pixel is -1 or 1")


def test_a_loss_explodes_at_a_thousand_times_its_start_or_a_thousand() -> None:
    for begun, fine, bad in ((0.01, -1000.0, -1001.0), (50.0, 50_000.0, 50_001.0)):
        diagnostics = Diagnostics(("a", "b"), unpaired=False)
        diagnostics.begin({"generator/l1": begun})
        assert diagnostics.look(50, {"generator/l1": fine}, {}) == []
        (diagnosis,) = diagnostics.look(100, {"generator/l1": bad}, {})
        assert diagnosis.warning.startswith("the loss explodes: generator/l1 is ")
        assert diagnostics.look(150, {"generator/l1": bad}, {}) == []
    # A term that appears later begins there.
    diagnostics = Diagnostics(("a", "b"), unpaired=False)
    assert diagnostics.look(50, {"generator/late": 1e6}, {}) == []


def test_healthy_runs_have_no_warnings(pairs: Path, unpaired: Path, tmp_path: Path) -> None:
    settings = {"steps": 30, "log_every": 2, "validate_every": 5, "lr": 1e-3}
    # A toy CycleGAN may well find the negative, which the identity term keeps it from.
    for method, data, options in (("pix2pix", pairs, {}), ("cyclegan", unpaired, {"identity_weight": 5.0})):
        one = trainer(data, tmp_path / method, method, options=options, **settings)
        one.monitor.diagnostics.steps = 12
        one.fit()
        assert warnings_of(tmp_path / method) == []


def test_diagnostics_resume(pairs: Path, tmp_path: Path) -> None:
    settings = {"log_every": 1, "lr": 1e-9, "schedule": "constant"}
    zeroed(trainer(pairs, tmp_path, steps=3, **settings)).fit()
    trainer(pairs, tmp_path, steps=6, resume=True, **settings).fit()
    assert steps_of(tmp_path, "single colour") == [5]
    trainer(pairs, tmp_path, steps=14, resume=True, **settings).fit()
    assert steps_of(tmp_path, "single colour") == [5]


def test_a_broken_streak_starts_again() -> None:
    diagnostics = Diagnostics(("a", "b"), unpaired=True, steps=20)
    for step, fake_accuracy in ((0, 1.0), (10, 1.0), (15, 0.9), (20, 1.0), (30, 1.0), (39, 1.0)):
        assert diagnostics.look(step, {"fake_accuracy": fake_accuracy}, {}) == []
    (diagnosis,) = diagnostics.look(40, {"fake_accuracy": 1.0}, {})
    assert "for 20 steps" in diagnosis.warning
    for field, kind, bad, good in (
        ("fake_b", "spread", 0.01, 0.03),
        ("fake_a", "inversion", -0.5, -0.2),
        ("fake_a", "saturation", 1.0, 0.9),
    ):
        for value in (bad, bad, bad, bad, good, bad, bad, bad, bad):
            assert diagnostics.look(50, {}, {f"{kind}/{field}": value}) == []
        assert len(diagnostics.look(50, {}, {f"{kind}/{field}": bad})) == 1


def test_pairs_may_be_inverted() -> None:
    diagnostics = Diagnostics(("a", "b"), unpaired=False)
    assert not any(diagnostics.look(step, {}, {"inversion/fake_b": -1.0}) for step in range(20))


@pytest.mark.parametrize(
    ("scores", "warned"),
    [
        ([(10, 9), (11, 8), (12, 7), (13, 6)], True),
        ([(10, 9), (11, 8), (12, 7)], False),  # not for long enough
        ([(10, 9), (10.1, 8), (10.2, 7), (10.25, 6)], False),  # not worse by much
        ([(10, 9), (11, 10), (12, 11), (13, 12)], False),  # the training too
        ([(10, 9), (11, 8), (12, 7), (9, 6)], False),  # the best of all
    ],
)
def test_held_out_images_must_get_worse_for_some_time(scores: list[tuple[float, float]], warned: bool) -> None:
    diagnostics = Diagnostics(("a", "b"), unpaired=False)
    found = [diagnostics.validated(step, *pair) for step, pair in enumerate(scores)]
    assert [bool(diagnoses) for diagnoses in found] == [False] * (len(scores) - 1) + [warned]


def test_image_statistics_by_hand() -> None:
    real = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).expand(2, 3, 8, 8).clone()
    coloured = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    statistics = image_statistics(Conditional.Images(real, coloured, real))
    assert statistics["spread/fake_b"] == 0
    assert statistics["inversion/fake_b"].item() == pytest.approx(0)
    half = torch.cat([-real[:1], real[1:]])
    assert image_statistics(Conditional.Images(real, half, real))["inversion/fake_b"].item() == pytest.approx(
        0, abs=1e-5
    )
    statistics = image_statistics(Conditional.Images(real, -0.1 * real + 0.3, real))
    assert statistics["inversion/fake_b"].item() == pytest.approx(-1, abs=1e-4)
    assert statistics["spread/fake_b"].item() == pytest.approx(0.1 * torch.linspace(-1, 1, 64).std().item())
    # Channels that are no colours have no brightness.
    assert "inversion/fake_b" not in image_statistics(Conditional.Images(real[:, :2], real, real))
    assert image_statistics(None) == {}


def test_saturation_by_hand() -> None:
    grey, black = torch.zeros(2, 3, 8, 8), torch.full((2, 3, 8, 8), -1.0)
    half = torch.cat([black[:1], grey[:1]])
    assert image_statistics(Conditional.Images(grey, half, grey))["saturation/fake_b"] == 0.5
    assert (
        image_statistics(Conditional.Images(grey, black, half[:, :, 1:]))["saturation/fake_b"] == 0
    )  # as the real ones are
    assert image_statistics(Conditional.Images(black, -black, grey))["saturation/fake_b"] == 1
    assert image_statistics(Conditional.Images(black, grey, grey))["saturation/fake_b"] == 0
