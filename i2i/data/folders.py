"""Which images a folder holds: its layout, its pairs, its two domains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from i2i.data.direction import common_folder, common_pattern, counted, inputs_first, same_direction
from i2i.data.sizes import size_of
from i2i.errors import ImageError, UsageError
from i2i.images.decoded import PixelArray
from i2i.images.formats import suffixes_in_words
from i2i.images.reading import images_in

_LAYOUTS = (
    "side-by-side pairs (DATA/train/*.jpg, or DATA/*.jpg), two folders of images with the same names (DATA/A and "
    "DATA/B, or two paths), or DATA/trainA and DATA/trainB"
)
_HELD_OUT = ("val", "test", "vala", "valb", "testa", "testb")


@dataclass(frozen=True)
class Source:
    """Where an image is: a file, or the left or right half of one."""

    path: Path
    half: Literal["whole", "left", "right"] = "whole"

    def of(self, pixels: PixelArray) -> PixelArray:
        """Its part of what the file holds, (H, W) or (H, W, C)."""
        middle = pixels.shape[1] // 2
        halves = {"whole": slice(None), "left": slice(middle), "right": slice(middle, 2 * middle)}
        return pixels[:, halves[self.half]]


class UnknownLayoutError(UsageError):
    """There are images, but not as pairs or two sets of them are laid out."""


@dataclass(frozen=True)
class Problem:
    """Files that can't be one of a pair, and so are in no split.

    Attributes:
        kind: `alone` without a partner of the same name, `same_name` as another file, `not_two` images side by side,
            or `unreadable` because of a damaged header.
        message: the error for people who train.
        files: the files; of one name, the one that is in the split first.
    """

    kind: Literal["alone", "same_name", "not_two", "unreadable"]
    message: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Split:
    """The images of domains a and b; of the same length and order where they are pairs.

    Of a single set of images, which is b, a is empty; `labels` are the places of their classes, where they have any.
    `problems` tell of files left out; `find_layout` raises the first. `name` is that of the split's folder, train, val
    or test, and empty where the images lie in none.
    """

    a: tuple[Source, ...]
    b: tuple[Source, ...]
    labels: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    name: str = ""

    def turned(self) -> Split:
        """With the domains exchanged."""
        return replace(self, a=self.b, b=self.a)


@dataclass(frozen=True)
class Layout:
    """What was found in a data folder.

    Attributes:
        matched: how images belong together: as the `halves` of a file, by `name`, not at all (`unpaired`), or there is
            a `single` set of them.
        domains: names of a, the input, and b, the target.
        train: images to train on; none where a folder has held-out ones alone.
        validation: held-out images (val, test, valA, testA), or None.
        classes: names of the labels, where images have any.
    """

    matched: Literal["halves", "name", "unpaired", "single"]
    domains: tuple[str, str]
    train: Split
    validation: Split | None
    classes: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Which half or folder is the input and which the target, with the number of images to train on."""
        return self.describe(self.train if self.train.b or not self.validation else self.validation)

    def describe(self, split: Split) -> str:
        """Which half or folder of a split is the input and which the target, with their numbers."""
        a, b = self.domains
        left_out = [path for problem in split.problems for path in problem.files]
        of_a, of_b = ([source.path for source in sources] or left_out for sources in (split.a, split.b))
        if self.matched == "single":
            words = f"{len(self.classes)} classes ({', '.join(self.classes)})" if self.classes else "a single set"
            return f"{common_folder(of_b)}: {words} of {counted(len(split.b), 'image')}"
        if self.matched == "halves":
            first, second = (split.a[0].half, split.b[0].half) if split.a else ("left", "right")
            pairs = counted(len(split.a), "pair")
            return f"input {a} = {first} half, target {b} = {second} half of {common_pattern(of_a)} ({pairs})"
        one, two = f"input {a} = {common_folder(of_a)}", f"target {b} = {common_folder(of_b)}"
        if self.matched == "name":
            return f"{one}, target {b} = {common_folder(of_b)} ({counted(len(split.a), 'pair')} by name)"
        return f"{one} ({counted(len(split.a), 'image')}), {two} ({counted(len(split.b), 'image')}), unpaired"

    def turned(self) -> Layout:
        """With the domains exchanged."""
        held_out = self.validation.turned() if self.validation else None
        return replace(self, domains=self.domains[::-1], train=self.train.turned(), validation=held_out)

    def named(self, domains: tuple[str, str]) -> Layout:
        """With other names: those that say it go to their images, others to the first half or folder first.

        Raises:
            UsageError: both are the same, or one is the name of the other's folder.
        """
        one, two = domains
        if one == two:
            raise UsageError(f"--domains {one} {two}: the two need different names")
        first, second = self.domains
        if domains != (second, first) and (one == second or two == first):
            raise UsageError(
                f"--domains {one} {two}: the images are named {first} and {second}; give both of these names, or others"
            )
        turned = same_direction(domains, self.domains) is False
        return replace(self.turned() if turned else self, domains=domains)


