"""TIFF files: decoding, and encoding without loss."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from PIL import Image

from i2i.images.decoded import DecodedImage, all_channels, as_eight_bit, file_pixels
from i2i.images.pillow import cmyk_to_rgb, upright, usable_dpi
from i2i.images.tiff_page import read_bands


def decode_tiff(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode the first page of a TIFF, of any number of channels; see `i2i.images.formats.Decode`."""
    bands = read_bands(data, max_pixels=max_pixels)
    pixels, icc = bands.values, bands.icc
    alpha = pixels[..., -1] if bands.has_alpha else None
    if alpha is not None:
        pixels = pixels[..., :-1]
    if bands.is_cmyk:
        inks = np.ascontiguousarray(as_eight_bit(file_pixels(pixels[..., :4])))
        image = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())
        pixels, icc = np.asarray(cmyk_to_rgb(image, icc)), None
        alpha = None if alpha is None else as_eight_bit(file_pixels(alpha))
    pixels = np.ascontiguousarray(upright(file_pixels(pixels), bands.orientation))
    if alpha is not None:
        alpha = np.ascontiguousarray(upright(file_pixels(alpha[..., None]), bands.orientation)[..., 0])
    return DecodedImage(pixels, alpha, icc=icc, dpi=usable_dpi(bands.dpi), geo=bands.geo, frames=bands.frames)


def encode_tiff(image: DecodedImage, *, quality: int) -> bytes:  # noqa: ARG001
    """Encode pixels of any depth and number of channels; see `i2i.images.formats.Encode`."""
    values, has_alpha = all_channels(image), image.alpha is not None
    colours = values.shape[-1] - has_alpha
    rgb = colours == 3
    extra = ["unspecified"] * (colours - (3 if rgb else 1)) + ["unassalpha"] * has_alpha
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        values if values.shape[-1] > 1 else values[..., 0],
        photometric="rgb" if rgb else "minisblack",
        planarconfig="contig" if values.shape[-1] > 1 else None,
        extrasamples=extra or None,
        compression="zlib",
        predictor=values.dtype.kind == "u",
        iccprofile=image.icc,
        resolution=image.dpi,
        resolutionunit="inch" if image.dpi else None,
        extratags=[(code, kind, count, value, True) for code, kind, count, value in image.geo],
        metadata=None,
        software="i2i",
    )
    return buffer.getvalue()
