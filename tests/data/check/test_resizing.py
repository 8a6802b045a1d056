from __future__ import annotations

import numpy as np
import pytest

from i2i.data import resizing
from i2i.data.check.resizing import resized
from i2i.images.decoded import full_scale
from support.images import noise


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((40, 24, 3), np.uint8),
        ((24, 40, 1), np.uint8),
        ((9, 70, 5), np.uint8),
        ((40, 24, 2), np.uint16),
        ((70, 9, 3), np.float32),
        ((32, 32, 3), np.uint8),
    ],
)
def test_resizing_without_torch_is_the_same(shape, dtype):
    image = noise(*shape, dtype=dtype) // 2 + 64 if dtype == np.uint8 else noise(*shape, dtype=dtype)  # no overshoot
    expected = resizing.resized(image, 32).astype(np.float64)
    tolerance = 1e-4 if dtype == np.float32 else 2
    assert resized(image, 32).shape == (32, 32, shape[-1])
    assert np.abs(resized(image, 32) - expected).max() <= tolerance
    assert resized(image, 32).max() <= full_scale(np.dtype(dtype))
