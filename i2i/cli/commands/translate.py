"""`i2i translate INPUT OUTPUT --model MODEL`: translate an image, a folder or a glob of images, or a video."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.cli.arguments import one_line, parse, print_error
from i2i.cli.translate_flags import Flags
from i2i.device import SAME_FOR_ANY_THREADS
from i2i.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from i2i.inference.conversion import Conversion
    from i2i.inference.options import LoadOptions
    from i2i.inference.planning import Job
    from i2i.inference.remote.folders import RemoteFolders
    from i2i.inference.remote.planning import RemotePlan
    from i2i.inference.translator import Translator


USAGE = "INPUT OUTPUT --model MODEL"
SUMMARY = "Translate an image, a folder or a glob of images, or a video"


def run(args: list[str]) -> int:
    """Translate images."""
    flags = parse(Flags, "translate", args, SUMMARY)

    # Idle threads of the network leave the cores to those that read and write; torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault(*SAME_FOR_ANY_THREADS)

    from i2i.cli.pipes import through_pipe
    from i2i.inference.planning import plan
    from i2i.inference.remote.planning import RemotePlan, plan_remote
    from i2i.inference.video.names import is_video_name
    from i2i.plugins import load_plugins
    from i2i.storage import is_remote

    load_plugins(flags.imports)
    _check(flags)
    flags = _with_full_paths(flags)
    suffix = f".{flags.format}" if flags.format else None
    remote = is_remote(flags.input) or is_remote(flags.output)
    if "-" in (flags.input, flags.output):
        _refuse_remote(flags, "stdin and stdout", remote=remote)
        return through_pipe(flags, suffix=suffix)
    if is_video_name(flags.input) and not Path(flags.input).is_dir():
        from i2i.cli.videos import translate_one_video

        _refuse_remote(flags, "a video", remote=remote)
        return translate_one_video(flags)
    _check_no_video(flags)
    if remote:
        if flags.contact_sheet:
            raise UsageError("--contact-sheet shows local images; leave it out for remote ones")
        return _translate(flags, plan_remote(flags.input, flags.output, suffix=suffix))
    return _translate(flags, RemotePlan(plan(flags.input, Path(flags.output), suffix=suffix), None, {}, Counter()))


def _with_full_paths(flags: Flags) -> Flags:
    """The flags with file:// addresses as paths, and with absolute ones for workers that run in other folders."""
    from i2i.storage import as_local, is_remote

    def full(path: str) -> str:
        return path if flags.engine == "local" or path == "-" or is_remote(path) else os.path.abspath(path)  # noqa: PTH100

    imports = tuple(full(module) if module.endswith(".py") else module for module in flags.imports)
    source, target = (full(as_local(path)) for path in (flags.input, flags.output))
    return dataclasses.replace(flags, input=source, output=target, imports=imports)


def _refuse_remote(flags: Flags, what: str, *, remote: bool) -> None:
    if flags.engine == "ray":
        raise UsageError(f"--engine ray translates folders of images; leave it out for {what}")
    if remote:
        raise UsageError(f"{what}: give local files; folders of images may be remote")


def _check(flags: Flags) -> None:
    from i2i.images.formats import writable_formats, writable_suffixes

    if flags.contact_sheet and flags.contact_sheet.suffix.lower() not in writable_suffixes():
        raise UsageError(f"--contact-sheet {flags.contact_sheet}: give an image file, such as sheet.png")
    formats = [image_format.suffixes[0].removeprefix(".") for image_format in writable_formats()]
    if flags.format and flags.format not in formats:
        raise unknown("--format", flags.format, formats)
    if not flags.input or not flags.output:
        raise UsageError(f"{'OUTPUT' if flags.input else 'INPUT'} is empty; give a path")
    if not 1 <= flags.quality <= 100:
        raise UsageError(f"--quality {flags.quality}: it must be from 1 to 100")
    if flags.max_megapixels < 1:
        raise UsageError(f"--max-megapixels {flags.max_megapixels}: it must be 1 or more")
    if flags.engine != "ray" and (flags.address or flags.workers):
        raise UsageError("--address and --workers need --engine ray")
    if flags.samples is not None and flags.samples < 1:
        raise UsageError(f"--samples {flags.samples}: it must be 1 or more")


