"""`i2i translate - -`: one image from stdin, or to stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from i2i.cli.arguments import one_line, print_error
from i2i.cli.translate_flags import Flags
from i2i.errors import ImageError, UsageError
from i2i.files import write_whole
from i2i.images.formats import suffixes_in_words, writable_suffixes
from i2i.images.outputs import refuse_inputs
from i2i.images.reading import read
from i2i.images.writing import encode
from i2i.inference.options import Callbacks
from i2i.inference.translator import Translator
from i2i.pretrained import model_file

_STDIN, _STDOUT = 0, 1
_MAX_BYTES = 4 * 2**30  # read from stdin
_MAGIC = {
    b"\xff\xd8": ".jpg",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
    b"\x93NUMPY": ".npy",
}


def through_pipe(flags: Flags, *, suffix: str | None) -> int:
    """Translate one image; all messages go to stderr.

    Args:
        flags: INPUT, OUTPUT or both are `-`; a path is that of an image file.
        suffix: the format to write, such as `.png`; by default the format of OUTPUT, or else of the input.

    Returns:
        Exit code: 1 if the image can't be read, translated or written, else 0.

    Raises:
        UsageError: a folder or a terminal instead of an image, or flags for several images.
    """
    _check(flags, suffix)
    translator = Translator.load(
        flags.model, to=flags.to, device=flags.device, backend=flags.backend, invert_dark=flags.invert_dark
    )
    if flags.seed is not None and not translator.backend.latent:
        raise UsageError(f"{flags.model} gives one output for an input; leave out --seed")
    try:
        source = _source(flags.input)
        image = read(source, max_megapixels=flags.max_megapixels)
        callbacks = Callbacks(on_fallback=lambda _, what: print(one_line(f"i2i: {what}"), file=sys.stderr))
        seeds = None if flags.seed is None else [flags.seed]
        (result,) = translator.batch([image], batch_size=1, seeds=seeds, tile=flags.tile, callbacks=callbacks)
        path = None if flags.output == "-" else Path(flags.output)
        data = encode(result, suffix or (path.suffix if path else _suffix_of(source)), quality=flags.quality)
    except ImageError as error:
        return print_error(error.with_flags().replace("these bytes", "stdin", 1), 1)
    if path is None:  # not through sys.stdout, which --quiet silences
        with open(_STDOUT, "wb", closefd=False) as stdout:
            stdout.write(data)
    else:
        write_whole(path, data)
        print(one_line(f"{path}: translated to {translator.domains[1]}"), file=sys.stderr)
    return 0


def _check(flags: Flags, suffix: str | None) -> None:
    if flags.samples is not None or flags.contact_sheet is not None:
        raise UsageError("a pipe (-) holds one image; leave out --samples and --contact-sheet")
    if flags.input == "-" and os.isatty(_STDIN):
        raise UsageError("INPUT - reads an image from a pipe: i2i translate - OUTPUT ... < image.png")
    if flags.output == "-" and os.isatty(_STDOUT):
        raise UsageError("OUTPUT - writes an image to a pipe, and stdout is a terminal: i2i translate ... > image.png")
    if flags.input != "-" and not Path(flags.input).is_file():
        raise UsageError(f"{flags.input}: OUTPUT - takes a single image file as INPUT, or -")
    if flags.output == "-":
        return
    path = Path(flags.output)
    if path.suffix.lower() not in writable_suffixes() or path.is_dir():
        raise UsageError(f"{path}: INPUT - needs an image file as OUTPUT, or -; images end in {suffixes_in_words()}")
    if suffix and suffix != path.suffix.lower():
        raise UsageError(f"{path} ends in {path.suffix}; leave out --format {suffix[1:]}")
    refuse_inputs([path], [model_file(flags.model)])
    if path.exists() and not flags.overwrite:
        raise UsageError(f"{path} exists already; add --overwrite, or choose another OUTPUT")


def _source(name: str) -> bytes | Path:
    if name != "-":
        return Path(name)
    with open(_STDIN, "rb", closefd=False) as stdin:
        data = stdin.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ImageError(f"stdin: more than {_MAX_BYTES // 2**30} GiB; give a file")
    return data


def _suffix_of(source: bytes | Path) -> str:
    """The format of a file by its first bytes, or PNG if that can't be written."""
    if isinstance(source, bytes):
        start = source[:8]
    else:
        with source.open("rb") as file:
            start = file.read(8)
    return next((suffix for magic, suffix in _MAGIC.items() if start.startswith(magic)), ".png")
