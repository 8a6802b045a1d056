import json
import math

import pytest
import torch
from PIL import Image

from i2i.cli import main
from i2i.config import DataConfig, RunConfig, TrainConfig
from i2i.data import find_layout
from i2i.errors import UsageError
from i2i.losses import AdversarialLoss
from i2i.methods import methods
from i2i.networks import Backbones
from i2i.spec import Spec
from i2i.training.build import build_run
from i2i.training.checkpoint import load_state
from i2i.training.player import freeze_all_but
from support.methods import terms, zeroed

GAN = methods["gan"]
MLP = ("mlp:latent=4,width=16", "mlp:width=16,pieces=2,dropout=0")
DCGAN = ("dcgan:latent=4,width=4", "dcgan:width=4")


def make(specs=MLP, *, classes=0, **options):
    """A small GAN of grey images of 8 pixels."""
    torch.manual_seed(0)
    backbones = Backbones(*map(Spec.parse, specs), image_size=8, channels=(3, 1), classes=classes)
    return GAN(GAN.Config(**options), backbones)


def at_zero(**options):
    """One whose every weight is 0: it draws grey (0) and judges it with the logit 0."""
    return zeroed(make(**options))


def grey(pixels, **more):
    """Plain images of these levels."""
    return {"b": torch.as_tensor(pixels, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 8, 8), **more}


def labelled(count):
    """Black images of class 0 and white ones of class 1, in turn."""
    label = torch.arange(count) % 2
    return grey(1.6 * label - 0.8, label=label)


def learn(method, batch, steps, *, lr):
    players = method.players()
    adams = {n: torch.optim.Adam(p.parameters(), lr=lr, betas=(0.5, 0.999)) for n, p in players.items()}
    for step in range(1, steps + 1):
        images = method(batch())
        for name, loss in method.turns(step):
            with freeze_all_but(players[name], of=method):
                adams[name].zero_grad(set_to_none=True)
                sum(loss(images).values()).backward()
            adams[name].step()


# With every weight at 0 each logit is 0, of which the sigmoid is 1/2 and its -log is log 2.


@pytest.mark.parametrize("classes", [0, 2])
def test_terms_in_closed_form(classes):
    method = at_zero(classes=classes)
    images = method(labelled(4))
    assert terms(method.discriminator_loss(images)) == {"adversarial": 2 * math.log(2)}
    assert terms(method.generator_loss(images)) == {"adversarial": math.log(2)}
    assert images.labels.shape == (4, classes)


@pytest.mark.parametrize(
    ("kind", "discriminator", "generator"),
    [
        ("minimax", 2 * math.log(2), -math.log(2)),
        ("maximum_likelihood", 2 * math.log(2), -1.0),
        ("lsgan", 1.0, 1.0),
        ("hinge", 2.0, 0.0),
    ],
)
def test_terms_of_other_kinds_in_closed_form(kind, discriminator, generator):
    method = at_zero(adversarial=kind)
    images = method(grey([0.1, 0.2]))
    assert terms(method.discriminator_loss(images)) == {"adversarial": discriminator}
    assert terms(method.generator_loss(images)) == {"adversarial": generator}


def test_weights_are_applied():
    method = at_zero(adversarial="lsgan", real_label=0.8, gradient_penalty=10.0, feature_matching=3.0)
    images = method(grey([0.1, 0.2]))
    # A flat discriminator has a slope of 0, which is 1 away from 1.
    assert terms(method.discriminator_loss(images)) == {"adversarial": 0.64, "gradient_penalty": 10.0}
    assert terms(method.generator_loss(images)) == {"adversarial": 1.0, "feature_matching": 0.0}


def test_the_losses_are_equation_1():
    method = make().eval()
    images = method(grey([0.1, -0.2, 0.3]))
    judge, loss = method.discriminator, AdversarialLoss("non_saturating")
    real, fake = judge(images.real_b), judge(images.fake_b)
    judged, fooled = (side(images)["adversarial"] for side in (method.discriminator_loss, method.generator_loss))
    # V(D, G) = E log D(x) + E log(1 - D(G(z))), and the generator's -E log D(G(z)) (Goodfellow 2016, sec. 3.2.3).
    value = torch.log(torch.sigmoid(real)).mean() + torch.log(1 - torch.sigmoid(fake)).mean()
    torch.testing.assert_close(judged, -value)
    torch.testing.assert_close(fooled, -torch.log(torch.sigmoid(fake)).mean())
    torch.testing.assert_close(judged, loss.discriminator(real, fake))


