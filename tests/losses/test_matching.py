import pytest
import torch

from i2i.losses import feature_matching, mean_feature_matching


def test_feature_matching_is_4_times_the_mean_over_layers_whatever_their_sizes():
    # Distances 1, 3 and 0.5: 4 x (4.5 / 3).
    fake = [torch.ones(2, 1, 4, 4), torch.zeros(2, 3), torch.full((2, 5, 1, 1), -1.5)]
    real = [torch.zeros(2, 1, 4, 4), torch.full((2, 3), -3.0), torch.full((2, 5, 1, 1), -1.0)]
    assert feature_matching(fake, real).item() == pytest.approx(6.0)
    assert feature_matching(real, fake).item() == pytest.approx(6.0)
    assert feature_matching(fake, fake).item() == 0


@pytest.mark.parametrize(("layers", "scales"), [(3, 3), (3, 1), (2, 2), (5, 1)])
def test_feature_matching_weighs_a_layer_as_the_papers_code_does(layers, scales):
    # There a discriminator of `layers` halvings shows layers + 1 activations, each at 4 / (layers + 1) / scales.
    torch.manual_seed(0)
    fake, real = ([[torch.randn(2, 3, 4, 4) for _ in range(layers + 1)] for _ in range(scales)] for _ in range(2))
    total = sum(
        4 / (layers + 1) / scales * (one - other).abs().mean()
        for fakes, reals in zip(fake, real, strict=True)
        for one, other in zip(fakes, reals, strict=True)
    )
    flat = [[activation for scale in scales for activation in scale] for scales in (fake, real)]
    torch.testing.assert_close(feature_matching(*flat), total)


def test_feature_matching_compares_partners_and_mean_feature_matching_whole_batches():
    fake = [torch.tensor([[1.0, -2.0], [5.0, 4.0]])]
    swapped = [fake[0].flip(0)]
    assert feature_matching(fake, swapped).item() == pytest.approx(4 * (4 + 6 + 4 + 6) / 4)
    assert mean_feature_matching(fake, swapped).item() == 0


def test_mean_feature_matching_is_the_mean_of_squares_over_units_and_then_layers():
    # Means (2, 1) against (0, 4): (4 + 9) / 2. Means 1 against -1, over positions too: 4. The mean of the two layers.
    fake = [torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0.0, 2.0]).view(1, 1, 1, 2)]
    real = [torch.tensor([[0.0, 4.0]]), torch.tensor([-3.0, -1.0, 0.0, 0.0]).view(1, 1, 2, 2)]
    assert mean_feature_matching(fake, real).item() == pytest.approx((6.5 + 4) / 2)


@pytest.mark.parametrize("match", [feature_matching, mean_feature_matching])
def test_gradients_reach_the_generated_side_alone(match):
    fake, real = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    match([fake], [real]).backward()
    assert fake.grad.abs().sum() > 0
    assert real.grad is None


@pytest.mark.parametrize("match", [feature_matching, mean_feature_matching])
def test_layers_come_in_pairs_and_the_result_in_float32(match):
    one = torch.ones(2, 3, 4, 4, dtype=torch.bfloat16)
    result = match([one], [0 * one])
    assert result.shape == ()
    assert result.dtype == torch.float32
    with pytest.raises(ValueError, match="shorter"):
        match([one, one], [one])
