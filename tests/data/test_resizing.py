from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image
from scipy.ndimage import laplace
from skimage.metrics import peak_signal_noise_ratio

from i2i.data.resizing import resized
from i2i.images.decoded import full_scale
from support.images import noise


def textured(height, width):
    """Edges and noise of three channels, as photographs have them; overshoot stays within [0, 255]."""
    rng = np.random.default_rng(0)
    boxes = np.kron(rng.integers(60, 196, (-(-height // 8), -(-width // 8), 3)), np.ones((8, 8, 1)))[:height, :width]
    return np.clip(boxes + rng.normal(0, 12, boxes.shape), 0, 255).astype(np.uint8)


def stripes(height, width):
    lines = np.zeros((height, width, 3), np.uint8)
    lines[:, ::2] = 255
    return lines


# (256, 256) to 286 is the default of pix2pix and CycleGAN; (200, 700) grows along one axis and shrinks along the other.
@pytest.mark.parametrize(
    ("shape", "size"), [((256, 256), 286), ((286, 286), 256), ((600, 600), 286), ((200, 700), 286), ((700, 200), 286)]
)
def test_resizing_matches_pillow(shape, size):
    image = textured(*shape)
    expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    apart = resized(image, size).astype(np.float64) - expected
    assert np.abs(apart).max() <= 2
    assert np.sqrt(np.mean(apart**2)) < 0.6


# The default of pix2pix and CycleGAN, its inverse, and one axis that grows while the other shrinks; sharpness is the
# variance of the Laplacian, of which enlarging bilinearly keeps 0.7.
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize(("shape", "size"), [((256, 256), 286), ((286, 286), 256), ((200, 290), 256)])
def test_resizing_photographs_matches_pillow(name, shape, size):
    photograph = getattr(skimage.data, name)()[20 : 20 + shape[0], 100 : 100 + shape[1]]
    expected = np.asarray(Image.fromarray(photograph).resize((size, size), Image.Resampling.BICUBIC))
    result = resized(photograph, size)
    psnr = peak_signal_noise_ratio(expected, result)
    one, other = (laplace(image.mean(-1)).var() for image in (result, expected))
    print(f"{name} {shape} to {size}: {psnr:.1f} dB, sharpness {one / other:.3f}")
    assert psnr > 65
    assert one / other == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(("dtype", "atol"), [(np.uint16, 1), (np.float32, 1e-5)])
@pytest.mark.parametrize(("shape", "size"), [((24, 24), 32), ((48, 20), 32)])
def test_deep_images_are_resized_without_loss_of_depth(shape, size, dtype, atol):
    white = full_scale(np.dtype(dtype))
    image = (textured(*shape)[..., :2] / 255 * white).astype(dtype)
    expected = [
        np.asarray(Image.fromarray(image[..., c].astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC))
        for c in range(2)
    ]
    assert np.abs(resized(image, size) - np.stack(expected, -1).clip(0, white)).max() <= atol


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_overshoot_beside_an_edge_is_clipped(dtype):
    white = full_scale(np.dtype(dtype))
    edge = np.zeros((8, 8, 1), dtype)
    edge[:, 4:] = white
    result = resized(edge, 20)
    assert (result.min(), result.max()) == (0, white)
    # Dark stays dark and bright stays bright: nothing wraps around.
    assert np.all(np.diff(result[0, :, 0].astype(np.float64)) > -1e-6)


@pytest.mark.parametrize("shape", [(200, 1000), (400, 1000), (1000, 1000)])
def test_fine_lines_do_not_alias_along_an_axis_that_shrinks(shape):
    # Pillow's result has a standard deviation of 1.03, that of its outermost columns.
    result = resized(stripes(*shape), 286)
    assert result.std() < 1.1
    assert np.abs(result[:, 4:-4].astype(int) - 127).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("size", "channels"),
    [((4, 4), 1), ((4, 9), 2), ((9, 4), 3), ((20, 30), 4), ((30, 3), 5), ((20, 30), 13)],
)
def test_any_shape_becomes_a_square_of_the_same_depth_and_channels(size, channels, dtype):
    # Each channel has a level of its own, so that none may take another's place.
    pixels = (np.arange(1, channels + 1) * 7 / (100 if dtype == np.float32 else 1)).astype(dtype)
    result = resized(np.broadcast_to(pixels, (*size, channels)), 8)
    assert result.dtype == dtype
    assert result.shape == (8, 8, channels)
    assert np.abs(result.astype(np.float64) - pixels).max() <= (1e-6 if dtype == np.float32 else 0)


def test_an_image_of_the_right_size_is_unchanged():
    image = noise(8, 8, 3)
    assert resized(image, 8) is image