_NOTHING = Split((), ())


def find_layout(
    paths: Sequence[str | Path],
    *,
    data: Literal["paired", "unpaired", "single"],
    domains: tuple[str, str] | None = None,
    swap: bool = False,
    labels: bool = False,
    training: bool = True,
) -> Layout:
    """Detect how the images of one folder, or of two, are laid out.

    Pairs are the halves of one file, or files of the same name up to the suffix, in sub-folders too; never files of
    the same place in a listing. `domains` names the images: the left half or first folder comes first, but names that
    the folders have go to those folders. `swap` then exchanges input and target, and their names with them. A single
    set of images is all that a folder holds; with `labels` each of its folders is a class. Unless it is for
    `training`, a folder may hold held-out images alone.

    Raises:
        UsageError: a folder is missing or empty, an image has no partner, or no layout is recognised; the message
            names it and says what is expected.
    """
    if data == "single" and (len(paths) > 1 or swap or domains):
        raise UsageError("this method learns one set of images: give one folder, without --swap and --domains")
    if data != "single" and labels:
        raise UsageError("labels are for a single set of images (gan); leave out --labels")
    layout = survey(paths, data=data, labels=labels)
    for split in (layout.train, layout.validation):
        if split and split.problems:
            raise UsageError(split.problems[0].message)
    if training and not layout.train.b:
        held_out = layout.validation.name if layout.validation else "val"
        raise UsageError(
            f"{paths[0]}: only held-out images ({held_out}), which are not trained on; put others in a folder train "
            "(or trainA and trainB) there"
        )
    if domains is not None:
        layout = layout.named(domains)
    return layout.turned() if swap else layout


def survey(
    paths: Sequence[str | Path], *, data: Literal["paired", "unpaired", "single"], labels: bool = False
) -> Layout:
    """Detect a layout as `find_layout` does, but tell of files that can't be used in `Split.problems`.

    Raises:
        UsageError: a folder is missing or empty; of the kind UnknownLayoutError where no pairs or two sets are
            recognised.
    """
    folders = [Path(path) for path in paths]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError(f"{folders[0]} is given twice; the two domains need folders of their own")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder" if not folder.exists() else f"{folder}: not a folder")
        _refuse_closed(folder)
    if data == "single":
        return _single(folders[0], labels=labels)
    return _two_folders(*folders, data=data) if len(folders) == 2 else _one_folder(folders[0], data=data)


def _refuse_closed(root: Path) -> None:
    """Refuse a folder with sub-folders whose images would be left out without a word, as they can't be read."""

    def refuse(error: OSError) -> None:
        name = Path(error.filename).name
        if not name.startswith(".") and name != "lost+found":
            raise UsageError(f"{error.filename}: this folder can't be read: {error.strerror}")

    for _, names, _ in os.walk(root, onerror=refuse):
        names[:] = [name for name in names if not name.startswith(".")]


