from __future__ import annotations

import numpy as np

from i2i.data.check.similarity import thumbnail


def test_copies_are_found_among_thousands():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2500, 8, 8, 3)).astype(np.uint8)
    images[2400] = images[7]
    images[2300] = np.clip(images[1100] * 0.8 + 20, 0, 255)
    thumbnails = np.array([thumbnail(image) for image in images])
    groups = same([image.tobytes() for image in images], thumbnails)
    every = np.arange(2500)
    assert np.flatnonzero(groups.exact != every).tolist() == [2400]
    assert np.flatnonzero(groups.near != every).tolist() == [2300, 2400]
    assert (groups.near[2300], groups.near[2400]) == (1100, 7)
