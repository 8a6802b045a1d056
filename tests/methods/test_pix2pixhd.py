import itertools
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from i2i.cli import main
from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError
from i2i.losses import AdversarialLoss, Perceptual
from i2i.methods import methods
from i2i.networks import Backbones
from i2i.spec import Spec
from i2i.training.player import freeze_all_but
from support.methods import terms, zeroed

GENERATOR = "coarse_to_fine:depth=2,blocks=1,enhancer_blocks=1,width=4"
DISCRIMINATOR = "patchgan:norm=instance,scales=3,layers=1,width=4"
PIXELS = "patchgan:norm=none,scales=2,layers=0,width=1"


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    """No weights of VGG, and no network to fetch them."""

    def urlopen(_):
        raise URLError("no route to it")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.urlopen", urlopen)


@pytest.fixture
def vgg(tmp_path):
    """Random weights where torchvision keeps VGG-19's."""
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in make_layers(cfgs["E"]).state_dict().items()}
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "vgg19-dcbb9e9d.pth")


def make(discriminator=DISCRIMINATOR, *, generator=GENERATOR, channels=(3, 3), perceptual_weight=0.0, **options):
    torch.manual_seed(0)
    backbones = Backbones(Spec.parse(generator), Spec.parse(discriminator), image_size=32, channels=channels)
    method = methods["pix2pixhd"]
    return method(method.Config(perceptual_weight=perceptual_weight, **options), backbones)


def at_zero(*args, **options):
    """A method whose every weight is 0: the generator gives 0 (grey), the discriminators the logit 0."""
    return zeroed(make(*args, **options))


def flat(a, b, channels=(3, 3)):
    return {"a": torch.full((2, channels[0], 32, 32), a), "b": torch.full((2, channels[1], 32, 32), b)}


def noise(channels=(3, 3)):
    draw = torch.Generator().manual_seed(1)
    return {n: torch.rand(2, c, 32, 32, generator=draw) * 2 - 1 for n, c in zip("ab", channels, strict=True)}


def test_its_defaults_are_the_papers():
    method = methods["pix2pixhd"]
    config = method.Config()
    assert (config.adversarial, config.feature_matching, config.perceptual_weight) == ("lsgan", 10, 10)
    assert method.data == "paired"
    assert method.data_config == DataConfig(image_size=512)
    train = method.train_config
    assert (train.lr, train.betas, train.epochs, train.lr_decay_fraction, train.batch_size) == (
        2e-4,
        (0.5, 0.999),
        200,
        0.5,
        1,
    )
    assert train == TrainConfig()
    with torch.device("meta"):
        own = method.backbones(None, None, image_size=512, channels=(3, 3))
        players = method(method.Config(perceptual_weight=0), own).players()
    sizes = {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()}
    # Three discriminators on 6 channels: 64 and 128 and 256 and 512 maps and one, kernels of 4, each with its biases.
    one = sum(16 * before * after + after for before, after in ((6, 64), (64, 128), (128, 256), (256, 512), (512, 1)))
    assert sizes == {"generator": 182_701_827, "discriminator": 3 * one}


def test_terms_in_closed_form():
    # Each of three scales is wrong by 1 on the real images and right on the generated ones.
    method = at_zero()
    images = method(flat(0.5, -0.25))
    assert terms(method.generator_loss(images)) == {"adversarial": 3.0, "feature_matching": 0.0}
    assert terms(method.discriminator_loss(images)) == {"adversarial": 0.5 * 3}


@pytest.mark.parametrize(("weight", "loss"), [(10.0, 90.0), (2.0, 18.0)])
def test_feature_matching_in_closed_form(weight, loss):
    # Both layers show the sum of the channels: 3 (0.5 + 0.75) = 3.75 against 3 (0.5 + 0) = 1.5. Four times 2.25 is 9.
    method = at_zero(PIXELS, feature_matching=weight)
    with torch.no_grad():
        for patches in method.discriminator.scales:
            first, second = (layer for layer in list(patches)[:-1] if isinstance(layer, nn.Conv2d))
            first.weight.fill_(1)
            second.weight.fill_(1)
    images = method(flat(0.5, 0.75))
    assert terms(method.generator_loss(images)) == {"adversarial": 2.0, "feature_matching": loss}
    assert terms(method.discriminator_loss(images)) == {"adversarial": 0.5 * 2}


def test_without_feature_matching_and_perceptual_term_the_adversarial_one_is_left():
    method = at_zero(feature_matching=0.0, adversarial="hinge")
    images = method(flat(0.5, -0.25))
    assert terms(method.generator_loss(images)) == {"adversarial": 0.0}
    assert terms(method.discriminator_loss(images)) == {"adversarial": 0.5 * 3 * 2}


