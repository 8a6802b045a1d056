"""What a process draws alone; what two draw together is in test_two_ranks.py."""

import pytest
import torch

from i2i.methods.latents import normal, uniform


@pytest.mark.parametrize("draw", [normal, uniform])
def test_latents_have_the_shape_asked_for_and_follow_the_seed(draw):
    torch.manual_seed(3)
    first, second = draw(4, 6), draw(4, 6)
    assert first.shape == (4, 6)
    assert (first.dtype, first.device.type) == (torch.float32, "cpu")
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(draw(4, 6), first)
    torch.manual_seed(4)
    assert not torch.equal(draw(4, 6), first)


def test_normal_latents_have_the_moments_of_the_standard_normal():
    torch.manual_seed(0)
    z = normal(5000, 8).double()
    # Within 4 standard errors over 40000 draws: 1, sqrt(2), sqrt(15) and sqrt(96) for the powers 1 to 4.
    for power, (moment, spread) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], start=1):
        assert z.pow(power).mean().item() == pytest.approx(moment, abs=4 * (spread / 40_000) ** 0.5)
    assert z.abs().max() > 3.5
    # Values of a latent have nothing to do with each other.
    assert (torch.corrcoef(z.T) - torch.eye(8)).abs().max() < 0.07


def test_uniform_latents_fill_their_range_evenly():
    torch.manual_seed(0)
    z = uniform(5000, 8).double()
    assert -1 <= z.min() < -0.999
    assert 0.999 < z.max() < 1
    assert z.mean().item() == pytest.approx(0, abs=4 * (1 / 3 / 40_000) ** 0.5)
    assert z.square().mean().item() == pytest.approx(1 / 3, abs=4 * (4 / 45 / 40_000) ** 0.5)
    shares = torch.histc(z.float(), bins=10, min=-1, max=1) / z.numel()
    assert (shares - 0.1).abs().max() < 4 * (0.09 / 40_000) ** 0.5
    assert (torch.corrcoef(z.T) - torch.eye(8)).abs().max() < 0.07
