import math

import pytest
import torch
import torch.nn.functional as F
from torch import tensor

from i2i.losses import patch_nce


def unit(*shape, seed=0):
    """Vectors of length 1 in all directions."""
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("patches", [2, 7, 256])
def test_uninformative_features_cost_the_log_of_the_number_of_patches(patches, temperature):
    # The images differ and the patches of each do not: others of the same image are all that a patch is told from.
    same = unit(3, 1, 16).expand(3, patches, 16)
    assert patch_nce(same, same, temperature=temperature).item() == pytest.approx(math.log(patches), rel=1e-6)
    # So it is where the queries or the keys alone say nothing.
    told = unit(3, patches, 16, seed=1)
    assert patch_nce(told, same, temperature=temperature).item() == pytest.approx(math.log(patches), rel=1e-5)


def test_numbers_worked_out_by_hand():
    # Similarities 1 and 0.6 of the first patch, 0 and 0.8 of the second, over 0.5.
    query, key = tensor([[[1.0, 0.0], [0.0, 1.0]]]), tensor([[[1.0, 0.0], [0.6, 0.8]]])
    expected = (math.log1p(math.exp(1.2 - 2.0)) + math.log1p(math.exp(0.0 - 1.6))) / 2
    assert patch_nce(query, key, temperature=0.5).item() == pytest.approx(expected)
    assert patch_nce(key, query, temperature=0.5).item() != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("patches", [2, 5, 64])
def test_orthonormal_features_in_closed_form(patches, temperature):
    eye = torch.eye(patches).expand(2, -1, -1)
    own = math.log1p((patches - 1) * math.exp(-1 / temperature))
    assert patch_nce(eye, eye, temperature=temperature).item() == pytest.approx(own, rel=1e-5, abs=1e-7)
    # Each patch became its neighbour: exp(0) against one exp(1 / t) and the other exp(0).
    other = math.log(math.exp(1 / temperature) + patches - 1)
    assert patch_nce(eye.roll(1, 1), eye, temperature=temperature).item() == pytest.approx(other, rel=1e-5)


def test_the_temperature_divides_and_is_the_papers_unless_given():
    query, key = unit(2, 9, 4), unit(2, 9, 4, seed=1)
    torch.testing.assert_close(patch_nce(query, key), patch_nce(query, key, temperature=0.07))
    divided = patch_nce(query / 0.3, key, temperature=1.0)
    torch.testing.assert_close(patch_nce(query, key, temperature=0.3), divided)
    # The hotter, the less the features say.
    assert patch_nce(query, key, temperature=1e4).item() == pytest.approx(math.log(9), rel=1e-4)


def test_the_order_of_patches_and_of_images_does_not_matter():
    query, key = unit(3, 9, 4), unit(3, 9, 4, seed=1)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    before = patch_nce(query, key)
    torch.testing.assert_close(patch_nce(query[:, order], key[:, order]), before)
    torch.testing.assert_close(patch_nce(query.flip(0), key.flip(0)), before)
    # What matters is which query goes with which key.
    assert abs(patch_nce(query, key[:, order]) - before) > 0.1


def test_images_are_contrasted_each_in_itself():
    query, key = unit(3, 9, 4), unit(3, 9, 4, seed=1)
    apart = torch.stack([patch_nce(q[None], k[None]) for q, k in zip(query, key, strict=True)])
    torch.testing.assert_close(patch_nce(query, key), apart.mean())


def test_no_gradient_reaches_the_keys_and_that_of_the_queries_is_known():
    query, key = unit(2, 5, 4).requires_grad_(), unit(2, 5, 4, seed=1).requires_grad_()
    patch_nce(query, key, temperature=0.2).backward()
    assert key.grad is None
    # Away from what it resembles, to its own: (sum_j p_ij k_j - k_i) / (t N P).
    resembled = torch.softmax(query.detach() @ key.detach().transpose(1, 2) / 0.2, dim=2) @ key.detach()
    torch.testing.assert_close(query.grad, (resembled - key.detach()) / (0.2 * 2 * 5))


def test_features_in_bfloat16_are_contrasted_in_float32():
    query, key = unit(2, 9, 4).bfloat16(), unit(2, 9, 4, seed=1).bfloat16()
    value = patch_nce(query, key)
    assert value.dtype == torch.float32
    assert value.shape == ()
    torch.testing.assert_close(value, patch_nce(query.float(), key.float()))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_autocast_does_not_round_the_similarities(kind):
    # Patches that nearly all look alike, whose similarities differ by less than a half-precision number can say.
    query = F.normalize(1 + 0.05 * unit(2, 64, 16), dim=-1)
    with torch.autocast("cpu", kind):
        value = patch_nce(query, query)
    assert value.dtype == torch.float32
    assert torch.equal(value, patch_nce(query, query))
