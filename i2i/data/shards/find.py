"""Find out what shards hold: pairs, two sets or one, and which shards are held out."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np

from i2i.data.direction import counted, inputs_first
from i2i.data.layout import Layout, Split
from i2i.data.shards.cache import ShardCache
from i2i.data.shards.contents import Columns, Contents, contents_of
from i2i.data.shards.images import GROUP, Shard, ShardImages
from i2i.data.shards.storage import expand, matching, without_query
from i2i.errors import ImageError, UsageError, setting
from i2i.images.reading import images_in
from i2i.progress import Progress
from i2i.storage import is_remote

_SHARD = re.compile(r"\.(tar|tgz)(\.\w+)?$", re.IGNORECASE)
_ROLE = re.compile(r"(?:^|[^a-z])(train|val|valid|validation|test)(a|b)?(?![a-z])", re.IGNORECASE)
_THREADS = 16  # that index shards
_EXPECTED = (
    "expected pairs (000017.a.png and 000017.b.png, or other names in place of a and b), or side-by-side images "
    "(000017.png), in every shard"
)


def is_shards(path: str | Path) -> bool:
    """Whether data are shards: a URL, a name, glob or braces that end in .tar, or a folder of .tar files alone."""
    text = os.fspath(path)
    if is_remote(text) or _SHARD.search(text):
        return True
    folder = Path(text)
    return folder.is_dir() and any(_tar_files(folder)) and not images_in(folder)


def find_shards(
    paths: Sequence[str | Path],
    *,
    data: Literal["paired", "unpaired", "single"],
    labels: bool = False,
    cache: ShardCache | None = None,
) -> Layout:
    """Detect what shards hold. As in WebDataset, files in a shard whose names are the same up to a dot are a sample.

    Args:
        paths: a folder, glob, URL or braces, or two for the images of a and b; shards named `val` or `test` are held
            out, also those beside the ones that are named.
        data: what the method learns from.
        labels: refused, as shards have no folders of classes.
        cache: where remote shards are copied to, and indices are kept.

    Raises:
        UsageError: there are no shards, one can't be read, or they don't hold what the method learns from.
    """
    if labels:
        raise UsageError(f"{setting('labels')} makes folders classes, which shards don't have; leave it out")
    cache = cache or ShardCache()
    named: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    folders = {os.path.dirname(os.fspath(path)) for path in paths}  # noqa: PTH120 (of URLs too)
    for path, domain in zip(paths, "ab" if len(paths) == 2 else [""], strict=True):
        for url, name in _shards_of(os.fspath(path), share_folder=len(paths) > len(folders)):
            split, letter = _role(name)
            named[split][domain or letter].append(url)
    held_out = next((name for name in ("val", "test") if name in named), "")
    splits = [name for name in ("train", held_out) if name in named]
    found = {name: _split(_read(named[name], data, cache), data, name) for name in splits}
    kinds = {kind for _, kind in found.values()}
    if len(kinds) > 1:
        one, other = (f"{kind.matched} of {' and '.join(kind.domains)}" for kind in kinds)
        raise UsageError(f"{paths[0]}: the shards to train on and those held out differ: {one}; {other}")
    ((matched, domains),) = kinds
    if matched == "single":
        folder = Path(without_query(os.fspath(paths[0])))
        domains = ("latent", (folder.parent if _SHARD.search(folder.name) else folder).name)
    train = found["train"][0] if "train" in found else Split((), ())
    return Layout(matched, domains, train, found[held_out][0] if held_out else None)


class _Kind(NamedTuple):
    matched: Literal["halves", "name", "unpaired", "single"]
    domains: tuple[str, str]


def _shards_of(path: str, *, share_folder: bool) -> list[tuple[str, str]]:
    """The shards that a path stands for, and of each the name that says its split.

    Args:
        path: a folder, glob, URL or braces.
        share_folder: whether the shards of the other domain are in the same folder.
    """
    folder = Path(path)
    if not is_remote(path) and folder.is_dir():
        found = [(str(file), file.relative_to(folder).as_posix()) for file in _tar_files(folder)]
    else:
        if is_remote(path) and not _SHARD.search(without_query(path)):
            path = f"{path.rstrip('/')}/*.tar"
        shards = [shard for pattern in expand(path) for shard in matching(pattern)]
        roles = {_role(_name(shard)) for shard in shards}
        if shards and {split for split, _ in roles} == {"train"}:
            letters = {letter for _, letter in roles if letter or not share_folder}
            shards += [shard for shard in _held_out_beside(shards[0]) if _role(_name(shard))[1] in letters]
        found = [(shard, _name(shard)) for shard in shards]
    if not found:
        advice = "; a web server may list no files: use braces" if path.startswith("http") else ""
        raise UsageError(f"{path}: no shards (.tar){advice}")
    return found


def _held_out_beside(shard: str) -> list[str]:
    """The shards beside one that are named as held out; none of a web server, which need not list its files."""
    if shard.startswith("http"):
        return []
    folder = os.path.dirname(shard)  # noqa: PTH120 (of a URL too)
    beside = matching(f"{folder if is_remote(folder) else glob.escape(folder or '.')}/*.tar")
    return [other for other in beside if _role(_name(other))[0] != "train"]


def _tar_files(folder: Path) -> list[Path]:
    return sorted(path for path in (*folder.glob("*.tar"), *folder.glob("*/*.tar")) if path.name[0] != ".")


def _name(url: str) -> str:
    return PurePosixPath(without_query(url) if is_remote(url) else Path(url).as_posix()).name


def _role(name: str) -> tuple[str, str]:
    """The split that a name tells, and the domain: `trainA-0001.tar` is train, a."""
    found = _ROLE.search(name)
    if found is None:
        return "train", ""
    split = found[1].lower()
    return "val" if split.startswith("val") else split, (found[2] or "").lower()


def _read(urls: Mapping[str, Sequence[str]], data: str, cache: ShardCache) -> dict[str, list[Contents]]:
    """Index shards, a few at a time, with a progress bar."""
    flat = [url for group in urls.values() for url in group]

    def read(url: str) -> Contents:
        return contents_of(Shard.at(url, cache), data=data)

    try:
        with ThreadPool(min(_THREADS, len(flat))) as pool:
            found = list(Progress(pool.imap(read, flat), "indexing", len(flat), unit="shard", leave=False))
    except ImageError as error:
        raise UsageError(error.args[0]) from None
    rest = iter(found)
    parts = {domain: [next(rest) for _ in group] for domain, group in urls.items()}
    _check_cache(parts, cache)
    return parts


def _check_cache(parts: Mapping[str, list[Contents]], cache: ShardCache) -> None:
    needed = 0
    for contents in parts.values():
        sizes = sorted((shard.size for shard, _ in contents if is_remote(shard.url)), reverse=True)
        needed += sum(sizes[: 2 * GROUP])
    if needed > cache.max_bytes:
        enough = setting("shard_cache_gb", f"{needed / 1e9 + 0.05:.1f}")
        raise UsageError(
            f"{setting('shard_cache_gb', f'{cache.max_bytes / 1e9:g}')} is too little: samples are shuffled within "
            f"{GROUP} shards, while the next {GROUP} are fetched; use {enough} or more, or smaller shards"
        )


def _split(parts: Mapping[str, list[Contents]], data: str, name: str) -> tuple[Split, _Kind]:
    """The images of a split, and how they belong together."""
    if set(parts) == {""}:
        return _mixed(parts[""], data, name)
    place = _place(next(iter(parts.values())))
    if set(parts) != {"a", "b"} or data == "single":
        raise UsageError(f"{place}: shards named {' and '.join(sorted(parts)).upper()}; expected both of A and of B")
    if data == "paired":
        raise UsageError(
            f"{place}: this method learns from pairs, and shards of A and of B are two sets; put both images of a pair "
            "into one shard, as 000017.a.png and 000017.b.png"
        )
    a, b = (_images([Contents(shard, {"": _all(kinds)}) for shard, kinds in parts[domain]], "") for domain in "ab")
    return Split(a, b, name=name), _Kind("unpaired", ("A", "B"))


def _mixed(contents: list[Contents], data: str, name: str) -> tuple[Split, _Kind]:
    """The images of shards that hold all domains."""
    kinds = {kind for _, found in contents for kind in found}
    if data == "single":
        return Split((), _images(contents, ""), name=name), _Kind("single", ("latent", ""))
    if kinds == {""}:
        left, right = (_images(contents, "", half=half) for half in ("left", "right"))
        return Split(left, right, name=name), _Kind("halves", ("A", "B"))
    if len(kinds) != 2 or "" in kinds:
        listed = ", ".join(f"000017.{kind}.png" if kind else "000017.png" for kind in sorted(kinds)[:5])
        raise UsageError(f"{_place(contents)}: images named like {listed or 'none'}; {_EXPECTED}")
    by_path = {Path(kind): kind for kind in kinds}
    a, b = (by_path[path] for path in inputs_first([*by_path]))
    incomplete = [shard.url for shard, found in contents if len(found) == 1]
    if data == "paired" and incomplete:
        raise UsageError(f"{incomplete[0]}: images of {a!r} or of {b!r} alone; {_EXPECTED}")
    images = [_images(contents, kind, what=f"*.{kind}.* of ") for kind in (a, b)]
    domains = ("A", "B") if (a, b) == ("a", "b") else (a, b)
    return Split(images[0], images[1], name=name), _Kind("name" if data == "paired" else "unpaired", domains)


def _all(kinds: Mapping[str, Columns]) -> Columns:
    offsets, sizes, headers, names = zip(*kinds.values(), strict=True) if kinds else ([[]], [[]], [[]], [])
    return Columns(np.concatenate(offsets), np.concatenate(sizes), np.concatenate(headers), b"".join(names))


def _images(contents: list[Contents], kind: str, *, what: str = "", half: Any = "whole") -> ShardImages:
    """The images of a kind in shards."""
    nothing = np.zeros(0, np.int64)
    empty = Columns(nothing, nothing, nothing, b"")
    offsets, sizes, headers, names = zip(*(found.get(kind, empty) for _, found in contents), strict=True)
    if not any(map(len, offsets)):
        raise UsageError(f"{_place(contents)}: no images in these shards; {_EXPECTED}")
    return ShardImages(
        [shard for shard, _ in contents],
        [len(column) for column in offsets],
        np.concatenate(offsets),
        np.concatenate(sizes),
        np.concatenate(headers),
        where=f"{what}{_place(contents)} ({counted(len(contents), 'shard')})",
        names=hashlib.sha256(b"".join(names)).hexdigest(),
        half=half,
    )


def _place(contents: Sequence[Contents]) -> str:
    """One name for shards: `shards/train-0000*.tar`."""
    first, *others = (without_query(shard.url) for shard, _ in contents)
    if not others:
        return first
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(first, *others, strict=False))
    return "".join(letters[0] for letters in same) + "*.tar"
