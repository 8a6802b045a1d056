"""Encode and write the results of a conversion behind the network, in threads."""

from __future__ import annotations

import errno
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from i2i.files import write_whole
from i2i.images.decoded import DecodedImage
from i2i.images.writing import encode
from i2i.inference.conversion import Conversion, reason
from i2i.inference.origins import Origins
from i2i.inference.planning import Job
from i2i.inference.record import OutputFolderError
from i2i.progress import logger

THREADS = min(4, os.cpu_count() or 1)  # that write, and as many that read
# Errors after which no other file can be written either.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE}


class Writers:
    """Threads that encode and write results.

    What was written, and what failed, is added to `result`.
    """

    def __init__(self, result: Conversion, *, quality: int, origins: Origins | None) -> None:
        self._result, self._quality, self._origins = result, quality, origins
        self._pool = ThreadPoolExecutor(THREADS)
        self._waiting: deque[tuple[Job, Future[None]]] = deque()

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._origins:
            self._origins.record.close()

    def add(self, job: Job, image: DecodedImage) -> None:
        """Write a result soon; waits while many are being written."""
        self._waiting.append((job, self._pool.submit(self._write, job, image)))
        while len(self._waiting) > 2 * THREADS:
            self._finish_next()

    def finish(self) -> None:
        """Wait until all are written."""
        while self._waiting:
            self._finish_next()

    def _write(self, job: Job, image: DecodedImage) -> None:
        origins = self._origins
        data = encode(image, job.target.suffix, quality=self._quality)
        if origins is None:
            write_whole(job.target, data)
        else:
            origins.record.check()
            write_whole(job.target, data, before_rename=lambda temporary: origins.add(job, temporary))

    def _finish_next(self) -> None:
        job, writing = self._waiting.popleft()
        error = writing.exception()  # of any type: encoders raise many on odd images
        if error is None:
            self._result.written.append(job)
            logger.info("%s -> %s", job.source, job.target)
        elif isinstance(error, OSError) and (why := self._why_fatal(job, error)):
            self._result.stopped = self._result.stopped or f"can't write {why}"
        else:
            self._result.failed[job.source] = f"can't write {job.target}: {reason(error)}"

    def _why_fatal(self, job: Job, error: OSError) -> str:
        """Why no other file can be written either; empty if others may be."""
        if self._origins and not isinstance(error, OutputFolderError):
            try:
                self._origins.record.check()
            except OutputFolderError as folder_error:
                error = folder_error
        if isinstance(error, OutputFolderError):
            return error.strerror or str(error)
        return f"{job.target}: {error.strerror}" if error.errno in _FATAL else ""