def test_each_step_generates_as_many_new_images_as_there_are_real_ones():
    method = make()
    batch = grey([0.1, -0.2, 0.3])
    torch.manual_seed(1)
    first, second = method(batch), method(batch)
    assert first.real_b is batch["b"]
    assert first.fake_b.shape == first.real_b.shape
    assert not torch.equal(first.fake_b, second.fake_b)
    torch.manual_seed(1)
    assert torch.equal(method(batch).fake_b, first.fake_b)
    torch.manual_seed(1)
    assert torch.equal(method.generator(torch.rand(3, 4) * 2 - 1), first.fake_b)


def test_the_generator_gets_the_labels_of_the_real_images():
    method = make(classes=3)
    batch = grey([0.1, 0.2, 0.3, 0.4], label=torch.tensor([2, 0, 0, 1]))
    torch.manual_seed(1)
    images = method(batch)
    codes = torch.tensor([[0.0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert torch.equal(images.labels, codes)
    torch.manual_seed(1)
    latents = torch.rand(4, 4) * 2 - 1
    assert torch.equal(method.generator(torch.cat([latents, codes], dim=1)), images.fake_b)
    torch.manual_seed(1)
    others = method({**batch, "label": torch.tensor([2, 1, 0, 1])})
    assert [torch.equal(a, b) for a, b in zip(others.fake_b, images.fake_b, strict=True)] == [True, False, True, True]


def test_the_discriminator_gets_the_label_as_a_channel_per_class():
    method = make(classes=2)
    images = method(labelled(4))
    planes = torch.zeros(4, 2, 8, 8)
    planes[[0, 2], 0] = 1
    planes[[1, 3], 1] = 1
    real, fake = (method.discriminator(torch.cat([planes, x], dim=1)) for x in (images.real_b, images.fake_b))
    loss = AdversarialLoss("non_saturating")
    judged, fooled = (side(images)["adversarial"] for side in (method.discriminator_loss, method.generator_loss))
    torch.testing.assert_close(judged, loss.discriminator(real, fake))
    torch.testing.assert_close(fooled, loss.generator(fake))
    wrong = images._replace(labels=images.labels.flip(1))
    assert abs(method.discriminator_loss(wrong)["adversarial"] - judged) > 1e-4


def test_a_preview_shows_the_same_latents_each_time():
    method = make(classes=2).eval()
    batch = labelled(5)
    torch.manual_seed(1)
    shown = method.preview(batch)
    torch.manual_seed(2)
    assert torch.equal(method.preview(batch).fake_b, shown.fake_b)
    assert torch.equal(shown.real_b, batch["b"])
    # Those of `i2i sample --seed 0`.
    latents = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(method.generator(torch.cat([latents, shown.labels], dim=1)), shown.fake_b)


def test_the_methods_own_networks_and_settings_are_dcgans():
    own = GAN.backbones(None, None, image_size=GAN.data_config.image_size, channels=(3, 3), classes=0)
    with torch.device("meta"):
        players = GAN(GAN.Config(), own).players()
    sizes = {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()}
    assert sizes == {"generator": 18_885_760, "discriminator": 17_232_768}
    train = GAN.train_config
    assert (train.lr, train.betas, train.batch_size) == (2e-4, (0.5, 0.999), 128)
    assert (train.weight_decay, train.epochs, train.lr_decay_fraction) == (1e-5, 25, 0.0)
    assert (GAN.data_config.image_size, GAN.data_config.augment) == (64, ())


def test_a_backbone_that_translates_draws_nothing():
    with pytest.raises(UsageError, match="unknown latent generator 'unet'; there are: dcgan, ian, ian_simple, mlp"):
        make(("unet", "mlp"))


@pytest.mark.parametrize("specs", [MLP, DCGAN])
def test_minibatch_features_are_of_the_discriminator_alone(specs):
    method = make((specs[0], f"{specs[1]}{',' if ':' in specs[1] else ':'}minibatch=3"))
    images = method(grey([0.1, -0.2, 0.3]))
    with freeze_all_but(method.discriminator, of=method):
        method.discriminator_loss(images)["adversarial"].backward()
    assert method.discriminator.head.get_submodule("0" if specs is MLP else "1").tensor.weight.grad.abs().max() > 0
    assert all(p.grad is None for p in method.generator.parameters())


def test_it_learns_the_brightness_of_its_images():
    # Images of one level each, drawn from N(0.3, 0.1).
    method = make()

    def batch():
        return grey(0.3 + 0.1 * torch.randn(32))

    def drawn():
        return method.preview(grey(torch.zeros(256))).fake_b.detach()

    assert abs(drawn().mean() - 0.3) > 0.25
    learn(method, batch, 250, lr=1e-3)
    assert drawn().mean().item() == pytest.approx(0.3, abs=0.1)
    # All over the image.
    assert drawn().mean((0, 1)).sub(0.3).abs().mean() < 0.18
    # The discriminator can't tell much any more: its loss at the end of the game is 2 log 2.
    judged = method.discriminator_loss(method(batch()))["adversarial"].item()
    assert judged == pytest.approx(2 * math.log(2), abs=0.3)


def test_it_learns_to_obey_the_label():
    method = make(classes=2)
    batch = labelled(16)
    before = method.preview(batch).fake_b.detach().mean((1, 2, 3))
    assert before.abs().max() < 0.3
    learn(method, lambda: labelled(32), 120, lr=2e-3)
    drawn = method.preview(batch).fake_b.detach().mean((1, 2, 3))
    assert (drawn[batch["label"] == 0] < -0.5).all()
    assert (drawn[batch["label"] == 1] > 0.5).all()


@pytest.fixture
def shades(tmp_path):
    """A folder of six grey images of 8 pixels."""
    for number in range(6):
        path = tmp_path / "shades" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 40 * number).save(path)
    return tmp_path / "shades"


SMALL = ["--generator", MLP[0], "--discriminator", MLP[1], "--image-size", "8", "--load-size", "8"]


def test_k_discriminator_steps_precede_each_step_of_the_generator(shades, tmp_path):
    words = ["train", "gan", str(shades), *SMALL, "--run", str(tmp_path / "run"), "--batch-size", "4"]
    assert main([*words, "--steps", "7", "--log-every", "1", "--samples", "2", "--discriminator-steps", "3"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "discriminator/adversarial" in line] == [1, 2, 3, 4, 5, 6, 7]
    assert [line["step"] for line in lines if "generator/adversarial" in line] == [3, 6]
    state = load_state(tmp_path / "run" / "state.pt")["optimizers"]
    assert {float(kept["step"]) for kept in state["generator"]["state"].values()} == {2.0}
    assert {float(kept["step"]) for kept in state["discriminator"]["state"].values()} == {7.0}


def test_momentum_from_the_command_line(shades, tmp_path):
    words = ["train", "gan", str(shades), *SMALL, "--run", str(tmp_path / "run"), "--batch-size", "4", "--steps", "3"]
    sgd = ["--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.7", "--weight-decay", "0"]
    assert main([*words, "--samples", "2", *sgd]) == 0
    train = json.loads((tmp_path / "run" / "config.json").read_text())["train"]
    assert (train["optimizer"], train["momentum"]) == ("sgd", 0.7)
    optimizers = load_state(tmp_path / "run" / "state.pt")["optimizers"]
    assert all(optimizers[player]["param_groups"][0]["momentum"] == 0.7 for player in ("generator", "discriminator"))
    assert all(state["momentum_buffer"].abs().max() > 0 for state in optimizers["generator"]["state"].values())


def test_momentum_descent_is_algorithm_1s(shades, tmp_path):
    settings = {"steps": 9, "batch_size": 4, "optimizer": "sgd", "lr": 0.05, "momentum": 0.7, "lr_decay_fraction": 0.0}
    train = TrainConfig(generator=MLP[0], discriminator=MLP[1], device="cpu", samples=2, **settings)
    config = RunConfig("gan", (str(shades),), GAN.Config(), DataConfig(image_size=8, load_size=8), train)
    run = build_run(config, find_layout([shades], data="single"), tmp_path / "run")
    weights = dict(run.method.named_parameters())
    velocity = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    batch = {"b": torch.stack([run.dataset[index]["b"] for index in range(4)])}
    for _ in range(4):
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        run.train_step(batch)
        for name, weight in weights.items():
            velocity[name] = 0.7 * velocity[name] + weight.grad
            torch.testing.assert_close(weight.detach(), before[name] - 0.05 * velocity[name], rtol=1e-4, atol=1e-7)
    assert all(one.abs().max() > 0 for one in velocity.values())


def test_the_gradient_penalty_measures_the_slope_along_the_image_alone():
    method = make(classes=2, gradient_penalty=1.0)
    images = method(labelled(4))
    images = images._replace(fake_b=images.real_b)  # between equal images there is one point
    x = images.real_b.clone().requires_grad_()
    planes = images.labels[:, :, None, None].expand(-1, -1, 8, 8)
    method.discriminator.eval()
    (slope,) = torch.autograd.grad(method.discriminator(torch.cat([planes, x], dim=1)).sum(), x)
    expected = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(method.discriminator_loss(images)["gradient_penalty"], expected)


@pytest.mark.parametrize(("data", "expected"), [(GAN.data_config, 64), (DataConfig(image_size=64), 72)])
def test_images_are_loaded_larger_only_where_they_are_changed_at_random(shades, tmp_path, data, expected):
    train = TrainConfig(generator=MLP[0], discriminator=MLP[1], device="cpu", batch_size=2, samples=2, steps=1)
    config = RunConfig("gan", (str(shades),), GAN.Config(), data, train)
    run = build_run(config, find_layout([shades], data="single"), tmp_path / "run")
    assert run.dataset.load_size == expected
