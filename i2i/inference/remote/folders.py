"""The folders of a conversion of which one or both are remote, and what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from i2i.errors import UsageError
from i2i.inference.conversion import reason
from i2i.inference.record import Stamp, identity, path_checksum
from i2i.storage import VERSIONS, file_system


class RemoteFolder(NamedTuple):
    """A folder of a file system: its path there, without a slash at its end."""

    fs: Any
    root: str

    @classmethod
    def at(cls, address: str) -> RemoteFolder:
        """The folder at an address.

        Raises:
            UsageError: fsspec or the package for the scheme isn't installed.
        """
        fs, root = file_system(address)
        return cls(fs, root.rstrip("/"))

    def path(self, name: Path | str) -> str:
        """The path of a file in it."""
        return f"{self.root}/{name.as_posix() if isinstance(name, Path) else name}"

    def name(self, path: str) -> str:
        """The name of a path in it, relative to it."""
        return path.removeprefix(self.root).lstrip("/")

    def files(self) -> dict[str, Stamp]:
        """The stamps of all files in it, by their relative names; none if there is no such folder."""
        self.fs.invalidate_cache()
        found: Mapping[str, Mapping[str, Any]] = self.fs.find(self.root, detail=True)
        return {self.name(path): stamp_of(info) for path, info in found.items()}

    def stamp(self, name: Path | str) -> Stamp:
        """The stamp of a file in it."""
        return stamp_of(self.fs.info(self.path(name)))


@dataclass(frozen=True)
class RemoteFolders:
    """The folders that a conversion reads and writes.

    Attributes:
        source: address of the folder that the jobs' sources are relative to; empty where they are local files.
        target: address of the folder that the jobs' targets are relative to; empty where they are local files.
    """

    source: str = ""
    target: str = ""

    def identity_of(self, source: Path) -> tuple[str, Stamp]:
        """The checksum of a source's path and its stamp, for the record; OSError if there is no such file."""
        if not self.source:
            return identity(source)
        folder = RemoteFolder.at(self.source)
        try:
            return self.remote_identity(source, folder.stamp(source))
        except OSError:
            raise
        except Exception as error:  # each storage has errors of its own
            raise OSError(reason(error)) from None

    def remote_identity(self, source: Path, stamp: Stamp) -> tuple[str, Stamp]:
        """The same for a remote source whose stamp is known."""
        return path_checksum(f"{self.source}/{source.as_posix()}".encode()), stamp


def stamp_of(info: Mapping[str, Any]) -> Stamp:
    """Size and version of a file, by what its storage says of it."""
    version: Any = next((info[key] for key in VERSIONS if info.get(key)), "")
    if isinstance(version, datetime):  # as one call of a storage may give it, and another one seconds
        version = version.timestamp()
    version = f"{version:.3f}" if isinstance(version, float) else str(version)
    return Stamp(int(info.get("size") or 0), int.from_bytes(hashlib.sha256(version.encode()).digest()[:7], "big"))


def reached(address: str, error: Exception) -> UsageError:
    """The error of a storage, which has types of its own, in a line."""
    return UsageError(f"{address}: {reason(error)}")
