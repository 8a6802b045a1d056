"""Batches whose order depends on seed and step alone."""

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

from i2i.data.dataset import Sample
from i2i.errors import ImageError


class WorkerLost(RuntimeError):
    """A worker process that loads images has ended."""


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
    """Yield the batches of steps `start` (counted from 0) up to `steps`, or one rank's share of each.

    Args:
        images: an endless stream, with a sample at each position from 0; see `ImageDataset`, and `ShuffledDataset`
            for other datasets.
        batch_size: of all ranks together.
        start: the first step.
        steps: the step to stop before.
        workers: processes that load images; 0 loads them in this one.
        share: rank and world size: (1, 4) is the second of four shares.
        micro_batches: parts of a batch; a rank gets its share of each, so that a micro-batch holds the same images
            for every world size.
        pin: put batches into pinned memory.

    Raises:
        ImageError: an image can't be read.
        WorkerLost: a worker has ended.
    """
    rank, world_size = share
    micro_batch = batch_size // micro_batches
    local = micro_batch // world_size
    starts = range(rank * local, batch_size, micro_batch)
    offsets = [start + index for start in starts for index in range(local)]
    loader = DataLoader(
        images,
        batch_sampler=([step * batch_size + offset for offset in offsets] for step in range(start, steps)),
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=functools.partial(_start_worker, trainer=os.getpid()) if workers else None,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator(),  # its own, so that the loader draws no seed from the run's
    )
    with _no_child_handler():
        batches = iter(loader)
    try:
        yield from batches
    except (RuntimeError, OSError, EOFError) as error:
        if not _is_worker_lost(error, getattr(batches, "_workers", [])):
            raise
        raise WorkerLost(
            "a worker process that loads images was killed, perhaps because memory ran out; fewer workers or a smaller "
            "image cache need less"
        ) from None
    except ImageError as error:
        if not workers:
            raise
        # A worker's error holds its traceback; the last line is the message.
        raise ImageError(str(error).strip().splitlines()[-1].removeprefix("i2i.errors.ImageError: ")) from None
    finally:
        # Torch would end the workers at garbage collection, and complain there if a signal was quicker.
        with contextlib.suppress(RuntimeError):
            getattr(batches, "_shutdown_workers", lambda: None)()


def _is_worker_lost(error: Exception, workers: Sequence[BaseProcess]) -> bool:
    """Whether an error says that a worker has ended, rather than what went wrong in it."""
    if "in DataLoader worker process" in str(error):
        return False
    broken = isinstance(error, ConnectionError | EOFError)  # while receiving that worker's batch
    lost = not all(worker.is_alive() for worker in workers)
    return str(error).startswith("DataLoader worker (pid") or (bool(workers) and (broken or lost))


@contextlib.contextmanager
def _no_child_handler() -> Iterator[None]:
    """Keep torch from raising for a lost worker at any moment, such as between the updates of two players.

    It is still noticed when that worker's batch is due.
    """
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    before = signal.getsignal(signal.SIGCHLD) if main else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGCHLD, before)


def default_workers(device: torch.device) -> int:
    """Worker processes to load images with: none for training on a CPU, else up to 8."""
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def _start_worker(_: int, *, trainer: int) -> None:
    # Ctrl-C, a closed terminal and a kill of the process group reach the trainer alone, which stops after a step.
    # SIGTERM keeps its meaning, because Python ends workers with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        os.setsid()
        threading.Thread(target=_exit_with, args=(trainer, os.getppid()), daemon=True).start()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _exit_with(trainer: int, parent: int) -> None:
    # A trainer that is killed can't end its workers, which would wait for ever. Their parent is not the trainer where
    # Python starts them from a fork server.
    with contextlib.suppress(ProcessLookupError):
        while os.getppid() == parent:
            os.kill(trainer, 0)
            time.sleep(1)
    os._exit(1)
