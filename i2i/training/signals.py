"""How a run is asked to stop: Ctrl-C, SIGTERM and SIGHUP are noted, and answered at the end of a step."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(Exception):
    """The run was asked to stop and did, its state saved; `signum` is the signal that asked."""

    def __init__(self, step: int, signum: int) -> None:
        super().__init__(f"stopped at step {step}")
        self.step, self.signum = step, signum


class Stop:
    """Whether a signal has asked the run to stop; a second one stops at once, but never while files are written."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._held = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While files are written."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def __call__(self, signum: int, _: FrameType | None) -> None:
        """Note a signal, as a handler of it."""
        if self.signum is not None and not self._held:
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        if self.signum is None:
            # Not print(): the signal may have come while something else was printing.
            with contextlib.suppress(OSError):
                os.write(2, b"\nstopping after this step; once more stops at once\n")
        self.signum = self.signum or signum


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Answer the signals of `STOP_SIGNALS` by noting them, in the main thread, where alone they come."""
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
