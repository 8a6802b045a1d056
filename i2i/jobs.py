"""Which pictures a conversion reads, and which files it writes."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from i2i.errors import UsageError
from i2i.picture import READABLE, SUFFIXES, SUFFIXES_IN_WORDS, images_in


class Job(NamedTuple):
    """A picture to translate, the file to write, and which of the plausible outputs, where the model has many."""

    source: Path
    target: Path
    seed: int | None = None


def plan(source: str, output: Path, *, suffix: str | None = None) -> list[Job]:
    """The jobs for an image, a folder (its sub-folders and names are kept), or a glob such as `photos/**/*.jpg`.

    In a folder, symbolic links, hidden files and what is no image are left out; see `left_out`.

    Args:
        source: what to translate.
        output: a folder, or for a single image an image file.
        suffix: of the files to write, such as `.png`; that of each picture unless given, and `.png` for a GIF.

    Raises:
        UsageError: there is nothing to translate, or a picture would be written over itself or over another's result.
    """
    root = Path(source)
    if root.is_dir():
        paths = _own_images_in(root)
    elif root.is_file():
        if root.suffix.lower() not in READABLE:
            raise UsageError(f"{root}: not an image; images end in {SUFFIXES_IN_WORDS}")
        paths, root = [root], root.parent
    elif glob.has_magic(source):
        root, pattern = _split_glob(source)
        matching = set(root.glob(pattern))
        paths = [path for path in _own_images_in(root) if path in matching]
    else:
        raise UsageError(f"{source}: there is no such image or folder")
    if root.resolve() in output.resolve().parents:
        # What an earlier conversion wrote there is no input.
        paths = [path for path in paths if output.resolve() not in path.resolve().parents]
    if not paths:
        raise UsageError(f"{source}: no images there; images end in {SUFFIXES_IN_WORDS}")
    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        if len(paths) > 1:
            raise UsageError(f"{output} is one file, but {source} holds {len(paths)} images; give a folder")
        if suffix and suffix != output.suffix.lower():
            raise UsageError(f"{output} ends in {output.suffix}; leave out --format {suffix[1:]}")
        jobs = [Job(paths[0], output)]
    else:
        if len(paths) == 1 and output.suffix.lower() in Image.registered_extensions() and not output.is_dir():
            raise UsageError(f"{output}: can't write that format; use one of {SUFFIXES_IN_WORDS}, or a folder")
        if output.is_file():
            raise UsageError(f"{output} is a file; give a folder, or an image file for a single image")
        jobs = [Job(path, _renamed(output / path.relative_to(root), suffix)) for path in paths]
        _stay_inside(jobs, output)
    return _kept_apart(jobs)


def variants(jobs: list[Job], samples: int, *, seed: int = 0) -> list[Job]:
    """Each job `samples` times, named by its seed from `seed` on: `photo-0.png`, `photo-1.png`, ... for `photo.png`.

    Raises:
        UsageError: a picture would be written over itself.
    """
    each = [(job, number) for job in jobs for number in range(seed, seed + samples)]
    return _kept_apart(
        Job(job.source, job.target.with_stem(f"{job.target.stem}-{number}"), number) for job, number in each
    )


def left_out(source: str, output: Path) -> Counter[str]:
    """What a folder holds beside its images, by kind in words, singular; nothing of an image or a glob."""
    root, found = Path(source), Counter[str]()
    for path in root.rglob("*") if root.is_dir() else ():
        if output.resolve() in (path.absolute(), *path.absolute().parents):
            continue
        if path.is_symlink():
            found["symbolic link"] += 1
        elif path.is_dir():
            continue
        elif any(part.startswith(".") for part in path.relative_to(root).parts):
            found["hidden file"] += 1
        elif path.suffix.lower() not in READABLE or not path.is_file():
            found["non-image"] += 1
    return found


def _own_images_in(folder: Path) -> list[Path]:
    return [path for path in images_in(folder) if not path.is_symlink()]


def _renamed(target: Path, suffix: str | None) -> Path:
    writable = target.suffix.lower() in SUFFIXES
    return target if writable and suffix is None else target.with_suffix(suffix or ".png")


def _stay_inside(jobs: list[Job], output: Path) -> None:
    for folder in {job.target.parent for job in jobs}:
        if not folder.resolve().is_relative_to(output.resolve()):
            raise UsageError(f"{folder} is a symbolic link that leads out of {output}; remove it, or choose another")


def _kept_apart(jobs: Iterable[Job]) -> list[Job]:
    checked, writers = list(jobs), dict[Path, Path]()
    for job in checked:
        if job.source.resolve() == job.target.resolve():
            raise UsageError(f"{job.source} would be written over itself; give another OUTPUT")
        other = writers.setdefault(job.target, job.source)
        if other != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}; rename one of them")
    return checked


def _split_glob(source: str) -> tuple[Path, str]:
    """The folder that a glob begins in, and the rest of it; a folder that there is, such as `[x]`, is no pattern."""
    parts = Path(source).parts
    patterns = [
        place for place, part in enumerate(parts) if glob.has_magic(part) and not Path(*parts[: place + 1]).exists()
    ]
    magic = patterns[0] if patterns else len(parts) - 1
    return Path(*parts[:magic]), str(Path(*parts[magic:]))
