import math
from typing import get_args

import pytest
import torch
from torch import tensor
from torch.distributions import Normal, Uniform

from i2i.losses import AdversarialLoss, Kind

KINDS = get_args(Kind)
CROSS_ENTROPY = ("minimax", "non_saturating", "maximum_likelihood")
LOG2, LOG3 = math.log(2), math.log(3)
# sigmoid(log 3) = 3/4: a quarter of the way to being fooled.
REAL, FAKE = tensor([0.0, LOG3]), tensor([LOG3, 0.0])
REAL_SCORE, FAKE_SCORE = tensor([0.5, 2.0]), tensor([-2.0, 0.5])


@pytest.mark.parametrize(
    ("kind", "real", "fake", "discriminator", "generator"),
    [
        ("minimax", REAL, FAKE, 0.5 * math.log(8 / 3) + 1.5 * LOG2, -1.5 * LOG2),
        ("non_saturating", REAL, FAKE, 0.5 * math.log(8 / 3) + 1.5 * LOG2, 0.5 * math.log(8 / 3)),
        ("maximum_likelihood", REAL, FAKE, 0.5 * math.log(8 / 3) + 1.5 * LOG2, -2.0),
        ("lsgan", REAL_SCORE, FAKE_SCORE, (0.25 + 1) / 2 + (4 + 0.25) / 2, (9 + 0.25) / 2),
        ("hinge", REAL_SCORE, FAKE_SCORE, (0.5 + 0) / 2 + (0 + 1.5) / 2, 0.75),
        ("wasserstein", REAL_SCORE, FAKE_SCORE, -1.25 - 0.75, 0.75),
    ],
)
def test_numbers_worked_out_by_hand(kind, real, fake, discriminator, generator):
    loss = AdversarialLoss(kind)
    assert loss.discriminator(real, fake).item() == pytest.approx(discriminator)
    assert loss.generator(fake).item() == pytest.approx(generator)


def test_the_hand_worked_table_is_complete():
    (mark,) = test_numbers_worked_out_by_hand.pytestmark
    assert {row[0] for row in mark.args[1]} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_any_shape_are_averaged(kind):
    loss = AdversarialLoss(kind)
    real, fake = REAL.repeat(18).view(2, 2, 3, 3), FAKE.repeat(18).view(2, 2, 3, 3)
    torch.testing.assert_close(loss.discriminator(real, fake), loss.discriminator(REAL, FAKE))
    torch.testing.assert_close(loss.generator(fake), loss.generator(FAKE))


@pytest.mark.parametrize("kind", KINDS)
def test_scales_are_added(kind):
    loss = AdversarialLoss(kind)
    fine, coarse = torch.randn(2, 1, 6, 6), torch.randn(2, 1, 3, 3)
    both = loss.discriminator([fine, coarse], [-fine, -coarse])
    torch.testing.assert_close(both, loss.discriminator(fine, -fine) + loss.discriminator(coarse, -coarse))
    torch.testing.assert_close(loss.generator([fine, coarse]), loss.generator(fine) + loss.generator(coarse))


def test_as_many_scales_of_real_as_of_fake():
    with pytest.raises(ValueError, match="zip"):
        AdversarialLoss("lsgan").discriminator([REAL, REAL], [FAKE])


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_logits_give_a_float32_loss(kind):
    loss = AdversarialLoss(kind)
    real, fake = REAL.bfloat16(), FAKE.bfloat16()
    for value in (loss.discriminator(real, fake), loss.generator(fake)):
        assert value.dtype == torch.float32
        assert value.shape == ()
    torch.testing.assert_close(loss.discriminator(real, fake), loss.discriminator(real.float(), fake.float()))


@pytest.mark.parametrize("kind", CROSS_ENTROPY)
def test_large_logits_do_not_overflow(kind):
    loss = AdversarialLoss(kind)
    assert loss.discriminator(tensor([-1e4]), tensor([1e4])).item() == pytest.approx(2e4)
    assert loss.discriminator(tensor([1e4]), tensor([-1e4])).item() == 0


