"""Plan a conversion: the images to read, and the files to write."""

from __future__ import annotations

import fnmatch
import functools
import glob
import mimetypes
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from i2i.errors import UsageError, setting
from i2i.images.formats import readable_suffixes, suffixes_in_words, writable_suffixes
from i2i.images.outputs import refuse_inputs
from i2i.images.reading import images_in
from i2i.images.unreadable import unreadable_format
from i2i.inference.record import RECORD, Record


class Job(NamedTuple):
    """An image to translate, the file to write, and the seed of the output if the model has many."""

    source: Path
    target: Path
    seed: int | None = None


def plan(source: str, output: Path, *, suffix: str | None = None) -> list[Job]:
    """The jobs for an image, a folder (its sub-folders and names are kept), or a glob such as `photos/**/*.jpg`.

    In a folder, symbolic links, hidden files and non-images are left out; see `left_out`. The output folder may be the
    source folder if the names differ, as with another suffix: files that an earlier conversion wrote there, and
    recorded, are not inputs.

    Args:
        source: what to translate.
        output: a folder, or for a single image an image file.
        suffix: of the files to write, such as `.png`; by default that of each image, or `.png` for a GIF.

    Raises:
        UsageError: there is nothing to translate, or a result would overwrite an input or another result.
    """
    root, paths = inputs(source)
    if root.resolve() in output.resolve().parents:
        # An earlier conversion may have written there.
        paths = [path for path in paths if output.resolve() not in path.resolve().parents]
    elif output.is_dir() and not Path(source).is_file() and root.resolve().is_relative_to(output.resolve()):
        written = Record.read(output.resolve())
        paths = [path for path in paths if path.resolve() not in written]
    if not paths:
        raise UsageError(_no_images(source))
    if output.suffix.lower() in writable_suffixes() and not output.is_dir():
        if len(paths) > 1:
            raise UsageError(f"{output} is one file, but {source} holds {len(paths)} images; give a folder")
        if suffix and suffix != output.suffix.lower():
            raise UsageError(f"{output} ends in {output.suffix}; leave out {setting('format', suffix[1:])}")
        jobs = [Job(paths[0], output)]
    else:
        if is_media_name(output) and not output.is_dir():
            raise UsageError(f"{output}: can't write that format; use one of {suffixes_in_words()}, or a folder")
        if output.is_file():
            raise UsageError(f"{output} is a file; give a folder, or an image file for a single image")
        jobs = [Job(path, renamed(output / path.relative_to(root), suffix)) for path in paths]
        stay_inside(jobs, output)
    return _without_collisions(jobs)


def variants(jobs: list[Job], samples: int, *, seed: int = 0) -> list[Job]:
    """Each job with `samples` seeds from `seed` on, named by them: `photo-0.png`, `photo-1.png`, ... for `photo.png`.

    Raises:
        UsageError: a result would overwrite an input or another result.
    """
    return _without_collisions(named_by_seed(jobs, samples, seed=seed))


def named_by_seed(jobs: list[Job], samples: int, *, seed: int = 0) -> list[Job]:
    """The jobs of `variants`, unchecked."""
    with_seeds = [(job, number) for job in jobs for number in range(seed, seed + samples)]
    return [Job(job.source, job.target.with_stem(f"{job.target.stem}-{number}"), number) for job, number in with_seeds]


def renamed(target: Path, suffix: str | None) -> Path:
    """The name of an output: with the suffix given, or its own where that format can be written, or `.png`."""
    writable = target.suffix.lower() in writable_suffixes()
    return target if writable and suffix is None else target.with_suffix(suffix or ".png")


def left_out(source: str, output: Path) -> Counter[str]:
    """Count the files of a folder that are skipped, by kind, in words and singular; empty for a file or glob."""
    root, found = Path(source), Counter[str]()
    written = output.resolve()
    for path in root.rglob("*") if root.is_dir() else ():
        if written in (path.absolute(), *path.absolute().parents) and written != root.resolve():
            continue
        if _try(path.is_symlink):
            found["symbolic link"] += 1
        elif _try(path.is_dir) or path.name == RECORD:
            continue
        elif any(part.startswith(".") for part in path.relative_to(root).parts):
            found["hidden file"] += 1
        elif not is_image_name(path) or not _try(path.is_file, unknown=True):
            found["non-image"] += 1
    return found


def unreadable(source: str, output: Path | None = None) -> dict[str, list[Path]]:
    """Sub-folders that can't be listed, and images of formats that can't be read, by the reason.

    Args:
        source: a folder or a glob; the result is empty for a file.
        output: a folder to skip, if it lies inside the source.
    """
    root, pattern = Path(source), ""
    if not root.exists() and glob.has_magic(source):
        root, pattern = _split_glob(source)
    matching = set(root.glob(pattern)) if pattern else set()
    found: dict[str, list[Path]] = {}
    for path, error in _walk(root, output) if root.is_dir() else ():
        if error is not None:
            if not pattern or _reaches(pattern, path.relative_to(root).parts):
                found.setdefault(f"this folder can't be read: {error.strerror or error}", []).append(path)
        elif unread_format(path) and (not pattern or path in matching):
            found.setdefault(unread_reason(path), []).append(path)
    return found


