import io

import pytest
import torch
from torch import nn

from i2i.losses import HistoricalAverage, gradient_penalty, l1, r1_penalty
from i2i.networks.patchgan import PatchGAN


def linear(weight):
    return lambda x: (x.flatten(1) @ weight.flatten())[:, None]


@pytest.mark.parametrize("length", [0.25, 1.0, 3.0])
def test_a_linear_discriminator_has_the_slope_of_its_weight(length):
    weight = torch.randn(2, 4, 4)
    weight *= length / weight.norm()
    real, fake = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    assert gradient_penalty(linear(weight), real, fake).item() == pytest.approx((length - 1) ** 2, abs=1e-5)


def test_patches_are_averaged_and_scales_added():
    # The mean of 16 patches slopes by 1/16 in each of 16 pixels: a length of 1/4; two scales add up to 1/4 + 2/4.
    real, fake = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    assert gradient_penalty(lambda x: x, real, fake).item() == pytest.approx((1 / 4 - 1) ** 2)
    assert gradient_penalty(lambda x: [x, 2 * x], real, fake).item() == pytest.approx((3 / 4 - 1) ** 2)


def test_logits_may_have_any_shape():
    weight = torch.full((1, 2, 2), 1.0)
    real, fake = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    assert gradient_penalty(lambda x: x.flatten(1) @ weight.flatten(), real, fake).item() == pytest.approx(1.0)


def test_points_lie_evenly_between_real_and_generated():
    # The slope of |x|^2 / 2 is x. Between 0 and r it is t r for an even t: E (t r - 1)^2 = r^2/3 - r + 1.
    torch.manual_seed(0)
    real = torch.full((4096, 1, 1, 1), 3.0)
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(1, keepdim=True) / 2, real, torch.zeros_like(real))
    assert penalty.item() == pytest.approx(1.0, abs=0.1)
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(1, keepdim=True) / 2, real, real)
    assert penalty.item() == pytest.approx(4.0)


def test_no_gradient_reaches_the_images():
    weight = torch.randn(2, 4, 4, requires_grad=True)
    real, fake = (torch.randn(3, 2, 4, 4, requires_grad=True) for _ in range(2))
    # A curved discriminator, whose slope depends on where it is taken.
    gradient_penalty(lambda x: linear(weight)(x).square(), real, fake).backward()
    assert weight.grad is not None
    assert real.grad is None
    assert fake.grad is None


def test_the_penalty_moves_the_discriminator():
    weight = torch.randn(2, 4, 4, requires_grad=True)
    real, fake = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    gradient_penalty(linear(weight), real, fake).backward()
    length = weight.detach().norm()
    torch.testing.assert_close(weight.grad, 2 * (length - 1) * weight.detach() / length)


def test_a_flat_discriminator_has_a_penalty_of_1_and_a_finite_gradient():
    weight = torch.zeros(2, 4, 4, requires_grad=True)
    penalty = gradient_penalty(linear(weight), torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4))
    penalty.backward()
    assert penalty.item() == 1
    assert weight.grad.isfinite().all()


def test_r1_of_a_linear_discriminator_is_half_of_its_weights_squared_length():
    weight = torch.randn(2, 4, 4, requires_grad=True)
    real = torch.randn(3, 2, 4, 4, requires_grad=True)
    penalty = r1_penalty(linear(weight), real)
    assert penalty.item() == pytest.approx(0.5 * weight.square().sum().item(), rel=1e-5)
    penalty.backward()
    torch.testing.assert_close(weight.grad, weight.detach())
    assert real.grad is None


def test_r1_is_taken_at_each_real_image():
    # The slope of |x|^2 / 2 is x, so that the penalty is half the images' mean squared length.
    real = torch.randn(3, 2, 4, 4)
    penalty = r1_penalty(lambda x: x.square().flatten(1).sum(1, keepdim=True) / 2, real)
    assert penalty.item() == pytest.approx(0.5 * real.square().sum().item() / 3, rel=1e-5)


def test_r1_averages_patches_and_adds_scales():
    # As above: a slope of 1/16, and of 3/16, in each of 16 pixels.
    real = torch.randn(3, 1, 4, 4)
    assert r1_penalty(lambda x: x, real).item() == pytest.approx(0.5 / 16)
    assert r1_penalty(lambda x: [x, 2 * x], real).item() == pytest.approx(0.5 * 9 / 16)


