"""Findings about the sizes and shapes of images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from i2i.data.check.findings import DomainImages, FileGroup, Finding, counted, paths_of, share_of
from i2i.data.check.scan import ImageInfo
from i2i.errors import setting


def check_sizes(domains: Sequence[DomainImages], *, image_size: int) -> Iterable[Finding]:
    """Find images smaller than the crop, images far from square, and files of several images."""
    images = [image for domain in domains for image in domain.images]

    def small(image: ImageInfo) -> bool:
        return min(image.width, image.height) < image_size

    def long(image: ImageInfo) -> bool:
        return not 0.8 <= image.width / image.height <= 1.25

    files = [file for domain in domains for file in domain.files(small, detail=lambda image: image.size)]
    if files:
        fitting = 2 ** int(np.log2(min(min(image.width, image.height) for image in images)))
        advice = "remove them, or " if len(files) <= len(images) / 10 else ""
        advice += f"train with {setting('image_size', fitting)}" if fitting >= 16 else "find larger ones"
        message = f"{share_of(len(files), len(images))} smaller than {image_size} pixels and would be enlarged"
        yield Finding("small", "warning", message, advice, _unless_all(files, images))
    files = [file for domain in domains for file in domain.files(long, detail=lambda image: image.size)]
    if files and len(files) >= len(images) / 10:
        message = f"{share_of(len(files), len(images))} far from square: training squeezes images into squares"
        advice = "if shapes matter, cut them into squares first"
        yield Finding("not_square", "note", message, advice, _unless_all(files, images))
    files = [
        file
        for domain in domains
        for file in domain.files(lambda image: image.frames > 1, detail=lambda image: f"{image.frames} images")
    ]
    if files:
        message = f"{counted(len(files), 'file', 'has')} several images, of which only the first is used"
        yield Finding("frames", "warning", message, "save each image as a file of its own", tuple(files))


def check_pair_sizes(a: DomainImages, b: DomainImages) -> Iterable[Finding]:
    """Find pairs of images with different shapes or sizes, and pairs of an image with itself."""
    sizes, shapes, equal = [], [], []
    for index, (image_a, image_b) in enumerate(zip(a.images, b.images, strict=True)):
        sources = a.sources[index], b.sources[index]
        group = FileGroup(tuple(source.path for source in sources), f"{image_a.size} and {image_b.size}")
        if abs(image_a.width * image_b.height / (image_a.height * image_b.width) - 1) > 0.02:
            shapes.append(group)
        elif (image_a.width, image_a.height) != (image_b.width, image_b.height):
            sizes.append(group)
        elif image_a.digest == image_b.digest:
            equal.append(FileGroup(paths_of(sources)))
    if shapes:
        message = f"{counted(len(shapes), 'pair', 'has')} images of different shapes, each squeezed into a square"
        yield Finding("pair_shapes", "warning", message, "crop both images of a pair alike", tuple(shapes))
    if sizes:
        message = f"{counted(len(sizes), 'pair', 'has')} images of different sizes, which training resizes to one size"
        yield Finding("pair_sizes", "note", message, "nothing, if that is intended", tuple(sizes))
    if equal:
        message = f"{counted(len(equal), 'pair', 'has')} two identical images: {a.domain} is the same as {b.domain}"
        yield Finding("equal_pair", "warning", message, "remove them, or check how they were made", tuple(equal))


def _unless_all(files: Sequence[FileGroup], images: Sequence[ImageInfo]) -> tuple[FileGroup, ...]:
    return tuple(files) if len(files) < len(images) else ()