def some_of(paths: Sequence[Path]) -> str:
    """The first three paths, and the number of the others."""
    return f"{', '.join(map(str, paths[:3]))}{f', and {len(paths) - 3} more' if len(paths) > 3 else ''}"


def is_media_name(path: Path) -> bool:
    """Whether a name has the suffix of an image, in any format, or of a video."""
    suffix = path.suffix.lower()
    known = is_image_name(path) or suffix in Image.registered_extensions()
    return known or (mimetypes.guess_type(path.name)[0] or "").partition("/")[0] in ("image", "video")


def inputs(source: str) -> tuple[Path, list[Path]]:
    """The folder to which names in the output are relative, and the images."""
    root = Path(source)
    if root.is_dir():
        return root, _images_without_links(root)
    if root.is_file():
        if unread_format(root):
            raise UsageError(f"{root}: {unread_reason(root)}")
        if root.suffix.lower() not in readable_suffixes():
            raise UsageError(f"{root}: not an image; images end in {suffixes_in_words()}")
        return root.parent, [root]
    if glob.has_magic(source):
        root, pattern = _split_glob(source)
        matching = set(root.glob(pattern))
        return root, [path for path in _images_without_links(root) if path in matching]
    raise UsageError(f"{source}: there is no such image or folder")


def _no_images(source: str) -> str:
    for reason, (path, *more) in unreadable(source).items():
        return f"{source}: no images there that can be read; {path}{f' and {len(more)} more' if more else ''}: {reason}"
    return f"{source}: no images there; images end in {suffixes_in_words()}"


def is_image_name(path: Path) -> bool:
    """Whether a name has the suffix of an image, which need not be readable."""
    return path.suffix.lower() in readable_suffixes() or unread_format(path) is not None


def unread_format(path: Path) -> str | None:
    """The name of the format that a suffix says, where it can't be read."""
    return None if path.suffix.lower() in readable_suffixes() else unreadable_format(path.suffix)


def unread_reason(path: Path) -> str:
    """Why a file of that format isn't translated."""
    return f"{unread_format(path)} images can't be read; convert them to PNG, TIFF or JPEG first"


def _walk(root: Path, output: Path | None) -> Iterator[tuple[Path, OSError | None]]:
    """The files of a folder but for hidden ones and links; then sub-folders that can't be listed, with the error."""
    errors: list[OSError] = []
    skipped = output.resolve() if output and output.resolve() != root.resolve() else None
    for folder, names, files in os.walk(root, onerror=errors.append):
        if skipped and Path(folder).resolve() == skipped:
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(files) if not name.startswith("."))
        yield from ((path, None) for path in paths if not _try(path.is_symlink))
    yield from ((Path(error.filename), error) for error in errors)


def _try(question: Callable[[], bool], *, unknown: bool = False) -> bool:
    """The answer, or `unknown` if a folder may be listed but not entered."""
    try:
        return question()
    except OSError:
        return unknown


def _reaches(pattern: str, folder: tuple[str, ...]) -> bool:
    """Whether a glob would look into a folder, given by its parts relative to the glob's own folder."""
    parts = Path(pattern).parts
    before = parts[: parts.index("**")] if "**" in parts else parts[:-1]
    if len(folder) > len(before) and "**" not in parts:
        return False
    return all(map(fnmatch.fnmatch, folder, before))


def _images_without_links(folder: Path) -> list[Path]:
    return [path for path in images_in(folder) if not _try(path.is_symlink)]


def stay_inside(jobs: list[Job], output: Path) -> None:
    """Refuse targets that symbolic links lead out of the output folder."""
    for folder in {job.target.parent for job in jobs}:
        if not folder.resolve().is_relative_to(output.resolve()):
            raise UsageError(f"{folder} is a symbolic link that leads out of {output}; remove it, or choose another")


def _without_collisions(jobs: Iterable[Job]) -> list[Job]:
    checked, source_of, resolved = list(jobs), dict[Path, Path](), functools.cache(Path.resolve)
    for job in checked:
        names, folders = (job.source.name, job.target.name), (job.source.parent, job.target.parent)
        if names[0] == names[1] and resolved(folders[0]) == resolved(folders[1]):
            raise UsageError(f"{job.source} would be written over itself; give another OUTPUT")
        other = source_of.setdefault(job.target, job.source)
        if other != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}; rename one of them")
    refuse_inputs(source_of, dict.fromkeys(job.source for job in checked))
    return checked


def _split_glob(source: str) -> tuple[Path, str]:
    """The folder that a glob begins in, and the rest; an existing folder, such as one named `[x]`, is not a pattern."""
    parts = Path(source).parts
    patterns = [
        index for index, part in enumerate(parts) if glob.has_magic(part) and not Path(*parts[: index + 1]).exists()
    ]
    magic = patterns[0] if patterns else len(parts) - 1
    return Path(*parts[:magic]), str(Path(*parts[magic:]))
