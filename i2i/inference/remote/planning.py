"""Plan a conversion of which one or both folders are remote."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from i2i.errors import UsageError
from i2i.images.formats import readable_suffixes, suffixes_in_words
from i2i.inference.planning import (
    Job,
    inputs,
    is_media_name,
    left_out,
    renamed,
    stay_inside,
    unread_format,
    unread_reason,
    unreadable,
)
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders, reached
from i2i.inference.remote.record import PARTS, RemoteRecord
from i2i.storage import is_remote


class RemotePlan(NamedTuple):
    """What a conversion is to do.

    Attributes:
        jobs: paths of a remote side are relative to its folder; those of a local side are files.
        folders: which sides are remote; None where none is.
        unreadable: images of formats that can't be read, by the reason.
        left_out: how many other files are skipped, by kind.
    """

    jobs: list[Job]
    folders: RemoteFolders | None
    unreadable: Mapping[str, list[Path]]
    left_out: Counter[str]


class _Sources(NamedTuple):
    """The address of their folder, if it is remote, and the images, relative to their folder and as jobs name them."""

    address: str
    images: list[tuple[Path, Path]]
    unreadable: Mapping[str, list[Path]]
    left_out: Counter[str]


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
        raise UsageError(f"{output}: what is remote is translated into a folder; give one, such as photos/")
    found = _listed(source, output) if is_remote(source) else _local(source, output)
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
    return RemotePlan(jobs, folders, found.unreadable, found.left_out)


def _local(source: str, output: str) -> _Sources:
    root, paths = inputs(source)
    images = [(path.relative_to(root), path.absolute()) for path in paths]
    return _Sources("", images, unreadable(source), left_out(source, Path(output)))


def _listed(source: str, output: str) -> _Sources:
    """The images at an address: a folder, a glob or an image."""
    folder = RemoteFolder.at(source)
    fs, path = folder
    if _is_web(fs) and not glob.has_magic(path) and Path(path).suffix.lower() not in readable_suffixes():
        raise UsageError(f"{source}: a web server has no folders; give an image, or a glob such as {source}/*.png")
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
    images, blocked, others = list[tuple[Path, Path]](), dict[str, list[Path]](), Counter[str]()
    for name in sorted(folder.name(path) for path in found):
        relative = Path(name)
        if relative.parts[:1] == (PARTS,) or written(name):
            continue
        if any(part.startswith(".") for part in relative.parts):
            others["hidden file"] += 1
        elif unread_format(relative):
            blocked.setdefault(unread_reason(relative), []).append(relative)
        elif relative.suffix.lower() in readable_suffixes():
            images.append((Path(unquote(name)) if _is_web(fs) else relative, relative))
        else:
            others["non-image"] += 1
    return _Sources(_address(source, folder), images, blocked, others)


def _is_web(fs: Any) -> bool:
    return "http" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


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
    record, files, above = RemoteRecord.read(target), target.files(), target.name(folder.root)

    def written(name: str) -> bool:
        in_target = f"{above}/{name}".lstrip("/")
        return in_target in files and record.origin_of(target, in_target, files[in_target]) is not None

    return written


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
