"""`i2i translate INPUT OUTPUT --model NAME`: an image, a folder or a glob of images."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from i2i.errors import UsageError
from i2i.flags import Imports, Quiet, Verbose, complain, one_line, parse

if TYPE_CHECKING:
    from collections import Counter

    from i2i.convert import Conversion


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
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """`i2i translate INPUT OUTPUT --model ...`."""
    flags = parse(Translate, "translate", args, "Translate images with a trained model.")

    # Threads of the network that wait give way to those that read and write; torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from i2i.convert import convert, write_contact_sheet
    from i2i.jobs import left_out, plan, variants
    from i2i.picture import SUFFIXES
    from i2i.progress import logger
    from i2i.registry import load_plugins
    from i2i.translator import Translator

    if flags.contact_sheet and flags.contact_sheet.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--contact-sheet {flags.contact_sheet}: give an image file, such as sheet.png")
    if not 1 <= flags.quality <= 100:
        raise UsageError(f"--quality {flags.quality}: it is from 1 to 100")
    if flags.max_megapixels < 1:
        raise UsageError(f"--max-megapixels {flags.max_megapixels}: it is 1 or more")
    jobs = plan(flags.input, flags.output, suffix=f".{flags.format}" if flags.format else None)
    load_plugins(flags.imports)
    translator = Translator.load(flags.model, to=flags.to, device=flags.device)
    if (flags.samples is not None or flags.seed is not None) and not translator.generator.latent:
        raise UsageError(f"{flags.model} gives one output for an input; leave out --samples and --seed")
    if flags.samples is not None and flags.samples < 1:
        raise UsageError(f"--samples {flags.samples}: it is 1 or more")
    if flags.samples is not None:
        jobs = variants(jobs, flags.samples, seed=flags.seed or 0)
    elif flags.seed is not None:
        jobs = [job._replace(seed=flags.seed) for job in jobs]
    logger.info("%s on %s: %s", flags.model, translator.device, translator.generator.spec)
    aside = left_out(flags.input, flags.output)
    try:
        result = convert(
            jobs,
            translator,
            batch_size=flags.batch_size,
            tile=flags.tile,
            overwrite=flags.overwrite,
            quality=flags.quality,
            max_pixels=flags.max_megapixels * 1_000_000,
        )
    except KeyboardInterrupt:
        return complain("interrupted; what is done is kept, and the same command again goes on", 130)
    _tell(result, aside, f"translated to {translator.domains[1]}", flags.output)
    shown = result.written + result.skipped
    if flags.contact_sheet and shown:
        shown.sort(key=lambda job: (job.source, job.seed or 0))
        write_contact_sheet(flags.contact_sheet, shown, domains=translator.domains)
        print(one_line(f"to look at: {flags.contact_sheet}"))
    return 1 if result.failed or result.undone else 0


def _tell(result: Conversion, aside: Counter[str], what: str, output: Path) -> None:
    """Say what became of a conversion: what went wrong with the files' names, then how many there were of what."""
    for path, reason in result.failed.items():
        print(one_line(f"i2i: {path}: {reason}"), file=sys.stderr)
    for note, paths in result.notes.items():
        more = f", and {len(paths) - 3} more" if len(paths) > 3 else ""
        print(one_line(f"{', '.join(map(str, paths[:3]))}{more}: {note}"))
    speed = f"{len(result.written) / result.seconds:.1f} a second" if result.written else "none"
    parts = [f"{len(result.written)} {what} ({speed})"]
    if result.skipped:
        parts.append(f"{len(result.skipped)} there already (--overwrite translates them anew)")
    if result.failed:
        parts.append(f"{len(result.failed)} failed")
    if result.undone:
        parts.append(f"{len(result.undone)} not begun ({result.stopped}): mend that, and the same command goes on")
    parts += [f"{count} {kind}{'s' if count > 1 else ''} left out" for kind, count in aside.items()]
    print(one_line(f"{output}: {', '.join(parts)}"))
