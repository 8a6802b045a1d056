"""Batches in an order that depends on the seed and the position alone."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.process import BaseProcess

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from i2i.data.dataset import Sample, WorkerLost
from i2i.errors import ImageError


def load(
    images: Dataset[Sample],
    *,
    batch_size: int,
    start: int,
    steps: int,
    workers: int,
    share: tuple[int, int] = (0, 1),
    micro_batches: int = 1,
    pin: bool = False,
) -> Generator[Sample, None, None]:
    """The batches of steps `start` (counted from 0) up to `steps`, or a share of each: (1, 4) is the second of four.

    A share has its share of each micro-batch, one after the other, so that a micro-batch of all shares together holds
    the same images however many shares there are.

    Raises:
        ImageError: an image can't be read.
        WorkerLost: a worker has ended.
    """
    rank, shares = share
    size = batch_size // micro_batches
    own = size // shares
    begins = range(rank * own, batch_size, size)
    offsets = [begin + index for begin in begins for index in range(own)]
    loader = DataLoader(
        images,
        batch_sampler=([step * batch_size + offset for offset in offsets] for step in range(start, steps)),
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=functools.partial(_begin_worker, trainer=os.getpid()) if workers else None,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator(),  # its own, so that a loader draws nothing from the run's random numbers
    )
    with _no_child_handler():
        batches = iter(loader)
    try:
        yield from batches
    except (RuntimeError, OSError, EOFError) as error:
        if not _is_loss(error, getattr(batches, "_workers", [])):
            raise
        raise WorkerLost(
            "a worker that loads images has ended, killed perhaps because memory was short (fewer --workers or a "
            "smaller --cache-gb take less)"
        ) from None
    except ImageError as error:
        # A worker's error carries its traceback, of which the last line is the message.
        raise ImageError(str(error).strip().splitlines()[-1].removeprefix("i2i.errors.ImageError: ")) from None
    finally:
        # Torch would end the workers whenever the garbage is collected, and report there that a signal was quicker.
        with contextlib.suppress(RuntimeError):
            getattr(batches, "_shutdown_workers", lambda: None)()


def _is_loss(error: Exception, workers: Sequence[BaseProcess]) -> bool:
    """Whether an error of a loader says that a worker has ended, rather than what went wrong within one."""
    if "in DataLoader worker process" in str(error):
        return False
    broken = isinstance(error, ConnectionError | EOFError)  # while a batch of that worker was received
    lost = not all(worker.is_alive() for worker in workers)
    return str(error).startswith("DataLoader worker (pid") or (bool(workers) and (broken or lost))


@contextlib.contextmanager
def _no_child_handler() -> Iterator[None]:
    """Keep torch from raising for a lost worker at any moment, such as between the updates of two players.

    The loss is still noticed, where the batch of that worker is waited for.
    """
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    before = signal.getsignal(signal.SIGCHLD) if main else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGCHLD, before)


def default_workers(device: torch.device) -> int:
    """As many processes as keep a GPU fed; none where the CPU itself trains."""
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def _begin_worker(_: int, *, trainer: int) -> None:
    # Ctrl-C, a closed terminal and a kill of the group reach the trainer alone, which answers at the end of a step.
    # SIGTERM keeps its meaning, because Python ends workers by it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        os.setsid()
        threading.Thread(target=_end_with, args=(trainer, os.getppid()), daemon=True).start()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _end_with(trainer: int, parent: int) -> None:
    # One that is killed can't end its workers, which would wait for ever for somebody to take their images. Their
    # parent is another where Python starts them from a server.
    with contextlib.suppress(ProcessLookupError):
        while os.getppid() == parent:
            os.kill(trainer, 0)
            time.sleep(1)
    os._exit(1)