def _one_folder(root: Path, *, data: str) -> Layout:
    folders = _folders(root)
    held_out = next((name for name in ("val", "test") if _images_of(folders, name, f"{name}a", f"{name}b")), "val")
    if "traina" in folders or "trainb" in folders:
        train = _both(folders, "train", root, data)
        val = _both(folders, held_out, root, data) if {f"{held_out}a", f"{held_out}b"} & set(folders) else None
        return Layout(_matched(data), ("A", "B"), train, val)
    if {"a", "b"} & set(folders):
        return _two_folders(_folder(folders, "a", root), _folder(folders, "b", root), data=data)
    if "train" in folders:
        inner = _folders(folders["train"])
        if len(inner) == 2:
            one, two = inputs_first(list(inner.values()))
            train = _match(one, two, data, "train")
            held = folders.get(held_out)
            val = _match(held / one.name, held / two.name, data, held_out) if held else None
            return Layout(_matched(data), (one.name, two.name), train, val)
        return _side_by_side(_halves(_filled(folders["train"]), "train"), folders.get(held_out))
    images = images_in(root)
    if any(path.parent == root for path in images):
        outside = [path for path in images if path.relative_to(root).parts[0].lower() not in ("val", "test")]
        return _side_by_side(_halves(outside), folders.get(held_out))
    full = [path for path in folders.values() if images_in(path)]
    if full and all(path.name.lower() in _HELD_OUT for path in full):
        return _held_out_alone(root, folders, held_out, data)
    if len(full) == 2:
        return _two_folders(*inputs_first(full), data=data)
    if not full:
        raise UsageError(f"{root}: no images in this folder; expected {_LAYOUTS}")
    names = ", ".join(path.name for path in full)
    raise UnknownLayoutError(f"{root}: images in {names}, which is no layout that is known; expected {_LAYOUTS}")


def _held_out_alone(root: Path, folders: dict[str, Path], held_out: str, data: str) -> Layout:
    """What a folder holds in val or test, where it has nothing beside them."""
    if {f"{held_out}a", f"{held_out}b"} & set(folders):
        return Layout(_matched(data), ("A", "B"), _NOTHING, _both(folders, held_out, root, data))
    inner = _folders(folders[held_out])
    if len(inner) == 2:
        one, two = inputs_first(list(inner.values()))
        return Layout(_matched(data), (one.name, two.name), _NOTHING, _match(one, two, data, held_out))
    return _side_by_side(_NOTHING, folders[held_out])


def _single(root: Path, *, labels: bool) -> Layout:
    """All the images of a folder, or of its folder train; val or test, where it has one, is held out."""
    folders = _folders(root)
    aside = {folders[name] for name in ("val", "test") if name in folders}
    # Beside other classes, train is one of them.
    other_classes = labels and any(images_in(folders[name]) for name in folders.keys() - {"train", "val", "test"})
    train = root if other_classes else folders.get("train", root)
    held_out = next((name for name in ("val", "test") if _images_of(folders, name)), "")
    classes = tuple(path.name for path in _within(train) if path not in aside and images_in(path)) if labels else ()
    if labels and len(classes) < 2:
        raise UsageError(f"{train}: with --labels each of its folders is a class, and there are {len(classes)}")
    held = replace(_labelled(folders[held_out], classes), name=held_out) if held_out else None
    whole = replace(_labelled(train, classes, aside), name="" if train == root else "train")
    return Layout("single", ("latent", root.name), whole, held, classes)


def _labelled(folder: Path, classes: tuple[str, ...], aside: AbstractSet[Path] = frozenset()) -> Split:
    """The images of a folder but those set aside, with the places of their classes where there are any."""
    paths = [path for path in _filled(folder) if aside.isdisjoint(path.parents)]
    if not classes:
        return Split((), tuple(map(Source, paths)))
    names = [path.relative_to(folder).parts[0] for path in paths]
    strange = [path for path, name in zip(paths, names, strict=True) if name not in classes]
    if strange:
        raise UsageError(f"{strange[0]}: with --labels an image lies in the folder of its class: {', '.join(classes)}")
    return Split((), tuple(map(Source, paths)), tuple(map(classes.index, names)))


def _folders(root: Path) -> dict[str, Path]:
    return {path.name.lower(): path for path in _within(root)}


def _within(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "."]


def _images_of(folders: dict[str, Path], *names: str) -> list[Path]:
    return [path for name in names if name in folders for path in images_in(folders[name])]


def _side_by_side(train: Split, held_out: Path | None) -> Layout:
    others = images_in(held_out) if held_out else []
    val = _halves(others, held_out.name.lower()) if held_out and others else None
    return Layout("halves", ("A", "B"), train, val)


