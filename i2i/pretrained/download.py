"""Download a file: with its SHA-256 sum checked, a progress bar, and resumed where it was interrupted."""

from __future__ import annotations

import errno
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from i2i.errors import UsageError
from i2i.files import locked, sha256_of
from i2i.progress import Progress

_ATTEMPTS = 5  # in a row that bring nothing, with pauses of 1, 2, 4 and 8 seconds
_LOCAL = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM}
_CHUNK = 2**18  # bytes
_SECONDS = 30.0  # without an answer


def download(url: str, file: Path, *, sha256: str) -> None:
    """Download a file; it appears under its name when it is whole and its sum is right.

    What a lost connection or a killed process has left is kept beside it, with the sum in its name, and completed. A
    second process that wants the file waits for the first.

    Args:
        url: http or https.
        file: where to write it; its folder is made.
        sha256: the sum that it must have, as hexadecimal digits.

    Raises:
        UsageError: it can't be downloaded, or is another file than expected.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url}: expected an address that begins with http or https")
    part = file.with_name(f"{file.name}.{sha256[:16]}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{file.parent}: {error.strerror}; set I2I_CACHE to a folder that can be written") from None
    with locked(file.with_name(f".{file.name}.lock")):
        if file.is_file():
            return
        _complete(url, part)
        if sha256_of(part) != sha256:
            part.unlink()
            raise UsageError(f"{url} is another file than was published (its SHA-256 differs), so it was not kept")
        part.replace(file)


def _complete(url: str, part: Path) -> None:
    """Download what is missing of a part, trying again as long as something comes."""
    failed, reason = 0, ""
    while failed < _ATTEMPTS:
        before = _size(part)
        try:
            return _append(url, part)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _LOCAL:
                raise UsageError(f"{part}: can't be written: {error.strerror}") from None
            if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
                raise UsageError(f"{url} can't be downloaded: the server answers {error.code} {error.reason}") from None
            failed = 0 if _size(part) > before else failed + 1
            reason = str(getattr(error, "reason", error)) or type(error).__name__
            if 0 < failed < _ATTEMPTS:
                time.sleep(2.0 ** (failed - 1))
    raise UsageError(f"{url} can't be downloaded: {reason}; the same command resumes it")


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _append(url: str, part: Path) -> None:
    """Append what is missing to a part; OSError or HTTPException where the connection is lost."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # it was whole
            return
        raise
    with response:
        if response.status != 206:  # a server without ranges sends all of it again
            start = 0
        left = response.length
        total = None if left is None else start + left
        with (
            part.open("ab" if start else "wb") as out,
            Progress(
                total=total, initial=start, unit="B", unit_scale=True, desc=f"download {part.name.split('.')[0]}"
            ) as bar,
        ):
            for chunk in _chunks(response):
                out.write(chunk)
                bar.update(len(chunk))
        if total is not None and _size(part) < total:
            raise ConnectionError("the connection was lost")


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read1(_CHUNK):
        yield chunk
