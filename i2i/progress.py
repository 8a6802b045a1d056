"""Progress of long work: a bar on a terminal, a line now and then in a log, nothing where the logger is silent."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import Any, ClassVar

from tqdm import tqdm

logger = logging.getLogger("i2i")
_LINE = "{desc} {unit} {n_fmt} of {total_fmt}: {percentage:.0f} %, {elapsed} so far, {remaining} left{postfix}"


def in_notebook() -> bool:
    """Whether this runs in a Jupyter notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config


def progress_bar(**options: Any) -> Any:
    """`Progress`, or in a notebook the bar of tqdm, with the same options."""
    if not in_notebook():
        return Progress(**options)
    from tqdm.auto import tqdm as notebook_bar

    return notebook_bar(**options)


class Progress(tqdm):  # type: ignore[misc]
    """A tqdm bar where stderr is a terminal; elsewhere (nohup, Docker, CI) a line every half minute.

    Nothing is shown where the logger `i2i` drops warnings, nor with `disable=True`.
    """

    seconds: ClassVar[float] = 30.0  # between lines; shorter work has none

    def __init__(self, *args: Any, disable: bool = False, **options: Any) -> None:
        self.in_lines = not sys.stderr.isatty()
        self.started = self.last_line = time.monotonic()
        options |= {"bar_format": _LINE, "ncols": None} if self.in_lines else {"dynamic_ncols": True, **options}
        super().__init__(*args, disable=disable or not logger.isEnabledFor(logging.WARNING), **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw the bar, or add a line where the last one is half a minute old."""
        if not self.in_lines:
            super().display(msg, pos)
        elif time.monotonic() - self.last_line >= self.seconds:
            self._add_line()

    def clear(self, nolock: bool = False) -> None:
        """Erase the bar; lines stay."""
        if not self.in_lines:
            super().clear(nolock)

    def close(self) -> None:
        """Draw the bar a last time; below other lines, add the last one."""
        if self.in_lines and not self.disable:
            if self.last_line > self.started:
                self._add_line()
            self.delay = math.inf  # tqdm draws nothing at the end of what was never drawn
        super().close()

    def _add_line(self) -> None:
        self.fp.write(f"{str(self).lstrip()}\n")
        self.fp.flush()
        self.last_line = time.monotonic()


class LogHandler(logging.Handler):
    """Write records to stderr, above the bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        tqdm.write(self.format(record), file=sys.stderr)
