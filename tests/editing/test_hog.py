"""HOG equals a reference in NumPy, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.editing.hog import hog, hog_mask


def reference(image, block):
    """Of (C, H, W) in [-1, 1]: (8, H / block, W / block)."""
    grey = np.pad((image.mean(0) + 1) / 2, 1)
    height, width = image.shape[1:]
    a = np.cos(np.pi / 8)
    energy = np.zeros((8, height, width))
    for y in range(height):
        for x in range(width):
            around = grey[y : y + 3, x : x + 3]
            gx = (around[:, 2] - around[:, 0]) @ [1, 2, 1] / 4
            gy = (around[2] - around[0]) @ [1, 2, 1] / 4
            size = np.sqrt(gx**2 + gy**2 + 1e-3)
            for k in range(8):
                along = abs(np.cos(np.pi / 8 * k) * gx + np.sin(np.pi / 8 * k) * gy)
                energy[k, y, x] = max(0, along / (1 - a) - a / (1 - a) * size)
    result = np.zeros((8, height // block, width // block))
    for row in range(height // block):
        for column in range(width // block):
            for y in range(height):
                for x in range(width):
                    down = 1 - abs(y - (row * block + block / 2 - 0.5)) / block
                    across = 1 - abs(x - (column * block + block / 2 - 0.5)) / block
                    if down > 0 and across > 0:
                        result[:, row, column] += down * across * energy[:, y, x]
    return result


@pytest.mark.parametrize(("channels", "block"), [(3, 8), (1, 4)])
def test_it_equals_a_reference(channels, block):
    images = torch.rand(2, channels, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = hog(images, block=block)
    for image, one in zip(images.double().numpy(), found, strict=True):
        np.testing.assert_allclose(one.numpy(), reference(image, block), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("angle", "bin_"), [(0, 0), (45, 2), (90, 4), (135, 6)])
def test_an_edge_is_in_the_bin_of_its_gradient(angle, bin_):
    rows, columns = torch.meshgrid(torch.arange(32.0) - 15.5, torch.arange(32.0) - 15.5, indexing="ij")
    turn = torch.tensor(angle).deg2rad()
    edge = ((columns * turn.cos() + rows * turn.sin()) > 0).float() * 2 - 1
    assert hog(edge[None, None], block=8)[0, :, 1:3, 1:3].sum((1, 2)).argmax() == bin_


def test_a_mask_covers_the_blocks_that_see_it():
    mask = torch.zeros(1, 1, 32, 32)
    mask[0, 0, 4, 20] = 0.5
    seen = hog_mask(mask, block=8)[0, 0]
    rows, columns = ({r for r in range(4) if 8 * r - 4 <= at < 8 * r + 12} for at in (4, 20))
    assert {tuple(block) for block in seen.nonzero().tolist()} == {(row, column) for row in rows for column in columns}
