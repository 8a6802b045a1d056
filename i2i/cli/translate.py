"""`i2i translate INPUT OUTPUT --model NAME`: an image, a folder or a glob of images."""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from i2i.cli.arguments import Imports, Quiet, Verbose, one_line, parse, print_error
from i2i.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from i2i.inference.conversion import Conversion
    from i2i.inference.planning import Job


@dataclass(frozen=True)
class Translate:
    """Flags of `i2i translate`."""

    input: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="INPUT")]
    """An image, a folder (with its sub-folders), a glob in quotes such as 'photos/**/*.jpg', or - for stdin."""
    output: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUTPUT")]
    """A folder, for a single image an image file, or - for stdout. It may be INPUT where --format changes all names."""
    model: str
    """Name of a pretrained model (see: i2i models), a model file, or the folder of a run."""
    to: str | None = None
    """Domain to translate to, where the model translates both ways."""
    samples: int | None = None
    """Outputs per image, named by their seeds, of a model with many plausible outputs (bicyclegan)."""
    seed: int | None = None
    """Which of the plausible outputs, or the first one of --samples; 0 unless given."""
    batch_size: int | None = None
    """Images of equal size in a batch; 8 on a GPU and 1 on a CPU unless given."""
    tile: int | None = None
    """Translate tile by tile, each of this many pixels a side: images of any size in little memory, no seams."""
    format: Literal["png", "jpg", "webp", "tif", "bmp", "npy"] | None = None
    """Format of the outputs; that of each input unless given."""
    quality: int = 95
    """JPEG quality, 1 to 100; the other formats are lossless."""
    max_megapixels: int = 178
    """Refuse larger images: a small file can hold one that fills the memory."""
    overwrite: bool = False
    """Translate again what is in OUTPUT already; else it is skipped, or refused if it was made otherwise."""
    contact_sheet: Path | None = None
    """Also write an image with inputs beside their outputs, to look at."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto takes a GPU where there is one."""
    imports: Imports = ()
    """A module or a .py file that defines the model's network; may be given several times."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """`i2i translate INPUT OUTPUT --model ...`."""
    flags = parse(Translate, "translate", args, "Translate images with a trained model.")

    # Threads of the network that wait give way to those that read and write; torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from i2i.cli.pipes import through_pipe
    from i2i.inference.planning import plan
    from i2i.plugins import load_plugins

    _check(flags)
    suffix = f".{flags.format}" if flags.format else None
    if "-" in (flags.input, flags.output):
        load_plugins(flags.imports)
        return through_pipe(flags, suffix=suffix)
    jobs = plan(flags.input, Path(flags.output), suffix=suffix)
    load_plugins(flags.imports)
    return _convert(flags, jobs)


def _check(flags: Translate) -> None:
    from i2i.images.reading import SUFFIXES

    if flags.contact_sheet and flags.contact_sheet.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--contact-sheet {flags.contact_sheet}: give an image file, such as sheet.png")
    if not 1 <= flags.quality <= 100:
        raise UsageError(f"--quality {flags.quality}: it is from 1 to 100")
    if flags.max_megapixels < 1:
        raise UsageError(f"--max-megapixels {flags.max_megapixels}: it is 1 or more")


def _convert(flags: Translate, jobs: list[Job]) -> int:
    from i2i.images.outputs import files_of_model, refuse_inputs
    from i2i.inference.contact_sheet import write_contact_sheet
    from i2i.inference.folder import convert
    from i2i.inference.planning import left_out, unreadable, variants
    from i2i.inference.translator import Translator
    from i2i.pretrained import model_file
    from i2i.progress import logger

    output = Path(flags.output)
    translator = Translator.load(flags.model, to=flags.to, device=flags.device)
    if (flags.samples is not None or flags.seed is not None) and not translator.backend.latent:
        raise UsageError(f"{flags.model} gives one output for an input; leave out --samples and --seed")
    if flags.samples is not None and flags.samples < 1:
        raise UsageError(f"--samples {flags.samples}: it is 1 or more")
    one_file = jobs[0].target == output
    if flags.samples is not None:
        jobs = variants(jobs, flags.samples, seed=flags.seed or 0)
    elif flags.seed is not None:
        jobs = [job._replace(seed=flags.seed) for job in jobs]
    logger.info("%s on %s: %s", flags.model, translator.device, translator.backend.spec)
    targets = [job.target for job in jobs]
    of_model = files_of_model(model_file(flags.model))
    refuse_inputs(targets, of_model)
    if sheet := flags.contact_sheet:
        inputs = itertools.chain(of_model, (job.source for job in jobs), targets)
        _check_sheet(sheet, inputs, targets, folder=Path(flags.input), output=output)
    aside, blocked = left_out(flags.input, output), unreadable(flags.input, output)
    try:
        result = convert(
            jobs,
            translator,
            batch_size=flags.batch_size,
            tile=flags.tile,
            overwrite=flags.overwrite,
            quality=flags.quality,
            max_pixels=flags.max_megapixels * 1_000_000,
            record=None if one_file else output,
            model=flags.model,
        )
    except KeyboardInterrupt:
        return print_error("interrupted: what is done is kept; give the same command again to continue", 130)
    _tell_failures(result, blocked)
    _tell(result, aside, blocked, f"translated to {translator.domains[1]}", output)
    shown = result.written + result.skipped
    if flags.contact_sheet and shown:
        shown.sort(key=lambda job: (job.source, job.seed or 0))
        write_contact_sheet(flags.contact_sheet, shown, domains=translator.domains)
        print(one_line(f"to look at: {flags.contact_sheet}"))
    if result.undone:
        count, again = len(result.undone), "" if flags.overwrite else "; what is done is kept"
        left = f"{count} image{'s' if count > 1 else ''} left to translate{again}"
        return print_error(f"{result.stopped}: {left}; mend that, then give the same command again", 1)
    return 1 if result.failed or blocked else 0


def _check_sheet(sheet: Path, inputs: Iterable[Path], targets: list[Path], *, folder: Path, output: Path) -> None:
    """Refuse a contact sheet that is an input or an output, or that the same command would take for an input later."""
    from i2i.images.outputs import refuse_inputs

    refuse_inputs([sheet], inputs, flag="--contact-sheet")
    index, root, passed_over = sheet.resolve(), folder.resolve(), output.resolve()
    if index in (target.resolve() for target in targets):
        raise UsageError(f"--contact-sheet {sheet} is one of the outputs; give another --contact-sheet")
    is_inside = folder.is_dir() and index.is_relative_to(root)
    if is_inside and not (root in passed_over.parents and index.is_relative_to(passed_over)):
        raise UsageError(
            f"--contact-sheet {sheet} lies in INPUT, so it would be translated next time; "
            "give another --contact-sheet, in a folder elsewhere"
        )


def _tell_failures(result: Conversion, blocked: dict[str, list[Path]]) -> None:
    """Name what failed."""
    from i2i.inference.planning import some_of

    for path, reason in result.failed.items():
        print(one_line(f"i2i: {path}: {reason}"), file=sys.stderr)
    for reason, paths in blocked.items():
        print(one_line(f"i2i: {some_of(paths)}: {reason}"), file=sys.stderr)


def _tell(result: Conversion, aside: Counter[str], blocked: dict[str, list[Path]], what: str, output: Path) -> None:
    """Say what became of a conversion: notes with names of files, then how many there were of what."""
    from i2i.inference.planning import some_of

    for note, paths in result.notes.items():
        print(one_line(f"{some_of(paths)}: {note}"))
    parts = [f"{len(result.written)} {what} ({_speed(len(result.written), result.seconds)})"]
    if result.changed:
        parts.append(f"{len(result.changed)} of them again, as the input has changed")
    if result.skipped:
        unknown = f", {len(result.unknown)} of them by an unknown model" if result.unknown else ""
        parts.append(f"{len(result.skipped)} there already{unknown} (--overwrite translates them again)")
    failed = len(result.failed) + sum(map(len, blocked.values()))
    if failed:
        parts.append(f"{failed} failed")
    if result.undone:
        parts.append(f"{len(result.undone)} not done")
    parts += [f"{count} {kind}{'s' if count > 1 else ''} left out" for kind, count in aside.items()]
    print(one_line(f"{output}: {', '.join(parts)}"))


def _speed(count: int, seconds: float) -> str:
    if not count:
        return "none"
    return f"{count / seconds:.1f} a second" if count >= seconds else f"{seconds / count:.1f} seconds per image"