def _two_folders(one: Path, two: Path, *, data: str) -> Layout:
    for name in ("train", "val", "test"):
        if (one / name).is_dir() != (two / name).is_dir():
            has, lacks = (one, two) if (one / name).is_dir() else (two, one)
            raise UsageError(f"{has} has a folder {name} but {lacks} has none; both domains need the same folders")
    held_out = next((name for name in ("val", "test") if (one / name).is_dir()), None)
    val = _match(one / held_out, two / held_out, data, held_out) if held_out else None
    if (one / "train").is_dir():
        train = _match(one / "train", two / "train", data, "train")
    else:
        train = _NOTHING if val else _match(one, two, data)
    domains = (one.name, two.name) if one.name != two.name else ("A", "B")
    return Layout(_matched(data), domains, train, val)


def _both(folders: dict[str, Path], split: str, root: Path, data: str) -> Split:
    return _match(_folder(folders, f"{split}a", root), _folder(folders, f"{split}b", root), data, split)


def _folder(folders: dict[str, Path], name: str, root: Path) -> Path:
    if name in folders:
        return folders[name]
    missing = name[:-1] + name[-1].upper()
    other = folders[name[:-1] + {"a": "b", "b": "a"}[name[-1]]]
    raise UsageError(f"{root}: there is {other.name} but no {missing}; both domains need a folder")


def _match(one: Path, two: Path, data: str, name: str = "") -> Split:
    """Pair two folders by name, or take each as it is."""
    a, b = _filled(one), _filled(two)
    if data == "unpaired":
        return Split(tuple(map(Source, a)), tuple(map(Source, b)), name=name)
    by_name_a, same_a = _by_name(one, a, "_A")
    by_name_b, same_b = _by_name(two, b, "_B")
    alone_a = _alone(one, two, by_name_a, by_name_b, len(a))
    alone_b = _alone(two, one, by_name_b, by_name_a, len(b))
    shared = sorted(by_name_a.keys() & by_name_b.keys())
    return Split(
        tuple(Source(by_name_a[stem]) for stem in shared),
        tuple(Source(by_name_b[stem]) for stem in shared),
        problems=(*same_a, *same_b, *alone_a, *alone_b),
        name=name,
    )


def _by_name(folder: Path, paths: list[Path], ending: str) -> tuple[dict[str, Path], list[Problem]]:
    named: dict[str, Path] = {}
    problems = []
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(ending)
        if name in named:
            words = f"{folder}: {named[name].name} and {path.name} would be one name; pairs match by name"
            problems.append(Problem("same_name", words, (named[name], path)))
        else:
            named[name] = path
    return named, problems


def _alone(one: Path, two: Path, named: dict[str, Path], others: dict[str, Path], count: int) -> list[Problem]:
    names = sorted(named.keys() - others.keys())
    words = (
        f"{one}: {len(names)} of {count} images have no partner of the same name in {two}: {_few(names)}; "
        "rename or remove them, or train without pairs (cyclegan, cut)"
    )
    return [Problem("alone", words, tuple(named[name] for name in names))] if names else []


def _halves(paths: list[Path], name: str = "") -> Split:
    problems: dict[Path, Problem] = {}
    for path in paths:
        try:
            width, height = size_of(path)
        except ImageError as error:
            problems[path] = Problem("unreadable", f"{error}; mend or remove it", (path,))
            continue
        if width <= height or width % 2:
            words = f"{path} is {width} x {height} pixels: not two images side by side; expected {_LAYOUTS}"
            problems[path] = Problem("not_two", words, (path,))
    whole = [path for path in paths if path not in problems]
    return Split(
        tuple(Source(path, "left") for path in whole),
        tuple(Source(path, "right") for path in whole),
        problems=tuple(problems.values()),
        name=name,
    )


def _filled(folder: Path) -> list[Path]:
    paths = images_in(folder)
    if not paths:
        raise UsageError(f"{folder}: no images in this folder; images end in {suffixes_in_words()}")
    return paths


def _matched(data: str) -> Literal["name", "unpaired"]:
    return "name" if data == "paired" else "unpaired"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
