"""Conversions from and to remote folders, such as s3://bucket/photos, through fsspec."""

from __future__ import annotations

import contextlib
import glob
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from i2i.errors import UsageError, setting
from i2i.files import write_whole
from i2i.images.formats import readable_suffixes, suffixes_in_words, writable_suffixes
from i2i.inference.conversion import Conversion, reason
from i2i.inference.origins import settings_of
from i2i.inference.planning import Job, renamed
from i2i.inference.record import Origin, Settings, Stamp, differences
from i2i.storage import file_system, is_remote

if TYPE_CHECKING:
    from i2i.inference.folder import ConvertOptions
    from i2i.inference.translator import Translator

_RECORD = ".i2i.json"
_OBJECT_STORES = {"s3", "gs", "gcs", "abfs", "az", "oss", "memory"}


@dataclass(frozen=True)
class RemoteFolders:
    """The folders that a conversion reads and writes, of which at least one is remote.

    Attributes:
        source: path or address of the folder that sources are relative to.
        target: path or address of the folder that targets are relative to.
    """

    source: str
    target: str

    def prepare(
        self, jobs: list[Job], translator: Translator, options: ConvertOptions, *, overwrite: bool, model: str
    ) -> tuple[list[Job], Conversion]:
        """The jobs whose target isn't there yet, and the result so far, which has the others.

        One object, `.i2i.json`, records the model and the options for the whole folder.

        Raises:
            UsageError: the folder was made by another model or with other options, or can't be read or written.
        """
        result = Conversion()
        fs, root = _folder(self.target)
        seeds = {job.seed for job in jobs}
        settings = replace(
            settings_of(translator, tile=options.tile, model=model),
            seed=next(iter(seeds)) if len(seeds) == 1 else None,
            quality=options.quality,
        )
        try:
            fs.makedirs(root, exist_ok=True)
            fs.invalidate_cache()
            there = {_relative(path, root) for path in fs.find(root)}
            if not overwrite and _RECORD in there:
                _check(Settings(**json.loads(fs.cat_file(f"{root}/{_RECORD}"))), settings, self.target)
            fs.pipe_file(f"{root}/{_RECORD}", json.dumps(asdict(settings)).encode())
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{self.target}: {reason(error)}") from None
        if overwrite:
            return jobs, result
        result.skipped = [job for job in jobs if job.target.as_posix() in there]
        return [job for job in jobs if job.target.as_posix() not in there], result

    @contextlib.contextmanager
    def local_copies(self, jobs: list[Job]) -> Iterator[LocalCopies]:
        """Copy the jobs' sources to a temporary folder, which is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="i2i-") as folder:
            yield LocalCopies(self, jobs, Path(folder))


class LocalCopies:
    """Copies of the sources of some jobs in a temporary folder, where their targets are written, too.

    Attributes:
        jobs: with paths in that folder, of the sources that could be copied.
    """

    def __init__(self, remote: RemoteFolders, jobs: list[Job], folder: Path) -> None:
        self._target, self._folder = remote.target, folder
        self._failed: dict[Path, str] = {}
        fs, root = _folder(remote.source)
        for source in dict.fromkeys(job.source for job in jobs):
            try:
                (copy := folder / "in" / source).parent.mkdir(parents=True, exist_ok=True)
                fs.get_file(f"{root}/{source.as_posix()}", str(copy))
            except Exception as error:  # each file system raises its own
                self._failed[source] = reason(error)
        kept = [job for job in jobs if job.source not in self._failed]
        self.jobs = [
            job._replace(source=folder / "in" / job.source, target=folder / "out" / job.target) for job in kept
        ]

    def upload(self, result: Conversion) -> Conversion:
        """Copy what was written to the remote folder, and give the result with the paths that the jobs had.

        Each file appears there whole or not at all.
        """
        fs, root = _folder(self._target)
        uploaded = Conversion(failed=dict(self._failed), stopped=result.stopped)
        uploaded.failed |= {self._source(path): why for path, why in result.failed.items()}
        for note, paths in result.notes.items():
            uploaded.notes[note] = [self._source(path) for path in paths]
        for job in result.written:
            source, target = self._source(job.source), job.target.relative_to(self._folder / "out")
            try:
                _put(fs, job.target, f"{root}/{target.as_posix()}")
            except Exception as error:
                uploaded.failed[source] = f"can't write {target}: {reason(error)}"
            else:
                uploaded.written.append(job._replace(source=source, target=target))
        return uploaded

    def _source(self, path: Path) -> Path:
        return path.relative_to(self._folder / "in")


def plan_remote(source: str, output: str, *, suffix: str | None = None) -> tuple[list[Job], RemoteFolders]:
    """The jobs for a folder, a glob or an image, either of which may be remote, and the folders they are relative to.

    Hidden files and those that aren't images are left out.

    Args:
        source: such as `s3://bucket/photos`, `s3://bucket/photos/**/*.jpg`, or a local folder.
        output: a folder.
        suffix: of the files to write, such as `.png`; by default that of each image, or `.png` for a GIF.

    Raises:
        UsageError: fsspec or the package for the scheme isn't installed, there is nothing to translate, or a result
            would overwrite an input or another result.
    """
    if PurePosixPath(output).suffix.lower() in writable_suffixes():
        raise UsageError(f"{output}: give a folder")
    fs, path = _folder(source)
    try:
        if glob.has_magic(path):
            parts = path.split("/")
            root = "/".join(parts[: next(index for index, part in enumerate(parts) if glob.has_magic(part))])
            found = fs.glob(path)
        else:
            root, found = (path.rpartition("/")[0], [path]) if fs.isfile(path) else (path, fs.find(path))
    except Exception as error:
        raise UsageError(f"{source}: {reason(error)}") from None
    scheme = source.partition("://")[0] + "://" if is_remote(source) else ""
    folders = RemoteFolders(scheme + root if not root.startswith(scheme) else root, output)
    inside = _inside(*_folder(output), fs, root)
    jobs, by_target = [], dict[Path, Path]()
    for name in sorted(_relative(path, root) for path in found):
        relative = PurePosixPath(name)
        hidden = any(part.startswith(".") for part in relative.parts) or (inside and name.startswith(inside))
        if hidden or relative.suffix.lower() not in readable_suffixes():
            continue
        job = Job(Path(name), renamed(Path(name), suffix))
        if (other := by_target.setdefault(job.target, job.source)) != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}; rename one of them")
        jobs.append(job)
    if not jobs:
        raise UsageError(f"{source}: no images there; images end in {suffixes_in_words()}")
    if inside == "" and (overwritten := {job.source for job in jobs} & by_target.keys()):
        raise UsageError(f"{min(overwritten)} would be written over itself; give another OUTPUT")
    return jobs, folders


def _check(before: Settings, now: Settings, target: str) -> None:
    if how := differences(Origin(before, "", Stamp(0, 0)), Origin(now, "", Stamp(0, 0))):
        raise UsageError(
            f"{target} holds images made {how}: add {setting('overwrite')} to translate them again, or choose another "
            "OUTPUT"
        )


def _folder(path: str) -> tuple[Any, str]:
    """The file system of a folder, and its path there without a slash at its end."""
    fs, root = file_system(path)
    return fs, root.rstrip("/")


def _inside(output_fs: Any, output: str, fs: Any, root: str) -> str | None:
    """Where the output folder lies in the source folder: empty if they are one; None if it lies elsewhere."""
    if output_fs is not fs and type(output_fs) is not type(fs):
        return None
    if output == root:
        return ""
    return f"{output.removeprefix(root).lstrip('/')}/" if output.startswith(f"{root}/") else None


def _relative(path: str, root: str) -> str:
    return str(path).removeprefix(root).lstrip("/")


def _put(fs: Any, file: Path, path: str) -> None:
    """Write a file whole or not at all: object stores do, elsewhere it is renamed once it is whole."""
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else {*fs.protocol}
    if "file" in protocols:
        write_whole(Path(path), lambda temporary: shutil.copyfile(file, temporary))
    elif protocols & _OBJECT_STORES:
        fs.put_file(str(file), path)
    else:
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}.part"
        fs.put_file(str(file), temporary)
        fs.mv(temporary, path)
