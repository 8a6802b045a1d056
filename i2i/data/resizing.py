"""Resizing for training and scoring: bicubic with antialiasing, the same as Pillow's."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

from i2i.images.decoded import PixelArray, full_scale


def resized(image: PixelArray, size: int) -> PixelArray:
    """Resize an image (H, W, C) to (size, size, C) of the same depth: bicubic, antialiased along an axis that shrinks.

    Source: Keys 1981 (a = -0.5), with the kernel widened by the factor by which an axis shrinks. This is Pillow's
    BICUBIC, which the code of pix2pix, CycleGAN and CUT uses: the PSNR between the two is 71 dB or more on
    photographs, and 55 dB from 500 x 100 to 286 pixels, where rounding alone costs 57 dB. Overshoot is clipped to the
    range of the depth.
    """
    if image.shape[:2] == (size, size):
        return image
    depth = image.dtype
    # torch takes no array that is read-only or flipped. uint8 is kept: torch has fast kernels for it.
    pixels = torch.from_numpy(np.require(image, depth if depth == np.uint8 else np.float32, ["C", "W"]))
    channels_first = pixels.permute(2, 0, 1)[None]
    result = interpolate(channels_first, (size, size), mode="bicubic", antialias=True)[0].permute(1, 2, 0)
    if depth == np.uint8:
        return np.ascontiguousarray(result.numpy())
    result = result.clamp(0, full_scale(depth))
    return np.ascontiguousarray((result.round() if depth == np.uint16 else result).numpy().astype(depth))
