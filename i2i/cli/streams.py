"""Standard output and error of the command line: a reader that goes away changes neither the work nor its exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

_CLOSED = {errno.EPIPE, errno.ESHUTDOWN, errno.EINVAL}  # Windows says the last of a closed pipe


class Stream:
    """A text stream that drops what can't be written; `lost` is the first error that was not a closed pipe."""

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
        """Flush, or drop what is in the buffer."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: OSError) -> None:
        if error.errno not in _CLOSED:
            self.lost = self.lost or error
        # What lies in its buffer, and what is written later, goes nowhere.
        with contextlib.suppress(OSError, io.UnsupportedOperation):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def lasting_streams() -> Iterator[tuple[Stream, Stream]]:
    """Let sys.stdout and sys.stderr be streams that a closed pipe does not break; they may be closed from the start."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        if None in before:
            _take_numbers()
        out, err = (Stream(stream or stack.enter_context(Path(os.devnull).open("w"))) for stream in before)
        sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
        try:
            yield out, err
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before


def _take_numbers() -> None:
    """Let no file that is opened later take the number of a closed stream, to which C libraries would write."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
