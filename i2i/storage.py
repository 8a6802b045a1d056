"""Files that are not on a local disk, such as s3://bucket/photos, through fsspec; and where copies are cached."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from i2i.errors import UsageError
from i2i.optional import extra_module

# What storages say about the version of a file, in fsspec's info, the surest first.
VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "last_modified", "LastModified", "Last-Modified", "created")


def is_remote(path: str) -> bool:
    """Whether a path has a scheme, such as s3://."""
    return "://" in path


def as_local(path: str) -> str:
    """The path of a file:// address; others as they are."""
    if not path.startswith("file://"):
        return path
    return url2pathname(path.removeprefix("file://").removeprefix("localhost"))


def file_system(path: str) -> tuple[Any, str]:
    """The file system of a path or an address, and the path in it.

    Raises:
        UsageError: fsspec or the package for the scheme isn't installed, or there is no such scheme.
    """
    core: Any = extra_module("fsspec.core", extra="remote", needed_by=path)
    try:
        system, inside = core.url_to_fs(path)
    except ImportError as error:
        raise UsageError(f"{path}: {error} (pip install)") from None
    except Exception as error:  # each storage has errors of its own, such as one that asks for credentials
        raise UsageError(f"{path}: {(str(error).strip() or type(error).__name__).splitlines()[0]}") from None
    return system, str(inside)


def cache_folder() -> Path:
    """Where copies are kept: `I2I_CACHE`, or `i2i` in the user's cache folder."""
    if own := os.environ.get("I2I_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "i2i"
