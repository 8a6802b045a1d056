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
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from i2i.data.folders import Source, Split
from i2i.data.transforms import JointTransform, resized
from i2i.errors import ImageError
from i2i.image import levels_for, to_tensor
from i2i.picture import MAX_PIXELS, Levels, Picture, read

Sample = dict[str, Tensor]


class WorkerLost(RuntimeError):
    """A process that loads images has ended."""


class Pictures(Dataset[Sample]):
    """The endless stream of a split's pictures; the sample at a position is the same in every process and run.

    Each pass over a domain shows all its pictures, in an order of its own; domains that aren't pairs each go at their
    own length. A sample is {"a": (C, S, S), "b": (C, S, S)}, float in [-1, 1]; of a single set of pictures it is
    {"b": ...}, with {"label": place of its class} where there are classes. Images are resized to `load_size` and a
    crop is cut, and from the position `whole_from` on they are resized to `image_size` and seen whole.
    """

    def __init__(
        self,
        split: Split,
        *,
        paired: bool,
        image_size: int,
        load_size: int,
        channels: tuple[int, int] = (3, 3),
        augment: tuple[str, ...] = (),
        seed: int = 0,
        cache_bytes: int = 0,
        max_pixels: int = MAX_PIXELS,
        whole_from: int | None = None,
    ) -> None:
        self.split, self.paired, self.load_size, self.channels, self.seed = split, paired, load_size, channels, seed
        self.image_size, self.max_pixels, self.whole_from = image_size, max_pixels, whole_from
        self._transform = JointTransform(image_size=image_size, augment=augment)
        self._cache: dict[Source, Levels] = {}
        self._cache_bytes = self._room = cache_bytes
        self._cached_size = load_size

    def __len__(self) -> int:
        """Pictures in a pass over the longer domain."""
        return max(len(self.split.a), len(self.split.b))

    def __getitem__(self, position: int) -> Sample:
        """The training sample at a position of the stream, 0 or more."""
        size = self.load_size if self.whole_from is None or position < self.whole_from else self.image_size
        seed_a, seed_b = np.random.SeedSequence((self.seed, position)).generate_state(2)
        if not self.split.a:
            place = self._place(len(self.split.b), position, domain=0)
            b = self._transform.one(self._read(self.split.b[place], "b", size), seed=int(seed_b), is_input=False)
            return self._alone(b, place)
        a = self._read(self._pick(self.split.a, position, domain=0), "a", size)
        b = self._read(self._pick(self.split.b, position, domain=0 if self.paired else 1), "b", size)
        if self.paired:
            a, b = self._transform.pair(a, b, seed=int(seed_a))
        else:
            a = self._transform.one(a, seed=int(seed_a), is_input=True)
            b = self._transform.one(b, seed=int(seed_b), is_input=False)
        return self._tensors(a, b)

    def fixed(self, count: int) -> Sample:
        """A batch of `count` pictures spread over the split, whole and unchanged, to look at."""
        samples = []
        for place in range(count):
            if not self.split.a:
                own = place * len(self.split.b) // count
                samples.append(self._alone(resized(self._whole(self.split.b[own], "b"), self.image_size), own))
                continue
            a, b = (
                resized(self._whole(sources[place * len(sources) // count], domain), self.image_size)
                for sources, domain in ((self.split.a, "a"), (self.split.b, "b"))
            )
            samples.append(self._tensors(a, b))
        batch: Sample = default_collate(samples)
        return batch

    def _pick(self, sources: tuple[Source, ...], position: int, *, domain: int) -> Source:
        return sources[self._place(len(sources), position, domain=domain)]

    def _place(self, count: int, position: int, *, domain: int) -> int:
        turn, place = divmod(position, count)
        return _order(self.seed, turn, domain, count)[place]

    def depths(self) -> tuple[int, int]:
        """Bits of a level in each domain, 8 or 16 (32 for floats), as its first picture has."""
        b = 8 * self._whole(self.split.b[0], "b").dtype.itemsize
        return (8 * self._whole(self.split.a[0], "a").dtype.itemsize if self.split.a else b), b

    def _read(self, source: Source, domain: str, size: int) -> Levels:
        if size != self._cached_size:  # once in a run, where crops end
            self._cache.clear()
            self._cached_size, self._room = size, self._cache_bytes
        if source not in self._cache:
            levels = np.ascontiguousarray(resized(self._whole(source, domain), size))
            if levels.nbytes > self._room:
                return levels
            self._room -= levels.nbytes
            self._cache[source] = levels
        return self._cache[source]

    def _whole(self, source: Source, domain: str) -> Levels:
        channels = self.channels["ab".index(domain)]
        return read_source(source, channels=channels, max_pixels=self.max_pixels)

    def _alone(self, b: Levels, place: int) -> Sample:
        sample = {"b": to_tensor(b, self.channels[1])}
        return sample | {"label": torch.tensor(self.split.labels[place])} if self.split.labels else sample

    def _tensors(self, a: Levels, b: Levels) -> Sample:
        return {"a": to_tensor(a, self.channels[0]), "b": to_tensor(b, self.channels[1])}


def load(
    pictures: Pictures,
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
        ImageError: a picture can't be read.
        WorkerLost: a worker has ended.
    """
    rank, shares = share
    size = batch_size // micro_batches
    own = size // shares
    begins = range(rank * own, batch_size, size)
    offsets = [begin + index for begin in begins for index in range(own)]
    loader = DataLoader(
        pictures,
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


@functools.lru_cache(maxsize=4)
def _order(seed: int, turn: int, domain: int, count: int) -> list[int]:
    order: list[int] = np.random.default_rng((seed, turn, domain)).permutation(count).tolist()
    return order


def read_source(source: Source, *, channels: int, max_pixels: int = MAX_PIXELS) -> Levels:
    """The levels of a file, or of the half of it that a source names, for a network of so many channels.

    Raises:
        ImageError: it can't be read, or has other channels; the message says what to give.
    """
    picture = _decoded(source.path, max_pixels)
    try:
        levels = levels_for(picture, channels)
    except ImageError as error:
        raise ImageError(f"{source.path}: {error}; --channels of the training says how many") from None
    return source.of(levels)


# Both halves of a file are asked for one after the other.
@functools.lru_cache(maxsize=2)
def _decoded(path: Path, max_pixels: int) -> Picture:
    return read(path, max_pixels=max_pixels)


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
    # One that is killed can't end its workers, which would wait for ever for somebody to take their pictures. Their
    # parent is another where Python starts them from a server.
    with contextlib.suppress(ProcessLookupError):
        while os.getppid() == parent:
            os.kill(trainer, 0)
            time.sleep(1)
    os._exit(1)
