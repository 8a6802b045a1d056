import io

import pytest
import torch

from i2i.methods.image_pool import ImagePool


def numbered(first, count=1):
    """Images that say their number in every pixel."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def numbers(images):
    assert (images == images[:, :1, :1, :1]).all()
    return [int(image[0, 0, 0]) for image in images]


def test_until_it_is_full_it_returns_what_it_is_given():
    history = ImagePool(6)
    assert numbers(history(numbered(0, 2))) == [0, 1]
    assert numbers(history(numbered(2, 4))) == [2, 3, 4, 5]
    assert numbers(history.images) == [0, 1, 2, 3, 4, 5]


def test_later_half_of_what_it_returns_is_old():
    torch.manual_seed(0)
    history, kept, old = ImagePool(50), set(range(50)), 0
    history(numbered(0, 50))
    shown = numbers(torch.cat([history(numbered(first, 4)) for first in range(50, 2050, 4)]))
    for fresh, number in zip(range(50, 2050), shown, strict=True):
        if number != fresh:
            old += 1
            kept.remove(number)  # What is shown was kept until now, and the new one takes its place.
            kept.add(fresh)
    assert old / 2000 == pytest.approx(0.5, abs=0.05)
    assert set(numbers(history.images)) == kept
    assert len(history.images) == 50


def test_every_kept_image_is_as_likely_to_be_shown():
    torch.manual_seed(0)
    history = ImagePool(4)
    history(numbered(0, 4))
    counts = [0, 0, 0, 0]
    for _ in range(2000):
        history.images = numbered(0, 4)
        number = numbers(history(numbered(9)))[0]
        if number != 9:
            counts[number] += 1
    assert [count / 2000 for count in counts] == pytest.approx([1 / 8] * 4, abs=0.035)


def test_what_is_given_is_left_as_it_is_and_no_gradient_flows():
    torch.manual_seed(0)
    history = ImagePool(2)
    for first in range(10):
        fresh = numbered(first, 2).requires_grad_()
        shown = history(fresh)
        assert not shown.requires_grad
        assert numbers(fresh) == [first, first + 1]
        shown.fill_(-1)
    assert -1 not in numbers(history.images)


def test_its_images_are_part_of_the_state():
    torch.manual_seed(0)
    history = ImagePool(8)
    for first in range(0, 40, 2):
        history(numbered(first, 2))
    file = io.BytesIO()
    torch.save(history.state_dict(), file)
    file.seek(0)
    again = ImagePool(8)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again.images, history.images)
    torch.manual_seed(1)
    goes_on = [numbers(history(numbered(first, 2))) for first in range(100, 120, 2)]
    torch.manual_seed(1)
    assert [numbers(again(numbered(first, 2))) for first in range(100, 120, 2)] == goes_on


def test_an_empty_history_comes_back_empty():
    again = ImagePool(8)
    again.load_state_dict(ImagePool(8).state_dict())
    assert numbers(again(numbered(3, 2))) == [3, 4]


def test_a_state_does_not_change_when_the_history_goes_on():
    torch.manual_seed(0)
    history, again = ImagePool(2), ImagePool(2)
    history(numbered(0, 2))
    again.load_state_dict(history.state_dict())
    for first in range(2, 22):
        history(numbered(first))
    assert numbers(history.images) != [0, 1]
    assert numbers(again.images) == [0, 1]


def test_in_evaluation_it_passes_through_and_keeps_nothing():
    history = ImagePool(4)
    history(numbered(0, 4))
    history.eval()
    for first in range(10, 40):
        assert numbers(history(numbered(first))) == [first]
    assert numbers(history.images) == [0, 1, 2, 3]


def test_of_size_0_it_passes_through():
    history = ImagePool(0)
    for first in range(20):
        assert numbers(history(numbered(first, 2))) == [first, first + 1]
    assert len(history.images) == 0


def test_a_history_fills_in_order_and_draws_only_when_it_is_full():
    history = ImagePool(5).train()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batch = torch.arange(4.0).view(4, 1, 1, 1)
    assert torch.equal(history(batch), batch)
    assert torch.equal(torch.get_rng_state(), before)
    shown = history(batch + 4)
    assert torch.equal(shown[0], batch[0] + 4)
    assert len(history.images) == 5
    assert not torch.equal(torch.get_rng_state(), before)
    # What is shown and what is kept are together what there was.
    together = torch.cat([shown[1:], history.images]).flatten().tolist()
    assert sorted(together) == [0, 1, 2, 3, 4, 5, 6, 7]
