from __future__ import annotations

import numpy as np

from i2i.data.check.similarity import group_copies, thumbnail


def test_copies_are_found_across_blocks_of_comparisons():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1100, 8, 8, 3)).astype(np.uint8)
    images[1090] = images[7]
    images[1080] = np.clip(images[500] * 0.8 + 20, 0, 255)
    thumbnails = np.array([thumbnail(image) for image in images])
    groups = group_copies([image.tobytes() for image in images], thumbnails)
    every = np.arange(1100)
    assert np.flatnonzero(groups.exact != every).tolist() == [1090]
    assert np.flatnonzero(groups.near != every).tolist() == [1080, 1090]
    assert (groups.near[1080], groups.near[1090]) == (500, 7)
