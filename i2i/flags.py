"""The flags of each command, and how they are read: what is wrong becomes one line that says what to type."""

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import tyro

from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError

T = TypeVar("T")


Imports = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="import", metavar="MODULE")]]


@dataclass(frozen=True)
class Train:
    """Flags of `i2i train`; the method's own join them."""

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")] = ()
    """A folder of pictures, or two."""
    run: Path | None = None
    """The run's folder; runs/METHOD-DATA unless given."""
    resume: bool = False
    """Go on with a run, with its settings; flags given change them."""
    imports: Imports = ()
    """A module or a .py file with a method or a backbone; may be given several times."""
    pictures: tyro.conf.OmitArgPrefixes[DataConfig] = field(default_factory=DataConfig)
    training: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class Translate:
    """Flags of `i2i translate`."""

    input: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="INPUT")]
    """An image, a folder (with its sub-folders), or a glob in quotes such as 'photos/**/*.jpg'."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUTPUT")]
    """A folder, or for a single image an image file."""
    model: str
    """A pretrained model's name (see: i2i models), a model file, or a run's folder."""
    to: str | None = None
    """The domain to translate to, by its name, where the model knows both ways."""
    samples: int | None = None
    """Write this many variants of each, named by their seeds, of a model with many plausible outputs (bicyclegan)."""
    seed: int | None = None
    """Which of the plausible outputs, or the first of the samples; 0 unless given."""
    batch_size: int | None = None
    """Pictures of one size that go through the network together; 8 on a GPU and 1 on a CPU unless given."""
    tile: int | None = None
    """Translate in tiles of this many pixels a side, for pictures of any size in little memory, without seams."""
    format: Literal["png", "jpg", "webp", "tif", "bmp", "npy"] | None = None
    """Format of the files written; that of each picture unless given."""
    quality: int = 95
    """Of JPEG files, 1 to 100; the other formats lose nothing."""
    max_megapixels: int = 178
    """Refuse pictures of more: a small file may hold one that fills the memory."""
    overwrite: bool = False
    """Translate anew what is in OUTPUT already; it is skipped otherwise."""
    contact_sheet: Path | None = None
    """Also write inputs beside their outputs as one picture, to look at."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    imports: Imports = ()
    """A module or a .py file that holds the model's backbone; may be given several times."""


@dataclass(frozen=True)
class Sample:
    """Flags of `i2i sample`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A model file or a run's folder of method gan."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """An image file for a grid of pictures, or a folder for a file each."""
    count: int | None = None
    """Pictures to draw, or walks; 64, 8 of each class, or 8 walks, unless given."""
    seed: int = 0
    """The same seed draws the same pictures."""
    label: str | None = None
    """The class to draw, by its name, where the model knows classes; each in turn unless given."""
    walk: int | None = None
    """Walk from latent to latent in this many steps: each row of the grid is a walk."""
    overwrite: bool = False
    """Write over files that are in the folder OUT already."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    imports: Imports = ()
    """A module or a .py file that holds the model's backbone; may be given several times."""


@dataclass(frozen=True)
class Evaluate:
    """Flags of `i2i evaluate`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model's name, a model file, or a run's folder."""
    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of pairs, or two; its val or test pictures are used."""
    to: str | None = None
    """The domain to translate to, where the model knows both ways."""
    swap: bool = False
    """This data lies the other way round than that of the training."""
    batch_size: int = 8
    """Pictures that go through the network together."""
    json: Path | None = None
    """Also write the scores to this file."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    imports: Imports = ()
    """A module or a .py file that holds the model's backbone; may be given several times."""


@dataclass(frozen=True)
class Check:
    """Flags of `i2i check`."""

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of pictures, or two, as for i2i train."""
    image_size: int = 256
    """The --image-size of the training: height and width of a picture, in pixels."""
    channels: tuple[int, int] = (3, 3)
    """The --channels of the training."""
    max_megapixels: int = 178
    """The --max-megapixels of the training."""
    json: Path | None = None
    """Also write all that was found, with all files, to this file."""


@dataclass(frozen=True)
class Info:
    """Flags of `i2i info`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model's name, a model file, or a run's folder."""
    json: bool = False
    """Print the whole header as JSON."""


@dataclass(frozen=True)
class Models:
    """`i2i models` has no flags."""


def parse(kind: type[T], command: str, args: list[str], about: str, *, default: T | None = None) -> T:
    """Read flags into a dataclass; what is wrong becomes one line that says what to type."""
    said, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ.setdefault("COLUMNS", "110")
    try:
        with contextlib.redirect_stderr(said):
            parsed, rest = tyro.cli(  # type: ignore[call-overload]
                kind,
                prog=f"i2i {command}",
                description=about,
                args=args,
                **({} if default is None else {"default": default}),
                return_unknown_args=True,
            )
    except SystemExit as stopped:
        if not stopped.code:
            raise
        raise UsageError(f"{_first_sentence(said.getvalue())}; see: i2i {command} --help") from None
    finally:
        if columns is None:
            os.environ.pop("COLUMNS", None)
    if rest:
        if not rest[0].startswith("-"):
            raise UsageError(f"{rest[0]!r} is one argument too many; see: i2i {command} --help")
        flag = rest[0].partition("=")[0]
        near = difflib.get_close_matches(flag, _flags(kind, default), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown flag {flag!r}; {hint}see: i2i {command} --help")
    return cast(T, parsed)


def values_of(flag: str, args: Sequence[str]) -> list[str]:
    """The values of a repeatable flag that must be known before the others can be read."""
    after = [value for word, value in itertools.pairwise(args) if word == flag]
    return after + [word.removeprefix(f"{flag}=") for word in args if word.startswith(f"{flag}=")]


def _flags(kind: Any, default: Any) -> list[str]:
    """The flags that the help of a command shows."""
    shown = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
        tyro.cli(kind, args=["--help"], **({} if default is None else {"default": default}))
    return sorted(set(re.findall(r"--[a-z][a-z0-9-]*", shown.getvalue())))


def _first_sentence(box: str) -> str:
    """What tyro says in a box, without the box, the help of each flag, and the advice below its rule."""
    drawn = box.strip("\n").splitlines()
    # The title is in the box's upper edge, or where the terminal has no such characters a line with a rule below it.
    lines = [line[2:].rstrip("│ ") for line in drawn[1 if box.startswith("╭") else 2 :]]
    rule = next((place for place, line in enumerate(lines) if re.match(r"[─-]{4}", line)), len(lines))
    missing = [line.strip() for line in lines[:rule] if re.match(r" {4}\S", line)]
    if lines and lines[0].startswith("Missing from"):
        return f"missing: {', '.join(missing)}"
    said = " ".join(lines[: lines.index("")] if "" in lines[:rule] else lines[:rule])
    wrong = re.match(r"Error parsing (\S+): no type matching (.+) could be instantiated from \[(.*)\]", said)
    if wrong:
        flag, expected, given = wrong.groups()
        return f"{flag} {given.replace(', ', ' ')}: expected {re.sub(r'[{}]', '', expected.removeprefix('{None}|'))}"
    said = re.sub(r"^Error parsing (?!--)\S+: ", "", said)
    return said.rstrip(".") or "these flags can't be read"
