"""The command line: `i2i COMMAND ...`. Each command imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from i2i.cli.arguments import print_error
from i2i.cli.streams import lasting_streams
from i2i.errors import ImageError, UsageError, unknown
from i2i.version import __version__

COMMANDS = ("train", "translate", "sample", "evaluate", "check", "info", "models")

HELP = f"""\
i2i {__version__}: image-to-image translation with adversarial networks

  i2i translate INPUT OUTPUT --model MODEL  translate an image, a folder or a glob
  i2i train METHOD DATA                     train a model on your images
  i2i sample MODEL OUT                      draw images from a latent (models of gan)
  i2i check DATA                            find what is wrong with a data set, before training
  i2i evaluate MODEL DATA                   score a model on held-out images
  i2i info MODEL                            describe a model file
  i2i models                                list the models that come with i2i

  i2i COMMAND --help                        the flags of a command
  i2i --print-completion SHELL              completion for bash, zsh, fish or tcsh
  i2i --version

Try:
  i2i translate datasets/examples translated --model map2sat --contact-sheet translated.png
  i2i train pix2pix my_pairs                where my_pairs/train holds pairs, side by side in one image
  i2i train cyclegan my_images              where my_images has trainA and trainB
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 all done, 1 some of it failed, 2 wrong usage."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may hold what the terminal lacks; a log is read as it grows
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    with lasting_streams() as (out, _):
        code = _run(args)
        out.flush()
        if out.lost and code == 0:
            return print_error(f"standard output: {out.lost.strerror}", 1)
        return code


def _run(args: list[str]) -> int:
    if args[:1] and args[0] in ("help", "-h", "--help"):
        args = [*args[1:], "--help"]
    if args in ([], ["--help"]):
        print(HELP, end="")
        return 0
    if args[0] in ("--version", "version"):
        print(f"i2i {__version__}")
        return 0
    try:
        if args[0] == "--print-completion":
            from i2i.cli.completion import completion

            print(completion(args[1] if len(args) == 2 else " ".join(args[1:])), end="")
            return 0
        if args[0] not in COMMANDS:
            raise unknown("command", args[0], (*COMMANDS, "--version") if args[0].startswith("-") else COMMANDS)
        command = importlib.import_module(f"i2i.cli.{args[0]}")
        with _loudness(args[1:]):
            return int(command.run(args[1:]))
    except UsageError as error:  # which all processes of a run come upon
        return print_error(error.with_flags(), 2) if os.environ.get("RANK", "0") == "0" else 2
    except ImageError as error:
        return print_error(error.with_flags(), 2)
    except BrokenPipeError:  # of a result; text is dropped
        return 1
    except OSError as error:
        return print_error(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)
    except KeyboardInterrupt:
        return print_error("interrupted", 130)


@contextlib.contextmanager
def _loudness(args: Sequence[str]) -> Iterator[None]:
    """Print what --quiet and --verbose leave: they are read here, once for all commands."""
    from i2i.progress import LogHandler, logger

    quiet, verbose = "--quiet" in args, "--verbose" in args or "-v" in args
    if quiet and verbose:
        raise UsageError("--quiet and --verbose: give one of them")
    handler, before = LogHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    try:
        with contextlib.ExitStack() as stack:
            if quiet:
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
