import inspect
import math
from typing import get_args

import pytest
import torch
from torch import nn

from i2i.errors import UsageError
from i2i.losses import AdversarialLoss, Kind
from i2i.networks import Backbones, Generator, discriminators, generators
from i2i.objectives import objectives
from i2i.registry import Spec
from i2i.trainer import only

SMALL = {"width": 4, "depth": 4, "blocks": 1, "layers": 1, "dropout": 0}
LETTERS = {"a": 0, "b": 1}
KINDS = get_args(Kind)


def small(text, registry, **more):
    """The spec with few weights and no dropout, as far as its builder has such options."""
    spec, wanted = Spec.parse(text), {**SMALL, **more}
    parameters = inspect.signature(registry[spec.name]).parameters
    return Spec(spec.name, {**spec.options, **{n: v for n, v in wanted.items() if n in parameters}})


def make(method, *, channels=(3, 3), width=4, **options):
    """A small objective of a method for 32 pixels, with its own backbones and these options."""
    torch.manual_seed(0)
    objective = objectives[method]
    backbones = Backbones(
        small(objective.generator_spec, generators, width=width),
        small(objective.discriminator_spec, discriminators),
        image_size=32,
        channels=channels,
    )
    return objective(objective.Config(**options), backbones)


def noise(count=2, channels=(3, 3)):
    draw = torch.Generator().manual_seed(1)
    return {name: torch.rand(count, channels[i], 32, 32, generator=draw) * 2 - 1 for name, i in LETTERS.items()}


def flat(a, b):
    return {"a": torch.full((2, 3, 32, 32), a), "b": torch.full((2, 3, 32, 32), b)}


def at_zero(method, **options):
    """An objective whose every weight is 0: generators give 0 (grey), discriminators the logit 0."""
    objective = make(method, **options)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.zero_()
    return objective


def terms(losses):
    return {name: pytest.approx(value.item(), rel=1e-5) for name, value in losses.items()}


