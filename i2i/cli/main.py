"""The command line: `i2i COMMAND ...`."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from i2i.cli.arguments import print_error
from i2i.cli.commands import commands
from i2i.cli.streams import lasting_streams
from i2i.errors import ImageError, UsageError, unknown
from i2i.version import __version__

_LEFT_OUT = ("torch", "torchvision", "albumentations", "safetensors", "skimage", "jinja2")  # for exported models alone
_HELP = """\
i2i {version}: image-to-image translation with adversarial networks

Commands:
{commands}

  i2i COMMAND --help              the flags of a command
  i2i --print-completion SHELL    completion for bash, zsh, fish or tcsh
  i2i --version

Examples:
  i2i translate datasets/examples translated --model map2sat --contact-sheet translated.png
  i2i train pix2pix my_pairs      # my_pairs/train holds pairs, side by side in one image
  i2i train cyclegan my_images    # my_images holds the folders trainA and trainB
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
        print(_help(), end="")
        return 0
    if args[0] in ("--version", "version"):
        print(f"i2i {__version__}")
        return 0
    try:
        return _run_command(args[0], args[1:])
    except UsageError as error:  # the same in all processes of a run
        return print_error(error.with_flags(), 2) if os.environ.get("RANK", "0") == "0" else 2
    except ModuleNotFoundError as error:
        if error.name not in _LEFT_OUT:
            raise
        return print_error(
            f"this needs {error.name}, which isn't installed: pip install i2i-toolkit; only exported models, such as "
            "MODEL.onnx of i2i export, do without",
            2,
        )
    except ImageError as error:
        return print_error(error.with_flags(), 2)
    except BrokenPipeError:  # of a result; text is dropped
        return 1
    except OSError as error:
        return print_error(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)
    except KeyboardInterrupt:
        return print_error("interrupted", 130)
    except SystemExit as stopped:  # of tyro, which has printed the help or what is wrong
        return int(stopped.code or 0)


def _run_command(name: str, args: list[str]) -> int:
    if name == "--print-completion":
        from i2i.cli.completion import completion

        print(completion(" ".join(args)), end="")
        return 0
    known = commands()
    if name not in known:
        raise unknown("command", name, (*known, "--version") if name.startswith("-") else known)
    with _loudness(args):
        return int(known[name].run(args))


def _help() -> str:
    lines = {f"i2i {name} {command.USAGE}".rstrip(): command.SUMMARY for name, command in commands().items()}
    width = max(map(len, lines))
    listed = "\n".join(f"  {usage:{width}}  {summary}" for usage, summary in lines.items())
    return _HELP.format(version=__version__, commands=listed)


@contextlib.contextmanager
def _loudness(args: Sequence[str]) -> Iterator[None]:
    """Apply --quiet and --verbose, for all commands."""
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
