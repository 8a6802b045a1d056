"""Files at paths and URLs: `s3://`, `gs://`, `https://` and whatever else fsspec knows."""

from __future__ import annotations

import glob
import itertools
import re
from pathlib import Path

from i2i.errors import UsageError
from i2i.storage import VERSIONS, file_system, is_remote

_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")  # innermost ones
_MOST = 1_000_000  # files that braces may stand for


def without_query(path: str) -> str:
    """A URL up to its query, which may hold a signature; any other path as it is."""
    return path.partition("?")[0] if is_remote(path) else path


def expand(pattern: str) -> list[str]:
    """What braces stand for: `{00..99}` for numbers, `{train,val}` for words, also inside each other."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    first, last, words = found.groups()
    if words is None:
        if not 0 <= int(last) - int(first) < _MOST:
            raise UsageError(f"{pattern}: {found[0]} is no range of numbers from a smaller one to a larger one")
        parts = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    else:
        parts = words.split(",")
    before, after = pattern[: found.start()], pattern[found.end() :]
    found_all = itertools.chain.from_iterable(expand(f"{before}{part}{after}") for part in parts)
    return list(dict.fromkeys(found_all))  # {a,b{0..9}} gives a for each of the ten


def matching(pattern: str) -> list[str]:
    """The files that a glob matches, sorted; a path without wildcards is returned as it is.

    Raises:
        UsageError: the storage can't be reached.
    """
    if not is_remote(pattern):
        is_glob = glob.has_magic(pattern) and not Path(pattern).exists()
        return sorted(glob.glob(pattern, recursive=True)) if is_glob else [pattern]  # noqa: PTH207
    if not re.search(r"[*\[]", pattern):  # a ? begins a query
        return [pattern]
    system, path = file_system(pattern)
    try:
        return sorted(system.unstrip_protocol(name) for name in system.glob(path))
    except Exception as error:
        raise UsageError(f"{pattern}: {_reason(error)}") from None


def stat(path: str) -> tuple[int, str]:
    """The size of a file in bytes, and a text that changes when it does.

    Raises:
        UsageError: there is no such file, or the storage can't be reached.
    """
    try:
        if not is_remote(path):
            found = Path(path).stat()
            return found.st_size, str(found.st_mtime_ns)
        system, name = file_system(path)
        info = system.info(name)
        return int(info["size"]), " ".join(str(info[key]) for key in VERSIONS if key in info)
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such shard") from None
    except Exception as error:  # each storage has errors of its own
        raise UsageError(f"{path}: {_reason(error)}") from None


def read_small(path: str) -> bytes | None:
    """The bytes of a file; None where there is none."""
    try:
        if not is_remote(path):
            return Path(path).read_bytes()
        system, name = file_system(path)
        return bytes(system.cat_file(name))
    except Exception:  # some servers answer with something else than "not found"
        return None


def fetch(url: str, path: Path) -> None:
    """Copy a remote file; all errors of the storage are raised."""
    system, name = file_system(url)
    system.get_file(name, str(path))


def _reason(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"can't be read: {text}"
