"""Find out how the images of a data folder, or of two, are laid out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Literal

from i2i.data.direction import inputs_first
from i2i.data.layout import EXPECTED_LAYOUTS, Layout, Source, Split
from i2i.data.pairing import pair_by_name, pair_halves
from i2i.data.shards import ShardCache, find_shards, is_shards
from i2i.data.table import is_table, read_table
from i2i.errors import UsageError, setting
from i2i.images.formats import suffixes_in_words
from i2i.images.reading import images_in

_EMPTY = Split((), ())
_HELD_OUT = ("val", "test", "vala", "valb", "testa", "testb")


class UnknownLayoutError(UsageError):
    """The folder holds images, but neither pairs nor two sets are recognised."""


def find_layout(
    paths: Sequence[str | Path],
    *,
    data: Literal["paired", "unpaired", "single"],
    domains: tuple[str, str] | None = None,
    swap: bool = False,
    labels: bool = False,
    training: bool = True,
    cache: ShardCache | None = None,
) -> Layout:
    """Detect how the images of one folder, or of two, are laid out.

    Pairs are the halves of one file, or two files of the same name up to the suffix, in sub-folders too; files are
    never paired by their order. A single set is all images of a folder.

    Args:
        paths: one folder, the folders of a and b, a table (.csv) that lists pairs (see `read_table`), or shards (see
            `find_shards`).
        data: what the method learns from: pairs, two unpaired sets, or a single set.
        domains: names of the images: a, the left half or first folder, and b; names that the folders already have
            stay with those folders.
        swap: exchange input and target, and their names with them.
        labels: take each folder of a single set as a class.
        training: require images to train on; without it, a folder may hold held-out images only.
        cache: where remote shards are copied to.

    Raises:
        UsageError: a folder is missing or empty, an image has no partner, or no layout is recognised; the message
            names it and says what is expected.
    """
    if data == "single" and (len(paths) > 1 or swap or domains):
        raise UsageError(
            f"this method learns from a single set of images: give one folder, without {setting('swap')} and "
            f"{setting('domains')}"
        )
    if data != "single" and labels:
        raise UsageError(f"{setting('labels')} is for a single set of images (gan); leave it out")
    if any(map(is_shards, paths)):
        layout = find_shards(paths, data=data, labels=labels, cache=cache)
    else:
        layout = survey(paths, data=data, labels=labels)
    for split in (layout.train, layout.validation):
        if split and split.problems:
            raise UsageError(split.problems[0].message)
    if training and not layout.train.b:
        held_out = layout.validation.name if layout.validation else "val"
        raise UsageError(
            f"{paths[0]}: only held-out images ({held_out}), which are not trained on; add a folder train (or trainA "
            "and trainB) with images to train on"
        )
    if domains is not None:
        layout = layout.with_domains(domains)
    return layout.swapped() if swap else layout


def survey(
    paths: Sequence[str | Path], *, data: Literal["paired", "unpaired", "single"], labels: bool = False
) -> Layout:
    """Detect a layout as `find_layout` does, but list files that can't be used in `Split.problems`.

    Raises:
        UsageError: a folder is missing or empty.
        UnknownLayoutError: neither pairs nor two sets are recognised.
    """
    folders = [Path(path) for path in paths]
    if len(folders) == 1 and is_table(folders[0]):
        return read_table(folders[0], data=data)
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError(f"{folders[0]} is given twice; the two domains need different folders")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder" if not folder.exists() else f"{folder}: not a folder")
        _check_readable(folder)
    if data == "single":
        return _single_set(folders[0], labels=labels)
    return _two_folders(*folders, data=data) if len(folders) == 2 else _one_folder(folders[0], data=data)


def _check_readable(root: Path) -> None:
    """Refuse sub-folders without read permission: their images would be skipped silently."""

    def refuse(error: OSError) -> None:
        name = Path(error.filename).name
        if not name.startswith(".") and name != "lost+found":
            raise UsageError(f"{error.filename}: this folder can't be read: {error.strerror}")

    for _, names, _ in os.walk(root, onerror=refuse):
        names[:] = [name for name in names if not name.startswith(".")]


def _one_folder(root: Path, *, data: str) -> Layout:
    folders = _folders_by_name(root)
    held_out = next((name for name in ("val", "test") if _has_images(folders, name, f"{name}a", f"{name}b")), "val")
    if "traina" in folders or "trainb" in folders:
        train = _a_and_b(folders, "train", root, data)
        val = _a_and_b(folders, held_out, root, data) if {f"{held_out}a", f"{held_out}b"} & set(folders) else None
        return Layout(_matched(data), ("A", "B"), train, val)
    if {"a", "b"} & set(folders):
        return _two_folders(_folder(folders, "a", root), _folder(folders, "b", root), data=data)
    if "train" in folders:
        return _train_folder(folders["train"], folders.get(held_out), data)
    images = images_in(root)
    if any(path.parent == root for path in images):
        train_images = [path for path in images if path.relative_to(root).parts[0].lower() not in ("val", "test")]
        return _side_by_side(pair_halves(train_images), folders.get(held_out))
    with_images = [path for path in folders.values() if images_in(path)]
    if with_images and all(path.name.lower() in _HELD_OUT for path in with_images):
        return _held_out_only(root, folders, held_out, data)
    if len(with_images) == 2:
        return _two_folders(*inputs_first(with_images), data=data)
    if not with_images:
        raise UsageError(f"{root}: no images in this folder; expected {EXPECTED_LAYOUTS}")
    names = ", ".join(path.name for path in with_images)
    raise UnknownLayoutError(f"{root}: images in {names}, not a known layout; expected {EXPECTED_LAYOUTS}")


def _train_folder(train: Path, held_out: Path | None, data: str) -> Layout:
    """The layout of a folder `train`, which holds two domains or side-by-side files, and of `val` or `test`."""
    inner = _folders_by_name(train)
    if len(inner) != 2:
        return _side_by_side(pair_halves(_images(train), name="train"), held_out)
    a, b = inputs_first(list(inner.values()))
    val = _split(held_out / a.name, held_out / b.name, data, held_out.name.lower()) if held_out else None
    return Layout(_matched(data), (a.name, b.name), _split(a, b, data, "train"), val)


def _held_out_only(root: Path, folders: dict[str, Path], held_out: str, data: str) -> Layout:
    if {f"{held_out}a", f"{held_out}b"} & set(folders):
        return Layout(_matched(data), ("A", "B"), _EMPTY, _a_and_b(folders, held_out, root, data))
    inner = _folders_by_name(folders[held_out])
    if len(inner) == 2:
        a, b = inputs_first(list(inner.values()))
        return Layout(_matched(data), (a.name, b.name), _EMPTY, _split(a, b, data, held_out))
    return _side_by_side(_EMPTY, folders[held_out])


def _two_folders(a: Path, b: Path, *, data: str) -> Layout:
    for name in ("train", "val", "test"):
        if (a / name).is_dir() != (b / name).is_dir():
            has, lacks = (a, b) if (a / name).is_dir() else (b, a)
            raise UsageError(f"{has} has a folder {name} but {lacks} has none; both domains need the same folders")
    held_out = next((name for name in ("val", "test") if (a / name).is_dir()), None)
    val = _split(a / held_out, b / held_out, data, held_out) if held_out else None
    if (a / "train").is_dir():
        train = _split(a / "train", b / "train", data, "train")
    else:
        train = _EMPTY if val else _split(a, b, data)
    domains = (a.name, b.name) if a.name != b.name else ("A", "B")
    return Layout(_matched(data), domains, train, val)


def _side_by_side(train: Split, held_out: Path | None) -> Layout:
    images = images_in(held_out) if held_out else []
    val = pair_halves(images, name=held_out.name.lower()) if held_out and images else None
    return Layout("halves", ("A", "B"), train, val)


def _a_and_b(folders: dict[str, Path], split: str, root: Path, data: str) -> Split:
    return _split(_folder(folders, f"{split}a", root), _folder(folders, f"{split}b", root), data, split)


def _split(a: Path, b: Path, data: str, name: str = "") -> Split:
    images_a, images_b = _images(a), _images(b)
    if data == "unpaired":
        return Split(tuple(map(Source, images_a)), tuple(map(Source, images_b)), name=name)
    return pair_by_name((a, images_a), (b, images_b), name=name)


def _single_set(root: Path, *, labels: bool) -> Layout:
    """All images of a folder, or of its folder `train`; those of `val` or `test` are held out."""
    folders = _folders_by_name(root)
    held_out_folders = {folders[name] for name in ("val", "test") if name in folders}
    # Beside other classes, train is one of them.
    other_classes = labels and any(images_in(folders[name]) for name in folders.keys() - {"train", "val", "test"})
    train = root if other_classes else folders.get("train", root)
    held_out = next((name for name in ("val", "test") if _has_images(folders, name)), "")
    classes: tuple[str, ...] = ()
    if labels:
        classes = tuple(path.name for path in _folders(train) if path not in held_out_folders and images_in(path))
        if len(classes) < 2:
            raise UsageError(
                f"{train}: {setting('labels')} makes each folder in it a class, and needs two or more; "
                f"folders with images: {len(classes)}"
            )
    val = replace(_labelled(folders[held_out], classes), name=held_out) if held_out else None
    split = replace(_labelled(train, classes, skip=held_out_folders), name="" if train == root else "train")
    return Layout("single", ("latent", root.name), split, val, classes)


def _labelled(folder: Path, classes: tuple[str, ...], *, skip: AbstractSet[Path] = frozenset()) -> Split:
    """The images of a folder but those in the folders to skip, with their class indices where there are classes."""
    paths = [path for path in _images(folder) if skip.isdisjoint(path.parents)]
    if not classes:
        return Split((), tuple(map(Source, paths)))
    names = [path.relative_to(folder).parts[0] for path in paths]
    unlabelled = [path for path, name in zip(paths, names, strict=True) if name not in classes]
    if unlabelled:
        raise UsageError(
            f"{unlabelled[0]}: not in the folder of a class, as {setting('labels')} needs; the classes are "
            f"{', '.join(classes)}"
        )
    return Split((), tuple(map(Source, paths)), tuple(map(classes.index, names)))


def _folders_by_name(root: Path) -> dict[str, Path]:
    return {path.name.lower(): path for path in _folders(root)}


def _folders(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "."]


def _folder(folders: dict[str, Path], name: str, root: Path) -> Path:
    if name in folders:
        return folders[name]
    missing = name[:-1] + name[-1].upper()
    other = folders[name[:-1] + {"a": "b", "b": "a"}[name[-1]]]
    raise UsageError(f"{root}: there is {other.name} but no {missing}; both domains need a folder")


def _has_images(folders: dict[str, Path], *names: str) -> bool:
    return any(images_in(folders[name]) for name in names if name in folders)


def _images(folder: Path) -> list[Path]:
    paths = images_in(folder)
    if not paths:
        raise UsageError(f"{folder}: no images in this folder; images end in {suffixes_in_words()}")
    return paths


def _matched(data: str) -> Literal["name", "unpaired"]:
    return "name" if data == "paired" else "unpaired"
