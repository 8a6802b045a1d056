import io

import pytest
import torch

from i2i.methods.image_pool import ImagePool


def numbered(first, count=1):
    """Images whose pixels all hold their number."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def numbers(images):
    assert (images == images[:, :1, :1, :1]).all()
    return [int(image[0, 0, 0]) for image in images]


def test_until_it_is_full_it_returns_its_input():
    pool = ImagePool(6)
    assert numbers(pool(numbered(0, 2))) == [0, 1]
    assert numbers(pool(numbered(2, 4))) == [2, 3, 4, 5]
    assert numbers(pool.images) == [0, 1, 2, 3, 4, 5]


def test_once_full_half_of_its_output_is_older_images():
    torch.manual_seed(0)
    pool, kept, old = ImagePool(50), set(range(50)), 0
    pool(numbered(0, 50))
    shown = numbers(torch.cat([pool(numbered(first, 4)) for first in range(50, 2050, 4)]))
    for fresh, number in zip(range(50, 2050), shown, strict=True):
        if number != fresh:
            old += 1
            kept.remove(number)  # The pooled image is shown, and the new image replaces it.
            kept.add(fresh)
    assert old / 2000 == pytest.approx(0.5, abs=0.05)
    assert set(numbers(pool.images)) == kept
    assert len(pool.images) == 50


def test_every_image_of_the_pool_is_equally_likely():
    torch.manual_seed(0)
    pool = ImagePool(4)
    pool(numbered(0, 4))
    counts = [0, 0, 0, 0]
    for _ in range(600):
        pool.images = numbered(0, 4)
        number = numbers(pool(numbered(9)))[0]
        if number != 9:
            counts[number] += 1
    assert [count / 600 for count in counts] == pytest.approx([1 / 8] * 4, abs=0.06)


def test_its_input_is_not_modified_and_its_output_is_detached():
    torch.manual_seed(0)
    pool = ImagePool(2)
    for first in range(10):
        fresh = numbered(first, 2).requires_grad_()
        shown = pool(fresh)
        assert not shown.requires_grad
        assert numbers(fresh) == [first, first + 1]
        shown.fill_(-1)
    assert -1 not in numbers(pool.images)


def test_its_images_are_part_of_its_state_dict():
    torch.manual_seed(0)
    pool = ImagePool(8)
    for first in range(0, 40, 2):
        pool(numbered(first, 2))
    file = io.BytesIO()
    torch.save(pool.state_dict(), file)
    file.seek(0)
    again = ImagePool(8)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again.images, pool.images)
    torch.manual_seed(1)
    expected = [numbers(pool(numbered(first, 2))) for first in range(100, 120, 2)]
    torch.manual_seed(1)
    assert [numbers(again(numbered(first, 2))) for first in range(100, 120, 2)] == expected


def test_an_empty_pool_is_restored_empty():
    again = ImagePool(8)
    again.load_state_dict(ImagePool(8).state_dict())
    assert numbers(again(numbered(3, 2))) == [3, 4]


def test_a_loaded_state_dict_is_independent_of_the_original_pool():
    torch.manual_seed(0)
    pool, again = ImagePool(2), ImagePool(2)
    pool(numbered(0, 2))
    again.load_state_dict(pool.state_dict())
    for first in range(2, 22):
        pool(numbered(first))
    assert numbers(pool.images) != [0, 1]
    assert numbers(again.images) == [0, 1]


def test_in_evaluation_it_passes_images_through():
    pool = ImagePool(4)
    pool(numbered(0, 4))
    pool.eval()
    for first in range(10, 40):
        assert numbers(pool(numbered(first))) == [first]
    assert numbers(pool.images) == [0, 1, 2, 3]


def test_a_pool_of_size_0_passes_images_through():
    pool = ImagePool(0)
    for first in range(20):
        assert numbers(pool(numbered(first, 2))) == [first, first + 1]
    assert len(pool.images) == 0


def test_it_fills_in_order_and_draws_random_numbers_only_when_full():
    pool = ImagePool(5).train()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batch = torch.arange(4.0).view(4, 1, 1, 1)
    assert torch.equal(pool(batch), batch)
    assert torch.equal(torch.get_rng_state(), before)
    shown = pool(batch + 4)
    assert torch.equal(shown[0], batch[0] + 4)
    assert len(pool.images) == 5
    assert not torch.equal(torch.get_rng_state(), before)
    # What is shown and what is kept are together what there was.
    together = torch.cat([shown[1:], pool.images]).flatten().tolist()
    assert sorted(together) == [0, 1, 2, 3, 4, 5, 6, 7]
