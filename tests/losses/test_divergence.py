import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from i2i.losses import standard_normal_divergence


def divergence(mean, variance):
    """Of latents that all have this mean and variance: two samples of three values."""
    return standard_normal_divergence(torch.full((2, 3), mean), torch.full((2, 3), math.log(variance))).item()


def test_the_standard_normal_is_at_distance_0_from_itself():
    assert divergence(0.0, 1.0) == 0


@pytest.mark.parametrize("mean", [-2.0, 0.5, 3.0])
def test_a_mean_costs_half_its_square(mean):
    assert divergence(mean, 1.0) == pytest.approx(3 * 0.5 * mean**2)


@pytest.mark.parametrize("variance", [0.01, 0.5, 2.0, 10.0])
def test_a_variance_costs_what_it_differs_from_its_logarithm(variance):
    assert divergence(0.0, variance) == pytest.approx(3 * 0.5 * (variance - 1 - math.log(variance)), rel=1e-5)


def test_values_are_added_and_samples_averaged():
    mean = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    assert standard_normal_divergence(mean, torch.zeros(2, 2)).item() == pytest.approx((2.5 + 4.5) / 2)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_what_torch_says_of_two_normal_distributions():
    mean, log_variance = random(4, 6, seed=0), random(4, 6, seed=1)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(standard_normal_divergence(mean, log_variance), expected)


def test_it_is_the_mean_of_what_samples_say():
    # E[log q(z) - log p(z)] over z drawn from q, whose standard error is known from the draws themselves.
    mean, log_variance = random(1, 4, seed=0), random(1, 4, seed=1)
    one, other = Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)
    z = mean + (0.5 * log_variance).exp() * random(200_000, 4, seed=2)
    said = (one.log_prob(z) - other.log_prob(z)).sum(1)
    away = said.mean() - standard_normal_divergence(mean, log_variance)
    assert away.abs() < 4 * said.std() / len(said) ** 0.5
    assert said.std() / len(said) ** 0.5 < 0.01


@pytest.mark.parametrize(("mean", "log_variance"), [(2.0, 1.5), (-0.5, -3.0)])
def test_its_gradient_draws_towards_the_standard_normal(mean, log_variance):
    at = torch.full((2, 3), mean, requires_grad=True), torch.full((2, 3), log_variance, requires_grad=True)
    standard_normal_divergence(*at).backward()
    # mu / N, and (variance - 1) / 2N: down from where it is too large, up from where it is too small.
    torch.testing.assert_close(at[0].grad, torch.full((2, 3), mean / 2))
    torch.testing.assert_close(at[1].grad, torch.full((2, 3), (math.exp(log_variance) - 1) / 4))


def test_descent_ends_at_the_standard_normal():
    mean, log_variance = (random(1, 3, seed=s).requires_grad_() for s in (0, 1))
    for _ in range(200):
        loss = standard_normal_divergence(mean, log_variance)
        slopes = torch.autograd.grad(loss, (mean, log_variance))
        with torch.no_grad():
            for parameter, slope in zip((mean, log_variance), slopes, strict=True):
                parameter -= 0.2 * slope
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert max(mean.abs().max().item(), log_variance.abs().max().item()) < 1e-5