def _check_no_video(flags: Flags) -> None:
    for name, value in (("smooth", flags.smooth), ("norm-smooth", flags.norm_smooth)):
        if value is not None:
            raise UsageError(f"--{name} is for a video, and {flags.input} isn't one; leave it out")


def _translate(flags: Flags, planned: RemotePlan) -> int:
    from i2i.inference.planning import left_out, unreadable
    from i2i.inference.translator import Translator
    from i2i.progress import logger

    output = Path(flags.output)
    translator = Translator.load(flags.model, **_load_options(flags))
    logger.info("%s on %s: %s", flags.model, translator.device, translator.backend.spec)
    remote = planned.folders
    one_file = remote is None and planned.jobs[0].target == output
    jobs = _with_seeds(flags, planned, has_latent=bool(translator.backend.latent))
    if one_file and not flags.overwrite:
        _refuse_existing(job.target for job in jobs)
    if remote is None or not remote.target:
        _check_outputs(flags, jobs)
    skipped, blocked = planned.left_out, dict(planned.unreadable)
    if remote is None:
        skipped, blocked = left_out(flags.input, output), unreadable(flags.input, output)
    record = None if one_file or (remote and remote.target) else output
    try:
        result = _convert(flags, jobs, translator, record=record, remote=remote)
    except KeyboardInterrupt:
        return print_error("interrupted: finished images are saved. Resume with the same command", 130)
    _print_failures(result, blocked)
    _print_summary(result, skipped, blocked, f"translated to {translator.domains[1]}", flags.output)
    _write_sheet(flags, result, domains=translator.domains)
    if result.undone:
        count, kept = len(result.undone), "" if flags.overwrite else " Finished images are saved."
        left = f"{count} image{'s' if count > 1 else ''} not translated"
        return print_error(f"{result.stopped}: {left}.{kept} Fix that, then give the same command again", 1)
    return 1 if result.failed or blocked else 0


def _load_options(flags: Flags) -> LoadOptions:
    return {"to": flags.to, "device": flags.device, "backend": flags.backend, "invert_dark": flags.invert_dark}


def _convert(
    flags: Flags, jobs: list[Job], translator: Translator, *, record: Path | None, remote: RemoteFolders | None
) -> Conversion:
    from i2i.inference.folder import ConvertOptions, convert

    options = ConvertOptions(flags.batch_size, flags.tile, flags.quality, flags.max_megapixels)
    common: dict[str, Any] = {"overwrite": flags.overwrite, "record": record, "model": flags.model}
    if flags.engine == "local" and remote is None:
        return convert(jobs, translator, **vars(options), **common)

    from i2i.inference.chunks import convert_in_chunks, in_this_process
    from i2i.inference.ray_engine import on_ray

    engine = in_this_process(translator)
    if flags.engine == "ray":
        load = _load_options(flags)
        engine = on_ray(flags.model, load, imports=flags.imports, address=flags.address, workers=flags.workers)
    return convert_in_chunks(jobs, translator, options, engine=engine, remote=remote, **common)


def _with_seeds(flags: Flags, planned: RemotePlan, *, has_latent: bool) -> list[Job]:
    from i2i.inference.planning import named_by_seed, variants
    from i2i.inference.remote.planning import refuse_collisions

    jobs, folders = planned.jobs, planned.folders
    if (flags.samples is not None or flags.seed is not None) and not has_latent:
        raise UsageError(f"{flags.model} gives one output for an input; leave out --samples and --seed")
    if flags.samples is not None:
        if folders is None:
            return variants(jobs, flags.samples, seed=flags.seed or 0)
        jobs = named_by_seed(jobs, flags.samples, seed=flags.seed or 0)
        refuse_collisions(jobs, folders)
        return jobs
    return jobs if flags.seed is None else [job._replace(seed=flags.seed) for job in jobs]