@pytest.mark.parametrize("kind", [*CROSS_ENTROPY, "lsgan"])
def test_smoothing_touches_the_real_side_alone(kind):
    plain, smoothed = AdversarialLoss(kind), AdversarialLoss(kind, real_label=0.9)
    fake = torch.randn(5, requires_grad=True)
    (before,) = torch.autograd.grad(plain.discriminator(REAL, fake), fake)
    (after,) = torch.autograd.grad(smoothed.discriminator(REAL, fake), fake)
    torch.testing.assert_close(before, after)
    torch.testing.assert_close(plain.generator(fake), smoothed.generator(fake))
    changed = (smoothed.discriminator(REAL, fake) - plain.discriminator(REAL, fake)).item()
    # BCE(x, 1 - s) = BCE(x, 1) + s x; (x - 1 + s)^2 = (x - 1)^2 + 2 s (x - 1) + s^2.
    x = LOG3 / 2
    assert changed == pytest.approx(0.1 * x if kind != "lsgan" else 0.2 * (x - 1) + 0.01, abs=1e-6)


@pytest.mark.parametrize("kind", ["hinge", "wasserstein"])
def test_what_has_no_target_is_not_smoothed(kind):
    with pytest.raises(ValueError, match=f"'{kind}' has no target to smooth"):
        AdversarialLoss(kind, real_label=0.9)


@pytest.mark.parametrize("label", [0.0, -0.1, 1.1])
def test_the_real_label_lies_between_0_and_1(label):
    with pytest.raises(ValueError, match=f"real_label is {label}"):
        AdversarialLoss("lsgan", real_label=label)


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(ValueError, match=r"unknown adversarial loss 'gan'; there are: minimax, .*wasserstein"):
        AdversarialLoss("gan")


# The tutorial's comparison of the generator's costs (Goodfellow 2016, sec. 3.2 and figure 16).


@pytest.mark.parametrize(
    ("kind", "slope"),
    [
        ("minimax", lambda x: -torch.sigmoid(x)),
        ("non_saturating", lambda x: -torch.sigmoid(-x)),
        ("maximum_likelihood", lambda x: -torch.exp(x)),
    ],
)
def test_slopes_of_the_generators_costs(kind, slope):
    x = torch.linspace(-8, 3, 23, requires_grad=True)
    (gradient,) = torch.autograd.grad(len(x) * AdversarialLoss(kind).generator(x), x)
    torch.testing.assert_close(gradient, slope(x.detach()))


def test_where_the_discriminator_wins_only_the_non_saturating_cost_is_steep():
    slopes = {}
    for kind in CROSS_ENTROPY:
        x = tensor([-8.0], requires_grad=True)
        slopes[kind] = -torch.autograd.grad(AdversarialLoss(kind).generator(x), x)[0].item()
    assert slopes["non_saturating"] > 0.999
    assert 0 < slopes["minimax"] < 0.001
    assert 0 < slopes["maximum_likelihood"] < 0.001


def test_maximum_likelihood_cost_has_the_likelihoods_gradient():
    # Against the best discriminator, exp(logit) = p_data / p_g, and the gradient of E_g[-exp(logit)] is that of
    # -E_data[log p_g]: for p_g = softmax(s) it is p_g - p_data (Goodfellow 2016, sec. 3.2.4).
    data = tensor([0.5, 0.2, 0.2, 0.1])
    scores = tensor([0.3, -0.4, 0.0, 1.0], requires_grad=True)
    made = torch.softmax(scores, 0)
    logits = (data / made).log().detach()
    costs = torch.stack([AdversarialLoss("maximum_likelihood").generator(logit) for logit in logits])
    (gradient,) = torch.autograd.grad((made * costs).sum(), scores)
    torch.testing.assert_close(gradient, made.detach() - data)


# The game's theory in one dimension: a discriminator with a free logit in each bin of a line, trained on stratified
# samples of two known distributions (Goodfellow et al. 2014, sec. 4.1; PAPERS.md, cards 1 and 9).

EDGES = torch.linspace(-5, 5, 51)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
DATA, MADE = Normal(1.0, 1.0), Normal(-1.0, 1.0)


def samples(distribution, count=5000):
    """The bin of each of `count` samples, one from the middle of each equally likely stratum."""
    points = distribution.icdf((torch.arange(count) + 0.5) / count)
    return torch.bucketize(points.clamp(EDGES[0], EDGES[-1]), EDGES[1:-1])


