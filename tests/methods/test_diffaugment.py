"""DiffAugment: what it changes, and what it must leave alone."""

import pytest
import torch

from i2i.methods.diffaugment import DiffAugment
from i2i.training.player import freeze_all_but
from support.methods import GAMES, make, moved, moves, noise

EVERY = ("colour", "translation", "cutout")


def drawn(**values):
    """The numbers of one image: 0 but for those given."""
    names = ("brightness", "saturation", "contrast", "down", "right", "row", "column")
    return torch.tensor([[values.get(name, 0.0) for name in names]])


def pictures(count=1, side=16):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_without_changes_it_gives_what_it_is_given_and_draws_nothing():
    augment, x, condition = DiffAugment(()), pictures(), pictures()
    before = torch.get_rng_state()
    numbers = augment.draw(1, x.device)
    assert torch.equal(torch.get_rng_state(), before)
    assert numbers.shape == (1, 0)
    same, held = augment(x, condition, numbers)
    assert same is x
    assert held is condition


def test_numbers_are_drawn_evenly_for_each_image():
    numbers = DiffAugment(("cutout",)).draw(2000, torch.device("cpu"))
    assert numbers.shape == (2000, 7)
    assert -1 <= numbers.min() < -0.99
    assert 0.99 < numbers.max() <= 1
    assert numbers.mean(0).abs().max() < 5 * (1 / 3 / 2000) ** 0.5


def test_colour_by_hand_and_the_condition_is_left_alone():
    augment, x, condition = DiffAugment(("colour",)), pictures(), pictures()
    brighter, held = augment(x, condition, drawn(brightness=0.5))
    torch.testing.assert_close(brighter, x + 0.25)
    assert held is condition
    grey, _ = augment(x, None, drawn(saturation=-1.0))
    torch.testing.assert_close(grey, x.mean(1, keepdim=True).expand_as(x))
    twice, _ = augment(x, None, drawn(saturation=1.0))
    torch.testing.assert_close(twice - twice.mean(1, keepdim=True), 2 * (x - x.mean(1, keepdim=True)))
    flat, _ = augment(x, None, drawn(contrast=-1.0))
    torch.testing.assert_close(flat, 0.5 * x + 0.5 * x.mean())
    same, _ = augment(x, None, drawn())
    torch.testing.assert_close(same, x)


def test_translation_by_hand_moves_image_and_condition_alike():
    augment, x = DiffAugment(("translation",)), pictures()
    moved_x, moved_condition = augment(x, x[:, :1], drawn(down=1.0, right=-0.5))  # 2 of 16 down, 1 to the left
    wanted = torch.zeros_like(x)
    wanted[:, :, 2:, :-1] = x[:, :, :-2, 1:]
    assert torch.equal(moved_x, wanted)
    assert torch.equal(moved_condition, wanted[:, :1])


def test_cutout_by_hand_takes_half_of_each_side_of_image_and_condition():
    augment, x = DiffAugment(("cutout",)), pictures()
    cut, cut_condition = augment(x, x[:, :2], drawn())  # about the middle
    wanted = x.clone()
    wanted[:, :, 4:12, 4:12] = 0
    assert torch.equal(cut, wanted)
    assert torch.equal(cut_condition, wanted[:, :2])
    corner, _ = augment(x, None, drawn(row=-1.0, column=-1.0))
    wanted = x.clone()
    wanted[:, :, :4, :4] = 0
    assert torch.equal(corner, wanted)


@pytest.mark.parametrize("change", EVERY)
def test_each_image_of_a_batch_is_changed_by_its_own_numbers(change):
    augment, x = DiffAugment((change,)), pictures(3)
    numbers = torch.rand(3, 7, generator=torch.Generator().manual_seed(2)) * 0.5 + 0.5
    together, _ = augment(x, None, numbers)
    for index in range(3):
        alone, _ = augment(x[index : index + 1], None, numbers[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone)
        assert not torch.equal(alone, x[index : index + 1])


@pytest.mark.parametrize("change", EVERY)
def test_gradients_pass_through(change):
    augment = DiffAugment((change,))
    x = pictures(2).double().requires_grad_()
    numbers = torch.rand(2, 7, generator=torch.Generator().manual_seed(3)).double()
    y, _ = augment(x, None, numbers)
    slope = torch.autograd.grad(y.square().sum(), x)[0]
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    step = 1e-5
    ends = [augment(x.detach() + sign * step * direction, None, numbers)[0].square().sum() for sign in (1, -1)]
    assert (slope * direction).sum().item() == pytest.approx(((ends[0] - ends[1]) / (2 * step)).item(), rel=1e-5)


@pytest.mark.parametrize("method_name", GAMES)
def test_every_method_trains_with_it(method_name):
    method = make(method_name, diffaugment=EVERY)
    torch.manual_seed(1)
    images = method(noise(method_name))
    for player, loss in moves(method).items():
        with freeze_all_but(method.players()[player], of=method):
            losses = loss(images)
            assert all(value.isfinite() for value in losses.values())
            sum(losses.values()).backward()
        assert moved(method.players()[player]) == dict(method.players()[player].named_parameters()).keys()


@pytest.mark.parametrize("method_name", GAMES)
def test_without_it_no_method_draws_random_numbers_for_it(method_name):
    # Discriminators draw nothing in training; an image pool draws only once it is full.
    method = make(method_name)
    images = method(noise(method_name))
    before = torch.get_rng_state()
    method.discriminator_loss(images)
    assert torch.equal(torch.get_rng_state(), before)
    augmented = make(method_name, diffaugment=("cutout",))
    images = augmented(noise(method_name))
    before = torch.get_rng_state()
    augmented.discriminator_loss(images)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method_name", ["pix2pix", "cut"])
def test_an_image_equal_to_the_real_one_matches_its_features(method_name):
    # Only where both are changed by the same numbers.
    method = make(method_name, diffaugment=EVERY, feature_matching=1.0)
    images = method(noise(method_name))
    alike = images._replace(fake_b=images.real_b.clone())
    for seed in range(3):
        torch.manual_seed(seed)
        assert method.generator_loss(alike)["feature_matching"].item() == 0
        assert method.generator_loss(images)["feature_matching"].item() > 1e-7


def test_augmentation_keeps_the_mean_of_real_images():
    # The mean brightness shifts up and down alike, and places are as likely to be cut on all sides.
    augment = DiffAugment(("colour",))
    x = pictures(1).expand(4000, -1, -1, -1)
    torch.manual_seed(0)
    y, _ = augment(x, None, augment.draw(4000, x.device))
    assert (y.mean(0) - x[0]).abs().max() < 5 * 0.7 / 4000**0.5
    assert y.mean((1, 2, 3)).std().item() == pytest.approx(0.5 / 3**0.5, rel=0.05)
