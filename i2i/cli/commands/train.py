"""`i2i train METHOD DATA`: train a model."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.cli.arguments import one_line, print_error, values_of
from i2i.cli.train_flags import Flags
from i2i.errors import ImageError, UsageError

if TYPE_CHECKING:
    from i2i.config import RunConfig
    from i2i.training.trainer import Trainer

__all__ = ["SUMMARY", "USAGE", "Flags", "run"]

USAGE = "METHOD DATA"
SUMMARY = "Train a model on your images"

_HELP = """\
usage: i2i train METHOD DATA [DATA_B] [flags]

Methods, the data they need, and what they are for:

{methods}

DATA is a folder of images. Its layout is detected (see datasets/README.md): pairs side by side in one
image or in two folders with equal names, two unpaired sets (trainA and trainB), or a single set. A
table of pairs (.csv) or tar shards ('shards/train-{{000..099}}.tar', or a URL) may stand for it.

Examples:
  i2i train pix2pix my_pairs
  i2i train cyclegan my_images

  i2i train METHOD --help    the flags of a method, and their defaults"""


def run(args: list[str]) -> int:
    """Train a model."""
    from i2i.cli.train_imports import import_modules_of
    from i2i.plugins import load_plugins

    requested = values_of("--import", args)
    load_plugins(requested)
    if "--resume" in args:
        for resumed in values_of("--run", args)[-1:]:  # its modules may define the method
            import_modules_of(Path(resumed), requested, trust="--trust-run" in args)
    from i2i.methods import methods

    if not args or args[0] in ("-h", "--help"):
        print(_help(methods))
        return 0
    name = args[0]
    _check_method_comes_first(args, methods)
    method: Any = methods[name]

    from i2i.cli.train_settings import run_settings
    from i2i.distributed import process_group

    config, folder, resume = run_settings(name, method, args[1:])
    with process_group(config.train.device) as device:
        return _train(method, config, folder, resume=resume, device=device)


def _help(methods: Mapping[str, Any]) -> str:
    from i2i.cli.train_settings import summary_of

    lines = (f"  {name:11} {method.data:9} {summary_of(method)}" for name, method in methods.items())
    return _HELP.format(methods="\n".join(lines))


def _check_method_comes_first(args: list[str], methods: Mapping[str, Any]) -> None:
    method, others = args[0], ", ".join(methods)
    if method.startswith("-"):
        # Other programs take both as flags, in any order: --dataroot DATA --model cycle_gan.
        named = [name.replace("_", "") for name in values_of("--model", args)]
        meant = next((name for name in named if name in methods), "METHOD")
        data = next(iter(values_of("--dataroot", args)), "DATA")
        raise UsageError(f"the method comes first: i2i train {meant} {data} ..., where METHOD is one of {others}")
    if method not in methods and args[1:] and args[1] in methods:
        raise UsageError(f"the method comes first: i2i train {args[1]} {method}")
    if method not in methods and Path(method).exists():
        raise UsageError(f"the method comes first: i2i train METHOD {method}, where METHOD is one of {others}")


def _train(method: Any, config: RunConfig, run: Path, *, resume: bool, device: str) -> int:
    from i2i.cli.train_introduction import introduce, refuse_other_direction
    from i2i.distributed import rank
    from i2i.errors import in_flags
    from i2i.progress import logger
    from i2i.training.build import build_run, layout_of
    from i2i.training.callbacks import Callbacks
    from i2i.training.diagnostics import Diagnosis

    def warn(step: int, diagnosis: Diagnosis) -> None:
        logger.warning("step %d: %s\n  try: %s", step, in_flags(diagnosis.warning), in_flags(diagnosis.advice))

    layout = layout_of(config)
    if resume:
        refuse_other_direction(run, layout, config.data)
    with _locked(run, resume=resume):
        callbacks = Callbacks(on_sample=None, on_warning=warn)
        trainer = build_run(config, layout, run, resume=resume, device=device, callbacks=callbacks)
        if rank() == 0:
            introduce(config, layout, trainer, run)
        return _fit(method, config, run, trainer)


@contextlib.contextmanager
def _locked(run: Path, *, resume: bool) -> Iterator[None]:
    """Let no other run write the folder: rank 0 takes the lock, and all ranks learn whether it succeeded."""
    from i2i.cli.train_settings import refuse_existing
    from i2i.distributed import broadcast_object, rank
    from i2i.files import remove_temporary
    from i2i.progress import logger
    from i2i.training.lock import locked

    refused = None
    with contextlib.ExitStack() as stack:
        if rank() == 0:
            try:
                if not stack.enter_context(locked(run)):
                    logger.warning("%s: this file system has no locks; let no other run write this folder", run)
                if not resume:
                    refuse_existing(run)
                remove_temporary(run, run / "samples")
            except UsageError as error:
                refused = error.args[0]  # with its settings, which str() spells for Python
            except OSError as error:
                refused = f"--run {run}: {error.strerror}"
        refused = broadcast_object(refused)
        if refused:
            raise UsageError(refused)
        yield


def _fit(method: Any, config: RunConfig, run: Path, trainer: Trainer) -> int:
    from i2i.data.loader import WorkerLost
    from i2i.distributed import rank, world_size
    from i2i.training.signals import Stopped
    from i2i.training.trainer import Diverged, PeerFailure

    resume = f"Resume with: {trainer.run.resume_command()}"
    try:
        model = trainer.fit()
    except Stopped as stopped:
        code = 128 + stopped.signum
        cause = "Ctrl-C" if stopped.signum == signal.SIGINT else signal.Signals(stopped.signum).name
        text = f"{cause}: checkpoint saved at step {stopped.step}. {resume}"
        return print_error(text, code) if rank() == 0 else code
    except Diverged as error:
        return print_error(f"{error}: {trainer.run.resume_command()} --lr {config.train.lr / 4:g}", 1)
    except PeerFailure as error:
        return print_error(f"{error}. {resume}", 1)
    except ImageError as error:
        step = trainer.step if world_size() == 1 else trainer.saved
        return print_error(f"{error.with_flags()}; the checkpoint of step {step} is saved. {resume}", 1)
    except (WorkerLost, OSError) as error:
        text = f"{error.filename or run}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
        if not (run / "state.pt").is_file():
            return print_error(f"{text}; no checkpoint was saved, so start the same command again", 1)
        return print_error(f"{text}; the checkpoint of step {trainer.saved} is saved. {resume}", 1)
    if rank() == 0:
        single = method.data == "single"
        use = f"i2i sample {run} samples.png" if single else f"i2i translate INPUT OUTPUT --model {run}"
        print(one_line(f"model: {model}"))
        print(one_line(f"use it: {use}"))
    return 0
