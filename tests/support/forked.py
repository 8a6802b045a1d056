"""Commands and ranks in processes of their own, which are forked and so need not import PyTorch again.

PyTorch refuses gradients in forks of a process that has computed some. Therefore a server is forked before the first
test (see `pytest_collection_finish` in conftest.py), and forks again for every process that a test asks for.
"""

from __future__ import annotations

import faulthandler
import itertools
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import Any, NamedTuple

import torch

from i2i.cli import main


class Ended(NamedTuple):
    """The exit code of a process, negative for a signal as in `subprocess`, and what it printed."""

    code: int
    stdout: str
    stderr: str


class Process:
    """A process that a server has forked."""

    store: Any = None  # where ranks meet: open for as long as they run

    def __init__(self, server: Server, number: int, pid: int, printed: Path) -> None:
        self._server, self._number, self.pid, self._printed = server, number, pid, printed

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._server.code(self._number)

    def kill(self) -> None:
        """Kill it, as a system does that has no memory left."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 120) -> Ended:
        """Wait for its end."""
        deadline = time.monotonic() + timeout
        while (code := self._server.code(self._number, wait=0.5)) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"still running after {timeout} s: {self.stderr()}")
        return Ended(code, self._printed.with_suffix(".out").read_text(), self.stderr())

    def stderr(self) -> str:
        """What it has printed to stderr so far."""
        return self._printed.with_suffix(".err").read_text()


class Server:
    """A process without gradients that forks others."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="i2i-tests-"))
        self._connection, other = multiprocessing.Pipe()
        self._pids: list[int] = []
        self._codes: dict[int, int] = {}
        self._pid = os.fork()
        if self._pid == 0:
            _serve(other)
        other.close()

    def run(
        self,
        target: Callable[..., int | None],
        *args: Any,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> Process:
        """Call a function in a fork, which ends with what it returns as its exit code; None is 0.

        Args:
            target: a function that can be imported.
            args: its arguments.
            folder: the working directory.
            environment: more environment variables.
        """
        number = len(self._pids)
        printed = self._folder / str(number)
        self._connection.send((target, args, folder or Path.cwd(), {**os.environ, **(environment or {})}, printed))
        while len(self._pids) == number:
            self._receive()
        return Process(self, number, self._pids[number], printed)

    def start(self, words: list[str], *, workers: str = "fork", folder: Path | None = None) -> Process:
        """`i2i` with these words, in a session of its own."""
        return self.run(command, workers, words, folder=folder)

    def start_ranks(self, target: Callable[..., int | None], *args: Any) -> list[Process]:
        """Call a function in two processes that are ranks of one run, as torchrun starts them."""
        store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port, "TORCHELASTIC_RESTART_COUNT": 0}
        shared |= {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "TORCHELASTIC_USE_AGENT_STORE": True}
        processes = []
        for rank in (0, 1):
            environment = {name: str(value) for name, value in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}
            processes.append(self.run(target, *args, environment=environment))
            processes[-1].store = store
        return processes

    def code(self, number: int, *, wait: float = 0) -> int | None:
        """The exit code of a process; waits for some seconds for anything to end."""
        while number not in self._codes and self._connection.poll(wait):
            self._receive()
        return self._codes.get(number)

    def close(self) -> None:
        """Kill what still runs."""
        self._connection.close()
        os.waitpid(self._pid, 0)
        shutil.rmtree(self._folder)

    def _receive(self) -> None:
        number, value = self._connection.recv()
        if number is None:
            self._pids.append(value)
        else:
            self._codes[number] = value


def command(workers: str, words: list[str]) -> int:
    """Run the command line in a process that starts its workers in this way."""
    multiprocessing.set_start_method(workers, force=True)
    if workers == "forkserver":
        _start_forkserver()
    return main(words)


def _start_forkserver() -> None:
    """Start Python's server of workers as a fork, which need not import PyTorch again."""
    resource_tracker.ensure_running()
    start = util.spawnv_passfds

    def fork(_: object, words: list[str], files: list[int]) -> int:
        pid = os.fork()
        if pid == 0:
            _close_all_but(*files)  # its end is that of the pipe which only the trainer holds
            try:
                exec(words[-1], {})
            finally:
                os._exit(0)
        return pid

    util.spawnv_passfds = fork
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = start


def _serve(connection: multiprocessing.connection.Connection) -> None:
    """Fork on request, and tell of each process its id and its exit code, until the tests end."""
    running: dict[int, int] = {}
    count = 0
    try:
        _close_all_but(connection.fileno())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, whose end is seen below
        while True:
            for pid, number in list(running.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del running[pid]
                    connection.send((number, os.waitstatus_to_exitcode(status)))
            if not connection.poll(0.01 if running else None):
                continue
            task = connection.recv()
            pid = os.fork()
            if pid == 0:
                connection.close()
                _run(*task)
            running[pid] = count
            count += 1
            connection.send((None, pid))
    except (EOFError, OSError):
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _run(
    target: Callable[..., int | None], args: Any, folder: Path, environment: dict[str, str], printed: Path
) -> None:
    """Call a function as a Python of its own would, and end."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, suffix in ((1, ".out"), (2, ".err")):
            file = os.open(printed.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, number)
            os.close(file)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
        faulthandler.enable()
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        # Later Pythons' warning of forks of a process with threads; the others are errors, as in tests.
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        code = int(target(*args) or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _close_all_but(*kept: int) -> None:
    """Close the files of the process that this one is a fork of, by which others see its end; what is printed stays."""
    for before, after in itertools.pairwise(sorted({2, *kept, 4096})):
        os.closerange(before + 1, after)