def test_every_scale_sees_input_and_output_together():
    method = make().eval()
    batch = noise()
    images = method(batch)
    judge, loss = method.discriminator, AdversarialLoss("lsgan")
    real, fake = (judge(torch.cat([batch["a"], b], 1)) for b in (batch["b"], method.generator(batch["a"])))
    assert len(real) == len(fake) == 3
    torch.testing.assert_close(method.discriminator_loss(images)["adversarial"], 0.5 * loss.discriminator(real, fake))
    torch.testing.assert_close(method.generator_loss(images)["adversarial"], loss.generator(fake))


def test_feature_matching_moves_the_generator_and_neither_the_discriminator_nor_the_target():
    method = make()
    batch = noise()
    batch["b"].requires_grad_()
    images = method(batch)
    with freeze_all_but(method.generator, of=method):
        method.generator_loss(images)["feature_matching"].backward()
    assert all(p.grad is None for p in method.discriminator.parameters())
    assert all(p.grad is not None for p in method.generator.parameters())
    assert sum(p.grad.abs().sum() for p in method.generator.parameters()) > 0
    assert batch["b"].grad is None


@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (3, 1)])
@pytest.mark.usefixtures("vgg")
def test_the_perceptual_term_compares_output_and_target(channels):
    method = make(perceptual_weight=4.0, channels=channels)
    images = method(noise(channels))
    losses = method.generator_loss(images)
    assert set(losses) == {"adversarial", "feature_matching", "perceptual"}
    torch.testing.assert_close(losses["perceptual"], 4 * Perceptual()(images.fake_b, images.real_b))
    losses["perceptual"].backward()
    assert sum(p.grad.abs().sum() for p in method.generator.parameters()) > 0
    same = images._replace(fake_b=images.real_b)
    assert method.generator_loss(same)["perceptual"].item() == 0


@pytest.mark.usefixtures("vgg")
def test_vgg_is_nobodys_and_not_saved():
    with_it, without = make(perceptual_weight=1.0), make()
    assert list(with_it.state_dict()) == list(without.state_dict())
    assert [name for name, _ in with_it.named_parameters()] == [name for name, _ in without.named_parameters()]


def test_without_vggs_weights_training_is_refused_before_it_starts(pairs, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", "pix2pixhd", str(pairs), "--run", str(run), "--image-size", "32", "--steps", "2"]
    words += ["--generator", GENERATOR, "--discriminator", DISCRIMINATOR]
    assert main(words) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message == (
        "i2i: the perceptual term needs torchvision's weights of VGG-19 (548 MB), which can't be downloaded "
        f"(<urlopen error no route to it>); put them at {tmp_path}/torch/hub/checkpoints/vgg19-dcbb9e9d.pth, or leave "
        "the term out with --perceptual-weight 0"
    )
    assert not run.exists()
    assert main([*words, "--perceptual-weight", "0"]) == 0
    assert (run / "model.safetensors").is_file()


def test_a_size_that_does_not_fit_is_refused_before_anything_is_fetched(tmp_path):
    asked = Backbones(Spec.parse(GENERATOR), Spec.parse(DISCRIMINATOR), image_size=36)
    with pytest.raises(
        UsageError, match="image size 36: 'coarse_to_fine:depth=2' needs a multiple of 8; use image_size=32"
    ):
        methods["pix2pixhd"](methods["pix2pixhd"].Config(), asked)
    assert not (tmp_path / "torch").exists()


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match=r"perceptual_weight is -1\.0; it should be 0 or more"):
        methods["pix2pixhd"].Config(perceptual_weight=-1.0)


def distances(batch, **options):
    """The L1 distance from the target in each step on one batch, as a share of that at the start."""
    method = make(generator=GENERATOR.replace("width=4", "width=8"), **options)
    players = method.players()
    adams = {n: torch.optim.Adam(p.parameters(), lr=2e-3, betas=(0.5, 0.999)) for n, p in players.items()}
    begun = None
    for step in itertools.count(1):
        images = method(batch)
        distance = (images.fake_b - images.real_b).abs().mean().item()
        begun = begun or distance
        yield distance / begun
        for name, loss in method.turns(step):
            with freeze_all_but(players[name], of=method):
                losses = loss(images)
                adams[name].zero_grad(set_to_none=True)
                sum(losses.values()).backward()
            adams[name].step()


def test_one_batch_is_overfit_without_a_term_on_pixels():
    line = torch.linspace(-1, 1, 32)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    disc = torch.where(rows**2 + columns**2 < 0.5, 0.8, -0.8)
    a = torch.stack([torch.stack([rows, columns, disc]), torch.stack([-columns, disc, rows])])
    batch = {"a": a, "b": -0.8 * a.flip(1)}
    learned = []
    for distance in itertools.islice(distances(batch), 60):
        learned.append(distance)
        if len(learned) >= 5 and sum(learned[-5:]) / 5 < 0.45:
            break
    assert sum(learned[-5:]) / 5 < 0.45
    without = list(itertools.islice(distances(batch, feature_matching=0.0), len(learned)))
    assert sum(learned[-5:]) < 0.85 * sum(without[-5:])
