import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
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
def test_kinds_without_a_target_refuse_smoothing(kind):
    with pytest.raises(ValueError, match=f"'{kind}' has no target to smooth"):
        AdversarialLoss(kind, real_label=0.9)


@pytest.mark.parametrize("label", [0.0, -0.1, 1.1])
def test_the_real_label_lies_between_0_and_1(label):
    with pytest.raises(ValueError, match=f"real_label is {label}"):
        AdversarialLoss("lsgan", real_label=label)


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(ValueError, match=r"unknown adversarial loss 'gan'; there are: minimax, .*wasserstein"):
        AdversarialLoss("gan")


@pytest.mark.parametrize("kind", CROSS_ENTROPY)
def test_without_smoothing_it_is_binary_cross_entropy(kind):
    real, fake = 3 * torch.randn(64), 3 * torch.randn(64)
    one, zero = torch.ones(64), torch.zeros(64)
    parts = F.binary_cross_entropy_with_logits(real, one), F.binary_cross_entropy_with_logits(fake, zero)
    for loss in (AdversarialLoss(kind), AdversarialLoss(kind, real_label=1.0)):
        assert loss.discriminator(real, fake).item() == pytest.approx(sum(parts).item(), rel=1e-6)
        # Nothing at all is left of the smoothing: where all is right, the loss is 0.
        assert loss.discriminator(torch.full((4,), 200.0), torch.full((4,), -200.0)).item() == 0