def moved(module):
    """Names of the parameters that a gradient reached."""
    return {name for name, parameter in module.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", objectives)
def test_terms_are_finite_scalars_and_so_are_their_gradients(method, kind):
    objective = make(method, adversarial=kind, gradient_penalty=10.0 if kind == "wasserstein" else 0.0)
    images = objective(noise())
    named = {}
    for player, loss in objective.turns(1):
        with only(objective.players()[player], of=objective):
            named[player] = loss(images)
            sum(named[player].values()).backward()
    for losses in named.values():
        assert all(value.shape == () and value.isfinite() for value in losses.values())
    assert all(p.grad.isfinite().all() for p in objective.parameters())
    assert any("gradient_penalty" in term for term in named["discriminator"]) is (kind == "wasserstein")


@pytest.mark.parametrize("method", objectives)
def test_every_parameter_belongs_to_exactly_one_player(method):
    objective = make(method)
    owned = [id(parameter) for player in objective.players().values() for parameter in player.parameters()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(parameter) for parameter in objective.parameters()}


@pytest.mark.parametrize("weight", [0.0, 10.0])
@pytest.mark.parametrize("method", objectives)
def test_a_turn_moves_its_own_player_alone_and_all_of_it(method, weight):
    objective = make(method, gradient_penalty=weight)
    players = objective.players()
    images = objective(noise())
    for name, loss in objective.turns(1):
        objective.zero_grad(set_to_none=True)
        with only(players[name], of=objective):
            sum(loss(images).values()).backward()
        for other, player in players.items():
            everything = {key for key, _ in player.named_parameters()}
            assert moved(player) == (everything if other == name else set())
    assert all(parameter.requires_grad for parameter in objective.parameters())


@pytest.mark.parametrize("weight", [0.0, 10.0])
@pytest.mark.parametrize("method", objectives)
def test_the_discriminators_loss_never_reaches_a_generator(method, weight):
    objective = make(method, gradient_penalty=weight)
    players = objective.players()
    sum(objective.discriminator_loss(objective(noise())).values()).backward()
    assert moved(players["generator"]) == set()
    assert moved(players["discriminator"])


@pytest.mark.parametrize("method", objectives)
def test_images_keep_size_and_have_the_channels_of_their_domain(method):
    channels = (3, 1)
    objective = make(method, channels=channels)
    batch = noise(channels=channels)
    images = objective(batch)
    assert isinstance(images, objective.Images)
    for name, image in zip(images._fields, images, strict=True):
        assert image.shape == (2, channels[LETTERS[name[-1]]], 32, 32)
        assert image.abs().max() <= 1
        if name.startswith("real_"):
            assert torch.equal(image, batch[name[-1]])


@pytest.mark.parametrize("method", objectives)
def test_maps_are_generators_between_the_domains_they_name(method):
    channels = (3, 1)
    objective = make(method, channels=channels)
    maps = objective.maps()
    assert "a2b" in maps
    owned = {id(parameter) for parameter in objective.players()["generator"].parameters()}
    for name, network in maps.items():
        assert isinstance(network, Generator)
        start, end = name.split("2")
        assert (network.in_channels, network.out_channels) == (channels[LETTERS[start]], channels[LETTERS[end]])
        assert {id(parameter) for parameter in network.parameters()} <= owned
        assert Spec.parse(str(network.spec)) == network.spec


@pytest.mark.parametrize("method", objectives)
def test_the_discriminator_moves_every_step_and_the_generator_every_kth(method):
    objective = make(method, discriminator_steps=3)
    players = [{name for name, _ in objective.turns(step)} for step in range(1, 7)]
    assert players == 2 * [{"discriminator"}, {"discriminator"}, {"discriminator", "generator"}]
    named = [name for name, _ in objective.turns(3)]
    assert len(named) == len(set(named)) == len(objective.players())


@pytest.mark.parametrize(
    ("method", "order"),
    [("pix2pix", ["discriminator", "generator"]), ("cyclegan", ["generator", "discriminator"])],
)
def test_turns_are_in_the_papers_order(method, order):
    objective = make(method)
    assert [name for name, _ in objective.turns(1)] == order
    assert dict(objective.turns(1)) == {
        "discriminator": objective.discriminator_loss,
        "generator": objective.generator_loss,
    }


def pattern():
    """Two pictures and another way to colour them: smooth, so that a small network can learn them in few steps."""
    line = torch.linspace(-1, 1, 32)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    disc = torch.where(rows**2 + columns**2 < 0.5, 0.8, -0.8)
    a = torch.stack([torch.stack([rows, columns, disc]), torch.stack([-columns, disc, rows])])
    return {"a": a, "b": -0.8 * a.flip(1)}


@pytest.mark.parametrize("method", objectives)
def test_one_batch_is_learned_by_heart(method):
    objective = make(method, width=8)
    players = objective.players()
    adams = {n: torch.optim.Adam(p.parameters(), lr=2e-3, betas=(0.5, 0.999)) for n, p in players.items()}
    batch, history = pattern(), []
    for step in range(1, 61):
        images = objective(batch)
        for name, loss in objective.turns(step):
            with only(players[name], of=objective):
                losses = loss(images)
                adams[name].zero_grad(set_to_none=True)
                sum(losses.values()).backward()
            adams[name].step()
            if name == "generator":
                history.append(sum(v.item() for term, v in losses.items() if not term.startswith("adversarial")))
    assert sum(history[-5:]) / 5 < 0.4 * history[0]


@pytest.mark.parametrize("method", objectives)
def test_more_discriminator_steps_than_none(method):
    with pytest.raises(UsageError, match="discriminator_steps is 0; it should be above 0"):
        make(method, discriminator_steps=0)


@pytest.mark.parametrize("method", objectives)
def test_a_smoothed_hinge_is_refused_as_a_usage_error(method):
    with pytest.raises(UsageError, match="'hinge' has no target to smooth"):
        make(method, adversarial="hinge", real_label=0.9)


@pytest.mark.parametrize("method", objectives)
def test_a_size_that_the_generator_does_not_take_is_refused(method):
    objective = objectives[method]
    asked = Backbones(Spec.parse("unet:depth=8,width=1"), Spec.parse("patchgan:width=1"), image_size=250)
    with pytest.raises(UsageError, match=r"image size 250: .* multiple of 256; use 256, or --generator resnet"):
        objective(objective.Config(), asked)


def test_a_backbone_that_is_asked_for_keeps_what_the_method_sets_of_its_own():
    backbones = objectives["cyclegan"].backbones
    sizes = {"image_size": 128, "channels": (3, 1)}
    own = backbones(None, None, **sizes)
    assert (str(own.generator_spec), str(own.discriminator_spec)) == ("resnet", "patchgan:norm=instance")
    assert (own.image_size, own.channels) == (128, (3, 1))
    assert backbones(None, "patchgan:layers=1", **sizes).discriminator_spec.options == {"norm": "instance", "layers": 1}
    assert backbones(None, "patchgan:norm=batch", **sizes).discriminator_spec.options == {"norm": "batch"}
    assert str(backbones("unet:width=8", None, **sizes).generator_spec) == "unet:width=8"


@pytest.mark.parametrize(
    ("method", "generator", "discriminator"),
    [("pix2pix", 54_413_955, 2_768_705), ("cyclegan", 2 * 11_378_179, 2 * 2_764_737)],
)
def test_a_methods_own_networks_are_the_published_ones(method, generator, discriminator):
    objective = objectives[method]
    own = Backbones(Spec.parse(objective.generator_spec), Spec.parse(objective.discriminator_spec), image_size=256)
    with torch.device("meta"):
        players = objective(objective.Config(), own).players()
    sizes = {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()}
    assert sizes == {"generator": generator, "discriminator": discriminator}


# With every weight at 0 the terms are known: -log sigmoid(0) = log 2, (0 - 1)^2 = 1, and L1 to grey is the mean.


def test_pix2pix_terms_in_closed_form():
    objective = at_zero("pix2pix")
    images = objective(flat(0.5, -0.25))
    assert {"adversarial": math.log(2), "l1": 25.0} == terms(objective.generator_loss(images))
    assert {"adversarial": 0.5 * 2 * math.log(2)} == terms(objective.discriminator_loss(images))


def test_pix2pix_weights_are_applied():
    objective = at_zero("pix2pix", l1_weight=8.0, gradient_penalty=10.0, adversarial="lsgan", real_label=0.8)
    images = objective(flat(0.5, -0.25))
    assert terms(objective.generator_loss(images)) == {"adversarial": 1.0, "l1": 2.0}
    assert terms(objective.discriminator_loss(images)) == {"adversarial": 0.5 * 0.64, "gradient_penalty": 5.0}


def test_cyclegan_terms_in_closed_form():
    objective = at_zero("cyclegan")
    images = objective(flat(0.5, -0.25))
    assert terms(objective.generator_loss(images)) == {
        "adversarial_a": 1.0,
        "adversarial_b": 1.0,
        "cycle_a": 5.0,
        "cycle_b": 2.5,
    }
    assert terms(objective.discriminator_loss(images)) == {"adversarial_a": 0.5, "adversarial_b": 0.5}


def test_cyclegan_weights_are_applied():
    objective = at_zero("cyclegan", cycle_weight=2.0, identity_weight=4.0, gradient_penalty=10.0, real_label=0.8)
    images = objective(flat(0.5, -0.25))
    assert terms(objective.generator_loss(images)) == {
        "adversarial_a": 1.0,
        "adversarial_b": 1.0,
        "cycle_a": 1.0,
        "cycle_b": 0.5,
        "identity_a": 2.0,
        "identity_b": 1.0,
    }
    assert terms(objective.discriminator_loss(images)) == {
        "adversarial_a": 0.5 * 0.64,
        "adversarial_b": 0.5 * 0.64,
        "gradient_penalty_a": 5.0,
        "gradient_penalty_b": 5.0,
    }


def test_pix2pix_judges_input_and_output_together():
    objective = make("pix2pix").eval()
    batch = noise()
    images = objective(batch)
    judge, loss = objective.discriminator, AdversarialLoss("non_saturating")
    real, fake = (judge(torch.cat([batch["a"], b], 1)) for b in (batch["b"], objective.generator(batch["a"])))
    judged, fooled = (side(images)["adversarial"] for side in (objective.discriminator_loss, objective.generator_loss))
    torch.testing.assert_close(judged, 0.5 * loss.discriminator(real, fake))
    torch.testing.assert_close(fooled, loss.generator(fake))


def test_cyclegan_goes_there_and_back():
    objective = make("cyclegan", identity_weight=1.0).eval()
    batch = noise()
    images = objective(batch)
    losses = objective.generator_loss(images)
    for domain, network in (("a", objective.b2a), ("b", objective.a2b)):
        distance = (network(batch[domain]) - batch[domain]).abs().mean()
        torch.testing.assert_close(losses[f"identity_{domain}"], distance)
    torch.testing.assert_close(images.fake_b, objective.a2b(batch["a"]))
    torch.testing.assert_close(images.cycled_a, objective.b2a(objective.a2b(batch["a"])))
    torch.testing.assert_close(images.fake_a, objective.b2a(batch["b"]))
    torch.testing.assert_close(images.cycled_b, objective.a2b(objective.b2a(batch["b"])))


def test_cyclegan_discriminators_are_shown_the_history():
    objective = make("cyclegan", history=3).train()
    judge, loss = objective.discriminator_a, AdversarialLoss("lsgan")
    images = objective(noise(count=1))
    older = [torch.full((1, 3, 32, 32), value) for value in (-0.5, 0.0, 0.5)]
    for old in older:
        objective.history_a(old)
    fresh = loss.discriminator(judge(images.real_a), judge(images.fake_a))
    known = [0.5 * loss.discriminator(judge(images.real_a), judge(shown)).item() for shown in (images.fake_a, *older)]
    assert len({round(value, 6) for value in known}) == 4
    seen = set()
    for _ in range(40):
        value = objective.discriminator_loss(images)["adversarial_a"].item()
        seen.add(min(range(4), key=lambda i: abs(known[i] - value)))
        assert min(abs(k - value) for k in known) < 1e-5
    assert 0.5 * fresh.item() == pytest.approx(known[0])
    assert len(seen) >= 2


def test_cyclegan_identity_needs_as_many_channels():
    with pytest.raises(UsageError, match="identity_weight needs as many channels in both domains, not 3 and 1"):
        make("cyclegan", channels=(3, 1), identity_weight=5.0)


def test_only_gives_back_what_it_took_even_after_an_error():
    pair = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    pair[1].bias.requires_grad_(False)
    with only(pair[0], of=pair):
        assert [p.requires_grad for p in pair.parameters()] == [True, True, False, False]
    with pytest.raises(RuntimeError, match="shapes"), only(pair[0], of=pair):
        pair[0](torch.ones(3, 3))
    assert [p.requires_grad for p in pair.parameters()] == [True, True, True, False]
