import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.networks.encoder import Encoder, _HalvingBlock


def pictures(count, size, *, channels=3, seed=1):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def build(*, latent=5, channels=3, blocks=2):
    """An encoder with weights large enough to tell images apart."""
    torch.manual_seed(0)
    encoder = Encoder(channels, latent, width=4, blocks=blocks)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter *= 5 if parameter.dim() > 1 else 1
    return encoder


@pytest.mark.parametrize(("size", "blocks"), [(16, 2), (32, 3), (64, 4)])
@pytest.mark.parametrize(("channels", "latent"), [(3, 8), (1, 1)])
def test_an_image_becomes_a_mean_and_a_log_variance(size, blocks, channels, latent):
    encoder = build(latent=latent, channels=channels, blocks=blocks)
    for found in encoder(pictures(2, size, channels=channels)):
        assert found.shape == (2, latent)
        assert found.dtype == torch.float32
        assert found.isfinite().all()


def test_images_of_another_size_or_shape_are_taken_too():
    encoder = build(blocks=2)
    mean, _ = encoder(F.pad(pictures(1, 32), (0, 16)))
    assert mean.shape == (1, 5)


def block(before, after):
    """Weights of a residual block: two 3x3 convolutions, and 1x1 beside them, each with its biases."""
    return (9 * before + 1) * before + (9 * before + 1) * after + (before + 1) * after


@pytest.mark.parametrize(
    ("blocks", "count"),
    [
        (3, (16 * 3 + 1) * 64 + block(64, 128) + block(128, 192) + block(192, 256) + 2 * (256 + 1) * 8),
        (
            4,
            (16 * 3 + 1) * 64
            + block(64, 128)
            + block(128, 192)
            + block(192, 256)
            + block(256, 256)
            + 2 * (256 + 1) * 8,
        ),
    ],
)
def test_it_has_the_published_size(blocks, count):
    assert count == {3: 1_344_080, 4: 2_590_032}[blocks]
    with torch.device("meta"):
        encoder = Encoder(3, 8, blocks=blocks)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == count


def test_a_block_halves_by_averaging_and_adds_its_branch():
    torch.manual_seed(0)
    halving, x = _HalvingBlock(3, 2), pictures(2, 8)
    with torch.no_grad():
        y = halving(x)
        shortcut = halving.shortcut(x)
        branch = halving.branch(x)
    assert y.shape == (2, 2, 4, 4)
    # Averages of a 1x1 convolution are convolutions of averages.
    torch.testing.assert_close(y, (shortcut + branch).view(2, 2, 4, 2, 4, 2).mean((3, 5)))
    assert branch.std() > 0.01


def test_a_block_without_its_branch_is_the_mean_of_four_pixels():
    halving = _HalvingBlock(1, 1)
    with torch.no_grad():
        for parameter in halving.parameters():
            parameter.zero_()
        halving.shortcut.weight.fill_(1)
        assert halving(torch.tensor([[1.0, 2], [3, 6]])[None, None]).item() == 3


def test_it_depends_on_the_image_alone():
    encoder, x = build(), pictures(3, 16)
    with torch.no_grad():
        together = torch.stack(encoder(x))
        before = torch.get_rng_state()
        assert torch.equal(torch.stack(encoder(x)), together)
        assert torch.equal(torch.stack(encoder.eval()(x)), together)
        assert torch.equal(torch.get_rng_state(), before)
        others = torch.stack(encoder(torch.cat([x[:1], pictures(2, 16, seed=2)])))
    torch.testing.assert_close(others[:, 0], together[:, 0], rtol=1e-4, atol=1e-7)
    assert (others[:, 1] - together[:, 1]).abs().max() > 1e-4
    assert not any(module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d | nn.Dropout))


def test_mean_and_variance_have_heads_of_their_own():
    encoder, x = build(), pictures(3, 16)
    mean, log_variance = encoder(x)
    assert (mean - log_variance).abs().max() > 1e-4
    with torch.no_grad():
        encoder.mean.bias += 2
    moved, kept = encoder(x)
    torch.testing.assert_close(moved, mean + 2)
    assert torch.equal(kept, log_variance)


def test_brightness_is_seen_though_the_branches_normalise_it_away():
    # The shortcuts carry it; a latent that can't tell black from white would describe little.
    encoder = build(channels=1)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter *= 10 if parameter.dim() > 1 else 1
        black, white = encoder(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 16, 16))[0]
    assert (black - white).abs().max() > 0.1


def test_weights_are_initialised_as_by_glorot_and_bengio_with_gain_002():
    torch.manual_seed(0)
    encoder = Encoder(3, 8, width=16)
    for parameter in encoder.parameters():
        if parameter.dim() == 1:
            assert (parameter == 0).all()
            continue
        ends = sum(parameter.shape[:2]) * parameter[0, 0].numel()
        expected = 0.02 * (2 / ends) ** 0.5
        assert parameter.std().item() == pytest.approx(expected, rel=5 / (2 * parameter.numel()) ** 0.5)
