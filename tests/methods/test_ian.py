"""IAN: who learns from what, the three answers of its discriminator, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from i2i.errors import UsageError
from i2i.losses import orthogonal_penalty
from i2i.methods import methods
from i2i.methods.ian import real_logit
from i2i.training.player import freeze_all_but
from support.methods import make, noise


def test_cross_entropy_of_three_answers_is_that_of_real_and_generated_and_of_the_two_kinds():
    method = make("ian", orthogonal_weight=0.0)
    images = method(noise("ian"))
    losses = method.discriminator_loss(images)
    answers = [method.discriminator(x) for x in (images.real_b, images.reconstructed_b, images.fake_b)]
    expected = sum(F.cross_entropy(logits, torch.full((len(logits),), k)) for k, logits in enumerate(answers))
    torch.testing.assert_close(sum(losses.values()), expected)
    assert losses.keys() == {"adversarial", "kind"}
    generated = sum(F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long)) for logits in answers[1:])
    torch.testing.assert_close(method.generator_loss(images)["adversarial"], generated)


def test_one_answer_is_whether_an_image_is_real():
    method = make("ian", discriminator={"answers": 1}, orthogonal_weight=0.0)
    images = method(noise("ian"))
    real, reconstructed, fake = (method.discriminator(x) for x in (images.real_b, *images[1:3]))
    expected = F.softplus(-real).mean() + F.softplus(reconstructed).mean() + F.softplus(fake).mean()
    torch.testing.assert_close(method.discriminator_loss(images)["adversarial"], expected)


def test_the_odds_of_being_real_are_those_of_the_softmax():
    logits = torch.randn(5, 3)
    torch.testing.assert_close(torch.sigmoid(real_logit(logits))[:, 0], logits.softmax(1)[:, 0])


def test_the_trunk_learns_from_the_discriminators_loss_alone():
    method = make("ian")
    trunk = list(method.discriminator.trunk.parameters())
    players = method.players()
    owned = {id(weight) for weight in players["generator"].parameters()}
    assert not owned & {id(weight) for weight in trunk}
    images = method(noise("ian"))
    with freeze_all_but(players["generator"], of=method):
        sum(method.generator_loss(images).values()).backward()
    assert all(weight.grad is None for weight in trunk)
    for weight in players["generator"].parameters():
        assert weight.grad is not None
    with freeze_all_but(players["discriminator"], of=method):
        sum(method.discriminator_loss(images).values()).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in trunk if weight.dim() > 1)


def test_terms_are_those_of_the_code():
    method = make("ian")
    images = method(noise("ian"))
    losses = method.generator_loss(images)
    real, reconstructed = images.real_b, images.reconstructed_b
    torch.testing.assert_close(losses["l1"], 3 * (2 * (reconstructed - real).abs()).mean())
    mean, s = images.mean, images.log_deviation
    torch.testing.assert_close(losses["divergence"], -0.5 * (1 + 2 * s - mean**2 - torch.exp(2 * s)).mean())
    pairs = zip(method.discriminator.trunk(real), method.discriminator.trunk(reconstructed), strict=True)
    torch.testing.assert_close(losses["feature"], torch.stack([(x - y).square().mean() for x, y in pairs]).mean())
    head = sum(w.square().sum() for w in method.encoder.head.parameters() if w.dim() > 1)
    torch.testing.assert_close(losses["latent_decay"], 1e-5 * head)
    torch.testing.assert_close(losses["orthogonal"], 1e-3 * orthogonal_penalty(method.generator))


def test_the_orthogonal_penalty_is_0_for_filters_of_orthonormal_rows():
    layer = torch.nn.Conv2d(4, 3, 3)
    assert orthogonal_penalty(layer) > 1
    rows = torch.stack([torch.linalg.qr(torch.randn(12, 3))[0].T for _ in range(3)])  # (filter, row, channel * column)
    layer.weight.data = rows.unflatten(2, (4, 3)).transpose(1, 2).contiguous()
    assert orthogonal_penalty(layer).item() == pytest.approx(0, abs=1e-4)


def test_the_averages_that_encode_are_those_of_real_images():
    method = make("ian")
    norm = next(m for m in method.discriminator.modules() if isinstance(m, torch.nn.BatchNorm2d))
    images = method(noise("ian"))
    before = norm.running_mean.clone()
    method.discriminator_loss(images)
    method.generator_loss(images)
    assert torch.equal(norm.running_mean, before)
    method(noise("ian"))
    assert not torch.equal(norm.running_mean, before)


def test_it_learns_to_reconstruct():
    method = make("ian", width=8, generator={"latent": 16}, discriminator={"width": 8, "minibatch": 5})
    players = method.players()
    adams = {name: torch.optim.Adam(p.parameters(), lr=3e-3, betas=(0.5, 0.999)) for name, p in players.items()}
    line, draw, distances = torch.linspace(-1, 1, 32), torch.Generator().manual_seed(0), []
    for step in range(30):
        centres = torch.rand(8, 2, 1, 1, generator=draw) - 0.5
        discs = ((line[:, None] - centres[:, 0]) ** 2 + (line - centres[:, 1]) ** 2 < 0.2).float() * 1.6 - 0.8
        images = method({"b": discs[:, None].expand(-1, 3, -1, -1)})
        for name, loss in method.turns(step):
            adams[name].zero_grad(set_to_none=True)
            with freeze_all_but(players[name], of=method):
                sum(loss(images).values()).backward()
            adams[name].step()
        distances.append((images.real_b - images.reconstructed_b).abs().mean().item())
    assert math.fsum(distances[-5:]) < 0.5 * math.fsum(distances[:5])


def test_backbones_that_cannot_encode_are_refused():
    with pytest.raises(UsageError, match=r"'dcgan' generates from another distribution; use .*ian_simple"):
        methods["ian"](methods["ian"].Config(), methods["ian"].backbones("dcgan", None, image_size=16, channels=(3, 3)))
    with pytest.raises(UsageError, match="'dcgan' has no trunk to encode with; use"):
        methods["ian"](methods["ian"].Config(), methods["ian"].backbones(None, "dcgan", image_size=16, channels=(3, 3)))
