"""stdout and stderr of the command line: a closed pipe changes neither the work nor the exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

_CLOSED = {errno.EPIPE, errno.ESHUTDOWN, errno.EINVAL}  # EINVAL: a closed pipe on Windows


class Stream:
    """A text stream that drops what can't be written; `lost` is the first error other than a closed pipe."""

    def __init__(self, stream: TextIO) -> None:
        self.lost: OSError | None = None
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._drop(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines, or drop them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the buffer, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def close(self) -> None:
        """Flush; libraries whose log handlers take the stream for a file of their own don't close it."""
        self.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: OSError) -> None:
        if error.errno not in _CLOSED:
            self.lost = self.lost or error
        # The buffer, and what is written later, go to the null device.
        with contextlib.suppress(OSError, io.UnsupportedOperation):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def lasting_streams() -> Iterator[tuple[Stream, Stream]]:
    """Replace sys.stdout and sys.stderr by streams that survive a closed pipe; either may be closed from the start."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        if None in before:
            _reserve_descriptors()
        out, err = (Stream(stream or stack.enter_context(Path(os.devnull).open("w"))) for stream in before)
        sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
        try:
            yield out, err
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before


def _reserve_descriptors() -> None:
    """Open descriptors 0 to 2, so that no file gets the number of a closed stream, to which C libraries write."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
