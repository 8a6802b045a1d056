"""An image, a folder or a glob of images translated into files."""

from __future__ import annotations

import contextlib
import glob
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from i2i.encode import write
from i2i.errors import ImageError, UsageError
from i2i.picture import SUFFIXES, SUFFIXES_IN_WORDS, Levels, Picture, images_in, read
from i2i.report import contact_sheet
from i2i.translator import Translator

_ACROSS = 6  # pictures in a row of a contact sheet


class Job(NamedTuple):
    """A picture to translate, the file to write, and which of the plausible outputs, where the model has many."""

    source: Path
    target: Path
    seed: int | None = None


@dataclass
class Conversion:
    """What became of the jobs of a conversion.

    Attributes:
        written: jobs done.
        skipped: jobs whose target was there already.
        failed: why a picture couldn't be read or written, by its path.
        seconds: how long it took.
    """

    written: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    seconds: float = 0.0


def plan(source: str, output: Path) -> list[Job]:
    """The jobs for an image, a folder (its sub-folders and names are kept), or a glob such as `photos/**/*.jpg`.

    Raises:
        UsageError: there is nothing to translate, or a picture would be written over itself.
    """
    root = Path(source)
    if root.is_dir():
        paths = images_in(root)
    elif root.is_file():
        if root.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{root}: not an image; images end in {SUFFIXES_IN_WORDS}")
        paths, root = [root], root.parent
    elif glob.has_magic(source):
        root, pattern = _split_glob(source)
        matching = set(root.glob(pattern))
        paths = [path for path in images_in(root) if path in matching]
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
        jobs = [Job(paths[0], output)]
    else:
        if len(paths) == 1 and output.suffix.lower() in Image.registered_extensions() and not output.is_dir():
            raise UsageError(f"{output}: can't write that format; use one of {SUFFIXES_IN_WORDS}, or a folder")
        if output.is_file():
            raise UsageError(f"{output} is a file; give a folder, or an image file for a single image")
        jobs = [Job(path, output / path.relative_to(root)) for path in paths]
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


def convert(
    jobs: list[Job], translator: Translator, *, batch_size: int = 8, overwrite: bool = False, progress: bool = True
) -> Conversion:
    """Translate each job's picture into its file; one that can't be read or written is noted, the others are done.

    Args:
        jobs: see `plan`.
        translator: the model.
        batch_size: pictures of one size that go through the network together.
        overwrite: translate anew what is there already; else it is skipped, so that a conversion can go on.
        progress: show a bar.
    """
    if batch_size < 1:
        raise UsageError(f"batch size {batch_size}: it is 1 or more")
    result, begun = Conversion(), time.perf_counter()
    todo: list[Job] = []
    for job in jobs:
        done = job.target.exists() and not overwrite
        (result.skipped if done else todo).append(job)
    with tqdm(total=len(todo), unit="img", dynamic_ncols=True, disable=None if progress else True) as bar:
        for batch in _batches(todo, batch_size, result.failed):
            for job, picture in _translate(batch, translator, result.failed):
                try:
                    write(picture, job.target)
                    result.written.append(job)
                except OSError as error:
                    result.failed[job.source] = f"can't write {job.target}: {error.strerror or error}"
            bar.update(len(result.written) + len(result.failed) - bar.n)
    result.seconds = time.perf_counter() - begun
    return result


def write_contact_sheet(path: Path, jobs: list[Job], *, domains: tuple[str, str], most: int = 24) -> None:
    """Write up to `most` inputs beside their outputs, evenly chosen, as one picture to look at."""
    outputs: dict[Path, list[Path]] = {}
    for job in jobs:
        outputs.setdefault(job.source, []).append(job.target)
    sources = list(outputs)
    chosen = [sources[place * len(sources) // min(most, len(sources))] for place in range(min(most, len(sources)))]
    groups: list[list[Levels]] = []
    for source in chosen:
        with contextlib.suppress(ImageError):  # what lies there from an earlier time may be damaged
            groups.append([read(source).levels, *(read(target).levels for target in outputs[source])])
    if not groups:
        return
    wide = max(map(len, groups))
    blank = np.full((1, 1, 3), 255, np.uint8)  # where an output is missing
    groups = [[*group, *[blank] * (wide - len(group))] for group in groups]
    across = max(1, _ACROSS // wide)
    rows = [list(itertools.chain(*groups[start : start + across])) for start in range(0, len(groups), across)]
    captions = [domains[0], *[domains[1]] * (wide - 1)] * across
    write(Picture(contact_sheet(rows, captions[: max(map(len, rows))], side=256)), path)


def _kept_apart(jobs: Iterable[Job]) -> list[Job]:
    checked = list(jobs)
    for job in checked:
        if job.source.resolve() == job.target.resolve():
            raise UsageError(f"{job.source} would be written over itself; give another OUTPUT")
    return checked


def _batches(jobs: list[Job], batch_size: int, failed: dict[Path, str]) -> Iterator[list[tuple[Job, Picture]]]:
    batch: list[tuple[Job, Picture]] = []
    for job in jobs:
        try:
            picture = read(job.source)
        except ImageError as error:
            failed[job.source] = str(error).removeprefix(f"{job.source}: ")
            continue
        if batch and (len(batch) == batch_size or picture.levels.shape != batch[0][1].levels.shape):
            yield batch
            batch = []
        batch.append((job, picture))
    if batch:
        yield batch


def _translate(
    batch: list[tuple[Job, Picture]], translator: Translator, failed: dict[Path, str]
) -> list[tuple[Job, Picture]]:
    """Translate together or, where that is too much for the device, one by one."""
    try:
        pictures, seeds = [picture for _, picture in batch], [job.seed for job, _ in batch if job.seed is not None]
        translated = list(translator.batch(pictures, batch_size=len(batch), seeds=seeds or None))
    except RuntimeError as error:
        if len(batch) == 1:
            failed[batch[0][0].source] = f"can't be translated: {str(error).splitlines()[0]}"
            return []
        return [done for one in batch for done in _translate([one], translator, failed)]
    return [(job, picture) for (job, _), picture in zip(batch, translated, strict=True)]


def _split_glob(source: str) -> tuple[Path, str]:
    """The folder that a glob begins in, and the rest of it."""
    parts = Path(source).parts
    magic = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:magic]), str(Path(*parts[magic:]))