def test_r1_of_a_flat_discriminator_is_0_with_a_finite_gradient():
    weight = torch.zeros(2, 4, 4, requires_grad=True)
    penalty = r1_penalty(linear(weight), torch.randn(3, 2, 4, 4))
    penalty.backward()
    assert penalty.item() == 0
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("penalty", [lambda d, x: r1_penalty(d, x), lambda d, x: gradient_penalty(d, x, x)])
def test_penalties_are_as_precise_as_the_images(penalty):
    weight = torch.randn(2, 4, 4, dtype=torch.float64)
    assert penalty(linear(weight), torch.randn(3, 2, 4, 4, dtype=torch.float64)).dtype == torch.float64
    weight = weight.float()
    assert penalty(linear(weight), torch.randn(3, 2, 4, 4).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
@pytest.mark.parametrize("penalty", [lambda d, x: r1_penalty(d, x), lambda d, x: gradient_penalty(d, x, x.flip(0))])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_penalties_under_autocast_are_those_of_float32(kind, penalty, norm):
    torch.manual_seed(0)
    discriminator = PatchGAN(3, layers=2, width=8, norm=None if norm == "none" else norm)
    real = torch.rand(2, 3, 32, 32) * 2 - 1
    found = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", kind, enabled=enabled):
            value = penalty(discriminator, real)
        weights = [weight for weight in discriminator.parameters() if weight.dim() > 1]
        found.append([value.detach(), *torch.autograd.grad(value, weights)])
    for plain, cast in zip(*found, strict=True):
        torch.testing.assert_close(cast, plain, rtol=1e-5, atol=1e-9)


def test_l1_is_the_mean_distance_in_float32():
    white, black = torch.ones(2, 3, 4, 4), -torch.ones(2, 3, 4, 4)
    assert l1(white, black).item() == 2
    half = torch.cat([white[:1], black[:1]])
    assert l1(half.bfloat16(), white.bfloat16()).item() == 1
    assert l1(half.bfloat16(), white.bfloat16()).dtype == torch.float32


def weights_at(network, value):
    """Set every weight of a network: those of its place in the list a multiple of `value`."""
    with torch.no_grad():
        for index, weight in enumerate(network.parameters(), start=1):
            weight.fill_(index * value)


def test_history_is_the_exact_mean_of_the_weights_after_each_step():
    network = nn.Linear(3, 2)
    history = HistoricalAverage(network)
    values = [0.3, -1.2, 2.5, 0.7, 0.1]
    for count, value in enumerate(values, start=1):
        weights_at(network, value)
        history.update()
        # The weights before the first step are no part of it. Six weights lie at the value, two biases at its double.
        away = value - sum(values[:count]) / count
        assert history().item() == pytest.approx(6 * away**2 + 2 * (2 * away) ** 2, rel=1e-4, abs=1e-10)
    assert int(history.steps) == 5
    weights_at(network, 0.48)  # the mean
    assert history().item() == pytest.approx(0, abs=1e-10)


def test_history_pulls_the_weights_towards_their_mean():
    network = nn.Linear(3, 2)
    history = HistoricalAverage(network)
    taken = []
    for seed in range(4):
        with torch.no_grad():
            for weight in network.parameters():
                weight.normal_(generator=torch.Generator().manual_seed(seed))
        taken.append([weight.detach().clone() for weight in network.parameters()])
        history.update()
    history().backward()
    for weight, *values in zip(network.parameters(), *taken, strict=True):
        torch.testing.assert_close(weight.grad, 2 * (weight.detach() - torch.stack(values).mean(0)))


def test_history_is_0_before_the_first_step_and_after_it():
    network = nn.Linear(3, 2)
    history = HistoricalAverage(network)
    assert history().item() == 0
    history().backward()
    assert all((weight.grad == 0).all() for weight in network.parameters())
    weights_at(network, 1.0)
    assert history().item() == 0
    history.update()
    assert history().item() == 0
    weights_at(network, 2.0)
    assert history().item() > 0


def test_history_resumes_bit_for_bit_from_its_state():
    def play(network, history, values):
        seen = []
        for value in values:
            weights_at(network, value)
            seen.append(history().item())
            history.update()
        return seen

    first = nn.Linear(3, 2)
    history = HistoricalAverage(first)
    play(first, history, [0.3, -1.2, 2.5])
    file = io.BytesIO()
    torch.save(history.state_dict(), file)
    file.seek(0)
    second = nn.Linear(3, 2)
    again = HistoricalAverage(second)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert int(again.steps) == 3
    values = [0.7, 0.11, -0.4]
    assert play(second, again, values) == play(first, history, values)


def test_history_owns_no_weights_of_the_network():
    network = nn.Linear(3, 2)
    history = HistoricalAverage(network)
    assert not list(history.parameters())
    history.update()
    weights_at(network, 5.0)
    assert all((mean != 5.0).all() and (mean != 10.0).all() for mean in history.buffers())