def best_discriminator(loss, data, made, steps=300):
    """Each bin's logit after training, and the loss there."""
    logits = torch.zeros(len(CENTRES), requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        adam.zero_grad()
        loss.discriminator(logits[data], logits[made]).backward()
        adam.step()
        schedule.step()
    return logits.detach(), loss.discriminator(logits[data], logits[made]).item()


def share_of_data(data, made):
    """p_data / (p_data + p_g) in each bin, and where enough samples lie to say so."""
    p_data = torch.bincount(data, minlength=len(CENTRES)).float()
    p_made = torch.bincount(made, minlength=len(CENTRES)).float()
    return p_data / (p_data + p_made), p_data + p_made > 50


@pytest.mark.parametrize("real_label", [1.0, 0.9])
@pytest.mark.parametrize("kind", [*CROSS_ENTROPY, "lsgan"])
def test_the_best_discriminator_is_the_share_of_data(kind, real_label):
    data, made = samples(DATA), samples(MADE)
    logits, _ = best_discriminator(AdversarialLoss(kind, real_label=real_label), data, made)
    judged = logits if kind == "lsgan" else logits.sigmoid()
    share, known = share_of_data(data, made)
    torch.testing.assert_close(judged[known], real_label * share[known], atol=0.01, rtol=0)
    # For N(1, 1) against N(-1, 1), p_data / p_g = exp(2x).
    torch.testing.assert_close(judged[known], real_label * torch.sigmoid(2 * CENTRES[known]), atol=0.03, rtol=0)


@pytest.mark.parametrize("kind", CROSS_ENTROPY)
def test_at_equality_the_discriminator_says_half_and_the_value_is_minus_log_4(kind):
    data = samples(DATA)
    logits, loss = best_discriminator(AdversarialLoss(kind), data, data)
    torch.testing.assert_close(logits.sigmoid(), torch.full_like(logits, 0.5), atol=1e-4, rtol=0)
    assert -loss == pytest.approx(-math.log(4), abs=1e-5)


def test_at_equality_a_smoothed_discriminator_says_half_the_label():
    data = samples(DATA)
    logits, _ = best_discriminator(AdversarialLoss("non_saturating", real_label=0.9), data, data)
    _, known = share_of_data(data, data)
    torch.testing.assert_close(logits.sigmoid()[known], torch.full((int(known.sum()),), 0.45), atol=0.01, rtol=0)


def test_smoothing_bounds_the_logit_where_all_is_real():
    data, made = samples(Uniform(-1.0, 3.0)), samples(Uniform(-3.0, 1.0))
    only_real, only_fake = (CENTRES > 1) & (CENTRES < 3), (CENTRES < -1) & (CENTRES > -3)
    smoothed, _ = best_discriminator(AdversarialLoss("non_saturating", real_label=0.9), data, made)
    bound = math.log(0.9 / 0.1)
    assert bound == pytest.approx(2.197, abs=1e-3)
    torch.testing.assert_close(smoothed[only_real].sigmoid(), torch.full((10,), 0.9), atol=0.01, rtol=0)
    assert smoothed.max().item() <= bound + 0.05
    plain, _ = best_discriminator(AdversarialLoss("non_saturating"), data, made)
    assert plain[only_real].min().item() > bound + 1
    # One-sided: where all is generated, the target stays 0 and the logit goes on falling.
    assert smoothed[only_fake].max().item() < -bound - 1


def test_the_best_hinge_discriminator_is_a_sign():
    data, made = samples(DATA), samples(MADE)
    logits, _ = best_discriminator(AdversarialLoss("hinge"), data, made)
    share, known = share_of_data(data, made)
    clear = known & ((share - 0.5).abs() > 0.2)
    # Beyond 1 the loss of a bin of one side is flat, so only what lies within counts.
    torch.testing.assert_close(logits[clear].clamp(-1, 1), torch.sign(share[clear] - 0.5), atol=0.02, rtol=0)
    mixed = clear & (share > 0.05) & (share < 0.95)
    assert mixed.sum() >= 8
    torch.testing.assert_close(logits[mixed], torch.sign(share[mixed] - 0.5), atol=0.02, rtol=0)
