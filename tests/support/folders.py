"""Folders of empty images, and the layouts found in them."""

from __future__ import annotations

from PIL import Image

from i2i.data import find_layout


def put(root, *names, size=(8, 4)):
    """Make small images, their folders too."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def named(root, split):
    """The files of a split's domains, relative to a folder."""
    return tuple([source.path.relative_to(root).as_posix() for source in domain] for domain in (split.a, split.b))


def find(root, *, data="paired", **options):
    return find_layout([root], data=data, **options)
