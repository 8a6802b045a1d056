"""Plan a conversion of which one or both folders are remote."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from i2i.errors import UsageError
from i2i.images.formats import readable_suffixes, suffixes_in_words
from i2i.inference.planning import (
    Job,
    inputs,
    is_media_name,
    renamed,
    stay_inside,
    unread_format,
    unread_reason,
    unreadable,
)
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders, reached
from i2i.inference.remote.record import RemoteRecord
from i2i.storage import is_remote


class RemotePlan(NamedTuple):
    """What a conversion is to do.

    Attributes:
        jobs: paths of a remote side are relative to its folder; those of a local side are files.
        folders: which sides are remote; None where none is.
        unreadable: images of formats that can't be read, by the reason.
    """

    jobs: list[Job]
    folders: RemoteFolders | None
    unreadable: Mapping[str, list[Path]]


class _Sources(NamedTuple):
    """The address of their folder, if it is remote, and the images, relative to their folder and as jobs name them."""

    address: str
    images: list[tuple[Path, Path]]
    unreadable: Mapping[str, list[Path]]


def plan_remote(source: str, output: str, *, suffix: str | None = None) -> RemotePlan:
    """The jobs for an image, a folder or a glob.

    Hidden files and those that aren't images are left out, and what an earlier conversion has written into the folder.

    Args:
        source: such as `s3://bucket/photos`, `s3://bucket/photos/**/*.jpg`, or a local path.
        output: a folder.
        suffix: of the files to write, such as `.png`; by default that of each image, or `.png` for a GIF.

    Raises:
        UsageError: fsspec or the package for the scheme isn't installed, there is nothing to translate, or a result
            would overwrite an input or another result.
    """
    if is_media_name(Path(PurePosixPath(output).name)):
        raise UsageError(f"{output}: give a folder")
    found = _listed(source, output) if is_remote(source) else _local(source)
    if not found.images:
        raise UsageError(f"{source}: no images there; images end in {suffixes_in_words()}")
    remote_output = output if is_remote(output) else ""
    jobs = [
        Job(image, (Path() if remote_output else Path(output)) / renamed(name, suffix)) for name, image in found.images
    ]
    if not remote_output:
        if Path(output).is_file():
            raise UsageError(f"{output} is a file; give a folder")
        stay_inside(jobs, Path(output))
    folders = RemoteFolders(found.address, remote_output)
    refuse_collisions(jobs, folders)
    return RemotePlan(jobs, folders, found.unreadable)


def _local(source: str) -> _Sources:
    root, paths = inputs(source)
    return _Sources("", [(path.relative_to(root), path.absolute()) for path in paths], unreadable(source))


def _listed(source: str, output: str) -> _Sources:
    """The images at an address: a folder, a glob or an image."""
    folder = RemoteFolder.at(source)
    fs, path = folder
    try:
        if fs.isfile(path):
            folder = RemoteFolder(fs, path.rpartition("/")[0])
            found = [path]
        elif fs.exists(path) or not glob.has_magic(path):
            found = fs.find(path)
        else:
            parts = path.split("/")
            first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
            folder, found = RemoteFolder(fs, "/".join(parts[:first])), fs.glob(path)
        written = _written_before(folder, output)
    except UsageError:
        raise
    except Exception as error:  # each storage has errors of its own
        raise reached(source, error) from None
    names = sorted(folder.name(path) for path in found)
    images, blocked = [], dict[str, list[Path]]()
    for name in names:
        relative = Path(name)
        if any(part.startswith(".") for part in relative.parts) or written(name):
            continue
        if unread_format(relative):
            blocked.setdefault(unread_reason(relative), []).append(relative)
        elif relative.suffix.lower() in readable_suffixes():
            images.append((relative, relative))
    return _Sources(_address(source, folder), images, blocked)


def _written_before(folder: RemoteFolder, output: str) -> Callable[[str], bool]:
    """What tells the files of the source folder that an earlier conversion to the output folder has written."""
    target = RemoteFolder.at(output) if is_remote(output) else None
    if target is None or target.fs is not folder.fs:
        return lambda _: False
    if target.root.startswith(f"{folder.root}/"):
        prefix = folder.name(target.root) + "/"
        return lambda name: name.startswith(prefix)
    if folder.root != target.root and not folder.root.startswith(f"{target.root}/"):
        return lambda _: False
    record, above = RemoteRecord.read(target), target.name(folder.root)
    return lambda name: f"{above}/{name}".lstrip("/") in record


def _address(source: str, folder: RemoteFolder) -> str:
    address = folder.fs.unstrip_protocol(folder.root) if folder.root else source.partition("://")[0] + "://"
    return str(address).rstrip("/") if folder.root else address


def refuse_collisions(jobs: list[Job], folders: RemoteFolders) -> None:
    """Refuse targets of two sources, and such as are sources.

    Raises:
        UsageError: naming the files.
    """
    by_target: dict[Path, Path] = {}
    for job in jobs:
        other = by_target.setdefault(job.target, job.source)
        if other != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}; rename one of them")
    if not (folders.source and folders.target):
        return
    source, target = RemoteFolder.at(folders.source), RemoteFolder.at(folders.target)
    if source.fs is target.fs:
        read = {source.path(job.source): job.source for job in jobs}
        for job in jobs:
            if (overwritten := read.get(target.path(job.target))) is not None:
                raise UsageError(f"{overwritten} is an input and would be overwritten; give another OUTPUT")
