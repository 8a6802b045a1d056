"""Translate the chunks of a conversion with the workers of a Ray cluster, by Ray Data."""

from __future__ import annotations

import logging
import os
import pickle
import re
import socket
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.device import SAME_FOR_ANY_THREADS
from i2i.errors import UsageError, setting
from i2i.images.outputs import with_weights
from i2i.inference.conversion import Conversion, reason
from i2i.inference.planning import Job
from i2i.optional import extra_module
from i2i.plugins import load_plugins
from i2i.pretrained import model_file

if TYPE_CHECKING:
    from i2i.inference.chunks import ChunkTask, Engine
    from i2i.inference.options import LoadOptions

_ATTEMPTS = 2  # of a chunk, and then of an image alone, before it is said to end its worker
_Row = dict[str, Any]


def on_ray(
    model: str | Path,
    load: LoadOptions,
    *,
    imports: Sequence[str] = (),
    address: str | None = None,
    workers: int | None = None,
) -> Engine:
    """The engine that translates chunks on a Ray cluster, or with several processes of this machine.

    A worker loads the model once; its bytes are sent along, so that other machines need no copy. They need i2i, and
    local folders must be shared with them. A chunk whose worker is lost is done by another. An image that ends
    every worker is named in the result.

    Args:
        model: the name of a model, or a file; see `Translator.load`.
        load: options of `Translator.load`.
        imports: plug-ins that define its network; see `load_plugins`.
        address: of the cluster; the one of `RAY_ADDRESS` or, without that, this machine alone.
        workers: processes that translate; by default one for each GPU, or for each core where there is no GPU.

    Raises:
        UsageError: Ray isn't installed, or the number of workers is below 1.
    """
    extra_module("ray.data", extra="ray", needed_by=setting("engine", "ray"))
    ray: Any = extra_module("ray", extra="ray")
    if workers is not None and workers < 1:
        raise UsageError(f"workers {workers}: it must be 1 or more")
    files = {file.name: file.read_bytes() for file in with_weights(model_file(model))}

    def run(task: ChunkTask, chunks: list[list[Job]]) -> Generator[Conversion, None, None]:
        if not chunks:
            return
        if own := not ray.is_initialized():  # within the caller's program it may be running
            _start(ray, address)
        try:
            counter = ray.remote(num_cpus=0, max_restarts=-1)(_Attempts).remote()
            setup = _Setup(ray.put(files), load, tuple(imports), task, counter)
            rows = [{"number": number, "jobs": pickle.dumps(jobs)} for number, jobs in enumerate(chunks)]
            data = ray.data.from_items(rows, override_num_blocks=len(rows))
            done = data.map(_Worker, fn_constructor_args=(setup,), **_resources(ray, workers, len(chunks)))
            for row in done.iter_rows():
                yield pickle.loads(row["result"])
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            lines = str(cause or error).strip().splitlines()
            raise UsageError(f"the workers can't translate: {lines[-1] if lines else type(error).__name__}") from None
        finally:
            if own:
                ray.shutdown()

    return run


@dataclass(frozen=True)
class _Setup:
    """What a worker is made from: references to the model's files, how to load it, and what to do."""

    files: Any
    load: LoadOptions
    imports: tuple[str, ...]
    task: ChunkTask
    attempts: Any


class _Attempts:
    """Counts how often each piece of work was begun and not finished, in a process that outlives the workers."""

    def __init__(self) -> None:
        self.begun: Counter[tuple[int, ...]] = Counter()

    def begin(self, work: tuple[int, ...]) -> int:
        """Count an attempt, and return which one it is, from 1."""
        self.begun[work] += 1
        return self.begun[work]

    def finish(self, work: tuple[int, ...]) -> None:
        """The work is done."""
        del self.begun[work]


class _Worker:
    """A process that has loaded the model, and translates chunks."""

    def __init__(self, setup: _Setup) -> None:
        import ray

        from i2i.inference.translator import Translator

        load_plugins(setup.imports)
        self._ray, self._task, self._attempts = ray, setup.task, setup.attempts
        files: Mapping[str, bytes] = ray.get(setup.files)
        with tempfile.TemporaryDirectory(prefix="i2i-") as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            self._translator = Translator.load(Path(folder, next(iter(files))), **setup.load)

    def __call__(self, row: _Row) -> _Row:
        number, jobs = int(row["number"]), pickle.loads(row["jobs"])
        result = self._attempt((number,), jobs)
        if result is None:  # one of its images ends the process, so each is translated alone
            result = Conversion()
            for index, job in enumerate(jobs):
                if (part := self._attempt((number, index), [job])) is not None:
                    result.add(part)
                else:
                    result.failed[job.source] = "ends the process that translates it, perhaps for lack of memory"
        return {"number": number, "result": pickle.dumps(result)}

    def _attempt(self, work: tuple[int, ...], jobs: list[Job]) -> Conversion | None:
        """Translate, unless earlier attempts have ended their processes."""
        if self._ray.get(self._attempts.begin.remote(work)) > _ATTEMPTS:
            return None
        result = self._task(jobs, self._translator)
        self._ray.get(self._attempts.finish.remote(work))
        return result


def _start(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _check_reachable(address)
    local = {"include_dashboard": False} if address == "local" else {}
    environment = {"env_vars": dict([SAME_FOR_ANY_THREADS])}
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", runtime_env=environment, **local)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(f"{setting('address', address)}: {str(error).splitlines()[0]}") from None
    ray.data.DataContext.get_current().enable_progress_bars = False


def _check_reachable(address: str) -> None:
    """Try to connect, which Ray itself does for many minutes; UsageError where nothing answers."""
    found = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if not found:  # local, auto
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=10).close()
    except OSError as error:
        raise UsageError(f"{setting('address', address)}: no Ray cluster answers there ({reason(error)})") from None


def _resources(ray: Any, workers: int | None, chunks: int) -> dict[str, Any]:
    """How many workers Ray starts, and what each of them takes."""
    gpus, cpus = int(ray.cluster_resources().get("GPU", 0)), int(ray.cluster_resources().get("CPU", 1))
    count = workers or gpus or cpus
    each = {"num_gpus": min(1.0, gpus / count)} if gpus else {"num_cpus": min(1.0, cpus / count)}
    return {"compute": ray.data.ActorPoolStrategy(size=min(count, chunks)), **each}