FAKE_ACCURACY = {
    "minimax": ([-2.0, -0.1, 0.0, 0.1], 0.5),
    "non_saturating": ([-2.0, -0.1, 0.0, 0.1], 0.5),
    "maximum_likelihood": ([-2.0, -0.1, 0.0, 0.1], 0.5),
    "lsgan": ([-2.0, 0.4, 0.5, 0.6], 0.5),
    "hinge": ([-2.0, -0.1, 0.0, 0.1], 0.5),
    "wasserstein": ([-2.0, -0.1, 0.0, 0.1], 0.5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_fake_accuracy_is_the_share_on_the_generated_side(kind):
    loss = AdversarialLoss(kind)
    logits, share = FAKE_ACCURACY[kind]
    assert loss.fake_accuracy(tensor(logits)).item() == share
    assert loss.fake_accuracy(tensor(logits)[:, None].expand(4, 9).reshape(2, 2, 3, 3)).item() == share
    assert loss.fake_accuracy(torch.full((2, 1, 3, 3), -9.0)).item() == 1
    assert loss.fake_accuracy(torch.full((2, 1, 3, 3), 9.0)).item() == 0


def test_fake_accuracy_weighs_every_scale_alike():
    fine, coarse = torch.full((2, 1, 6, 6), -1.0, requires_grad=True), torch.ones(2, 1, 3, 3)
    share = AdversarialLoss("non_saturating").fake_accuracy([fine, coarse, coarse, coarse])
    assert share.item() == 0.25
    assert not share.requires_grad


@pytest.mark.parametrize("real_label", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("kind", [*CROSS_ENTROPY, "lsgan"])
def test_the_boundary_is_the_logit_of_an_undecided_discriminator(kind, real_label):
    # Where as many are real as generated the best discriminator says half the label (Goodfellow et al. 2014, sec. 4.1).
    loss = AdversarialLoss(kind, real_label=real_label)
    undecided = tensor(real_label / 2) if kind == "lsgan" else torch.logit(tensor(real_label / 2))
    undecided.requires_grad_()
    (slope,) = torch.autograd.grad(loss.discriminator(undecided, undecided), undecided)
    assert slope.item() == pytest.approx(0, abs=1e-6)
    assert loss.fake_accuracy(undecided.detach() + 0.01).item() == 0
    assert loss.fake_accuracy(undecided.detach() - 0.01).item() == 1


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
# samples of two known distributions (Goodfellow et al. 2014, sec. 4.1).

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


# The three kinds of cross-entropy have one discriminator's loss (test_without_smoothing_it_is_binary_cross_entropy,
# test_smoothing_touches_the_real_side_alone), so that one of them is trained.
@pytest.mark.parametrize(("kind", "real_label"), [("non_saturating", 1.0), ("minimax", 0.9), ("lsgan", 0.9)])
def test_the_best_discriminator_is_the_share_of_data(kind, real_label):
    data, made = samples(DATA), samples(MADE)
    logits, _ = best_discriminator(AdversarialLoss(kind, real_label=real_label), data, made)
    judged = logits if kind == "lsgan" else logits.sigmoid()
    share, known = share_of_data(data, made)
    torch.testing.assert_close(judged[known], real_label * share[known], atol=0.01, rtol=0)
    # For N(1, 1) against N(-1, 1), p_data / p_g = exp(2x).
    torch.testing.assert_close(judged[known], real_label * torch.sigmoid(2 * CENTRES[known]), atol=0.03, rtol=0)


@pytest.mark.parametrize("real_label", [1.0, 0.9])
@pytest.mark.parametrize("kind", [*CROSS_ENTROPY, "lsgan"])
def test_nothing_pulls_at_the_discriminator_of_the_closed_form(kind, real_label):
    data, made = samples(DATA), samples(MADE)
    share, known = share_of_data(data, made)
    judged = real_label * share
    logits = (judged if kind == "lsgan" else torch.logit(judged)).requires_grad_()
    loss = AdversarialLoss(kind, real_label=real_label).discriminator(logits[data], logits[made])
    (slope,) = torch.autograd.grad(loss, logits)
    mixed = known & (share > 0) & (share < 1)
    assert mixed.sum() >= 15
    assert slope[mixed].abs().max().item() < 1e-6
    # It would be pulled back from anywhere else.
    moved = (logits.detach() + 0.1).requires_grad_()
    loss = AdversarialLoss(kind, real_label=real_label).discriminator(moved[data], moved[made])
    (slope,) = torch.autograd.grad(loss, moved)
    assert slope[mixed].min().item() > 1e-5


def test_the_best_value_is_the_divergence_of_jensen_and_shannon():
    # max V = 2 JSD(p_data, p_g) - log 4 (Goodfellow et al. 2014, eq. 6).
    data, made = samples(DATA), samples(MADE)
    _, loss = best_discriminator(AdversarialLoss("non_saturating"), data, made)
    p, q = (torch.bincount(one, minlength=len(CENTRES)).double() / len(one) for one in (data, made))
    middle = (p + q) / 2
    divergence = (torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)).nansum().item() / 2
    assert 0.3 < divergence < LOG2
    assert -loss == pytest.approx(2 * divergence - math.log(4), abs=2e-3)


def test_at_equality_the_discriminator_says_half_and_the_value_is_minus_log_4():
    loss, data = AdversarialLoss("maximum_likelihood"), samples(DATA)
    assert loss.discriminator(tensor([0.0]), tensor([0.0])).item() == pytest.approx(2 * LOG2)
    logits, value = best_discriminator(loss, data, data)
    torch.testing.assert_close(logits.sigmoid(), torch.full_like(logits, 0.5), atol=1e-4, rtol=0)
    assert -value == pytest.approx(-math.log(4), abs=1e-5)


def test_at_equality_a_smoothed_discriminator_says_half_the_label():
    data = samples(DATA)
    logits, loss = best_discriminator(AdversarialLoss("non_saturating", real_label=0.9), data, data)
    _, known = share_of_data(data, data)
    torch.testing.assert_close(logits.sigmoid()[known], torch.full((int(known.sum()),), 0.45), atol=0.01, rtol=0)
    # Half of what is said of both is of 0.9 + 0 against 0.1 + 1: twice the entropy of 0.45.
    assert loss == pytest.approx(-2 * (0.45 * math.log(0.45) + 0.55 * math.log(0.55)), abs=1e-5)


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
