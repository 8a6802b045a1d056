"""Ctrl-C, SIGTERM and SIGHUP stop a run at the end of a step."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(Exception):
    """A signal stopped the run, whose checkpoint is saved."""

    def __init__(self, step: int, signum: int) -> None:
        super().__init__(f"stopped at step {step}")
        self.step, self.signum = step, signum


class Stop:
    """Which signal has asked the run to stop, if any; a second one stops at once, but never while files are written."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._held = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Write files in this context."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def __call__(self, signum: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self.signum is not None and not self._held:
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        if self.signum is None:
            # Not print(): the signal may have come while something else was printing.
            with contextlib.suppress(OSError):
                os.write(2, b"\nstopping after this step; press again to stop at once\n")
        self.signum = self.signum or signum


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Handle the signals of `STOP_SIGNALS`; Python delivers them to the main thread only."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {signum: signal.signal(signum, stop) for signum in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