def _refuse_existing(targets: Iterable[Path]) -> None:
    """A single file has no record of what made it, so that nothing says whether it is up to date."""
    for target in targets:
        if target.exists():
            raise UsageError(f"{target} exists already; add --overwrite, or choose another OUTPUT")


def _check_outputs(flags: Flags, jobs: list[Job]) -> None:
    """Refuse to overwrite the model, an input, or with the contact sheet an output."""
    from i2i.images.outputs import files_of_model, refuse_inputs
    from i2i.pretrained import model_file

    targets, of_model = [job.target for job in jobs], files_of_model(model_file(flags.model))
    refuse_inputs(targets, of_model)
    sheet, folder, output = flags.contact_sheet, Path(flags.input), Path(flags.output).resolve()
    if sheet is None:
        return
    refuse_inputs([sheet], itertools.chain(of_model, (job.source for job in jobs), targets), flag="--contact-sheet")
    path, root = sheet.resolve(), folder.resolve()
    if path in (target.resolve() for target in targets):
        raise UsageError(f"--contact-sheet {sheet} is one of the outputs; give another --contact-sheet")
    in_output = root in output.parents and path.is_relative_to(output)  # which is not searched for inputs
    if folder.is_dir() and path.is_relative_to(root) and not in_output:
        raise UsageError(
            f"--contact-sheet {sheet} lies in INPUT, so it would be translated next time; "
            "give another --contact-sheet, in a folder elsewhere"
        )


def _write_sheet(flags: Flags, result: Conversion, *, domains: tuple[str, str]) -> None:
    from i2i.inference.contact_sheet import write_contact_sheet

    shown = sorted(result.written + result.skipped, key=lambda job: (job.source, job.seed or 0))
    if flags.contact_sheet and shown:
        write_contact_sheet(flags.contact_sheet, shown, domains=domains)
        print(one_line(f"contact sheet: {flags.contact_sheet}"))


def _print_failures(result: Conversion, blocked: dict[str, list[Path]]) -> None:
    from i2i.inference.planning import some_of

    for path, reason in result.failed.items():
        print_error(f"{path}: {reason}", 1)
    for reason, paths in blocked.items():
        print_error(f"{some_of(paths)}: {reason}", 1)


def _print_summary(
    result: Conversion, skipped: Counter[str], blocked: dict[str, list[Path]], what: str, output: str
) -> None:
    """Print notes with the names of their files, then how many images were translated, skipped and failed."""
    from i2i.inference.planning import some_of

    for note, paths in result.notes.items():
        print(one_line(f"{some_of(paths)}: {note}"))
    written = len(result.written)
    parts = [f"{written} {what}{f' ({_speed(written, result.seconds)})' if written else ''}"]
    if result.changed:
        parts.append(f"{len(result.changed)} of them again, as the input has changed")
    if result.skipped:
        by_unknown = f", {len(result.unknown)} of them by an unknown model" if result.unknown else ""
        parts.append(f"{len(result.skipped)} there already{by_unknown} (--overwrite translates them again)")
    failed = len(result.failed) + sum(map(len, blocked.values()))
    if failed:
        parts.append(f"{failed} failed")
    if result.undone:
        parts.append(f"{len(result.undone)} not done")
    parts += [f"{count} {kind}{'s' if count > 1 else ''} left out" for kind, count in skipped.items()]
    print(one_line(f"{output}: {', '.join(parts)}"))


def _speed(count: int, seconds: float) -> str:
    return f"{count / seconds:.1f} images/s" if count >= seconds else f"{seconds / count:.1f} seconds per image"
