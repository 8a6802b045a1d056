"""Drawings and photos of the same scenes, laid out as data sets."""

from __future__ import annotations

import functools
import io

import cv2
import numpy as np
from PIL import Image

SIZE = 64


@functools.cache
def scene(seed, *, size=SIZE, shift=(0, 0)):
    """A drawing of ellipses in flat colours, and a blurred, noisy photo of them, moved right and down by `shift`."""
    rng = np.random.default_rng(seed)
    margin = 16
    whole = size + 2 * margin
    a = np.full((whole, whole, 3), rng.integers(180, 250, 3), np.uint8)
    b = np.full((whole, whole, 3), rng.integers(20, 90, 3), np.uint8)
    for _ in range(14):
        centre, axes = rng.integers(0, whole, 2).tolist(), rng.integers(3, size // 4, 2).tolist()
        angle, colours = float(rng.integers(180)), rng.integers(0, 255, (2, 3)).tolist()
        for canvas, colour in zip((a, b), colours, strict=True):
            cv2.ellipse(canvas, centre, axes, angle, 0, 360, colour, -1)
    b = cv2.GaussianBlur(b, (0, 0), 1.0) + rng.normal(0, 6, b.shape)
    right, down = shift
    b = b[margin - down : margin - down + size, margin - right : margin - right + size]
    a, b = a[margin : margin + size, margin : margin + size], b.clip(0, 255).astype(np.uint8)
    a.flags.writeable = b.flags.writeable = False
    return a, b


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photos(folder, count, *, start=0, size=SIZE):
    return [save(folder / f"p{number}.png", scene(start + number, size=size)[1]) for number in range(count)]


def two_folders(root, count, *, shift=(0, 0), size=SIZE):
    for number in range(count):
        a, b = scene(number, size=size, shift=shift)
        save(root / "A" / f"{number}.png", a)
        save(root / "B" / f"{number}.png", b)
    return root


def side_by_side(root, count, *, start=0):
    for number in range(count):
        save(root / f"{number}.png", np.concatenate(scene(start + number), axis=1))
    return root


def lay_out(root, kind):
    if kind == "side by side":
        side_by_side(root / "train", 10)
        side_by_side(root / "val", 2, start=20)
    elif kind == "two folders":
        two_folders(root, 10)
    elif kind == "unpaired":
        photos(root / "trainA", 6)
        photos(root / "trainB", 5, start=10)
        for path in (root / "trainB").iterdir():
            path.rename(path.with_name(f"other-{path.name}"))
    elif kind == "classes":
        for index, name in enumerate(("ant", "bee", "cat")):
            photos(root / name, 3, start=10 * index)
    else:
        photos(root, 7)


def saved_again(pixels, *, size=96, quality=50):
    """Smaller, and as JPEG."""
    small = io.BytesIO()
    Image.fromarray(pixels).resize((size, size)).save(small, "JPEG", quality=quality)
    return np.asarray(Image.open(small))


def names(finding, root):
    return [[path.removeprefix(f"{root}/") for path in named["paths"]] for named in finding["files"]]
