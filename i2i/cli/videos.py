"""`i2i translate in.mp4 out.mp4`: translate a video, and say how much it flickers before and after."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path

from i2i.cli.arguments import one_line, print_error
from i2i.cli.translate_flags import Flags
from i2i.errors import ImageError, UsageError
from i2i.evaluation.warping_error import WarpingError
from i2i.images.outputs import files_of_model, refuse_inputs
from i2i.inference.translator import Translator
from i2i.inference.video.frames import TranslatedFrame
from i2i.inference.video.names import WRITABLE, writable_in_words
from i2i.inference.video.translate import SMOOTH, VideoResult, translate_video
from i2i.pretrained import model_file
from i2i.progress import logger


def translate_one_video(flags: Flags) -> int:
    """Translate the video INPUT into OUTPUT.

    Returns:
        Exit code: 1 if the video can't be read, else 0.

    Raises:
        UsageError: flags that are for images, or a setting that can't be met.
    """
    source, target = Path(flags.input), _target(flags)
    _check(flags, source)
    translator = Translator.load(
        flags.model, to=flags.to, device=flags.device, backend=flags.backend, invert_dark=flags.invert_dark
    )
    logger.info("%s on %s: %s", flags.model, translator.device, translator.backend.spec)
    refuse_inputs([target], files_of_model(model_file(flags.model)))
    errors = WarpingError()

    def measure(frame: TranslatedFrame) -> None:
        errors.add(frame.source, frame.plain, frame.result, motion=frame.motion)

    smooth, norm_smooth = SMOOTH if flags.smooth is None else flags.smooth, flags.norm_smooth or 0.0
    try:
        result = translate_video(
            source,
            target,
            translator,
            smooth=smooth,
            norm_smooth=norm_smooth,
            tile=flags.tile,
            batch_size=flags.batch_size,
            seed=flags.seed,
            quality=flags.quality,
            max_megapixels=flags.max_megapixels,
            overwrite=flags.overwrite,
            on_frame=measure if smooth else None,
        )
    except ImageError as error:
        return print_error(error.with_flags(), 1)
    except KeyboardInterrupt:
        return print_error(f"interrupted: {target} was not written", 130)
    print(one_line(f"{target}: {_summary(result, translator)}"))
    if errors.pairs:
        print(f"flicker (warping error): {_flicker(errors, norm_smooth=norm_smooth)}")
    return 0


def _target(flags: Flags) -> Path:
    output, source = Path(flags.output), Path(flags.input)
    if output.is_dir() or not output.suffix:
        return output / (source.name if source.suffix.lower() in WRITABLE else f"{source.stem}.mp4")
    return output


def _check(flags: Flags, source: Path) -> None:
    if not source.is_file():
        glob = "; give one video, without * or ?" if has_magic(flags.input) else ""
        raise UsageError(f"{source}: there is no such video{glob}")
    for flag, given in (
        ("--samples", flags.samples is not None),
        ("--contact-sheet", flags.contact_sheet is not None),
        ("--engine", flags.engine != "local"),
    ):
        if given:
            raise UsageError(f"{flag} is for images, and {source} is a video; leave it out")
    if flags.format:
        raise UsageError(
            f"--format is for images; the format of a video is the suffix of OUTPUT: {writable_in_words()}"
        )


def _summary(result: VideoResult, translator: Translator) -> str:
    scenes = f", {result.scenes} scenes" if result.scenes > 1 else ""
    notes = "".join(f"; {note}" for note in result.notes)
    speed = f"{result.frames / max(result.seconds, 1e-9):.1f} frames/s"
    return f"{result.frames} frames translated to {translator.domains[1]} ({speed}{scenes}){notes}"


def _flicker(errors: WarpingError, *, norm_smooth: float) -> str:
    source, plain, smoothed = errors.means
    before = f"with --norm-smooth {norm_smooth:g}" if norm_smooth else "frame by frame"
    return f"input {source:.5f}, {before} {plain:.5f}, smoothed {smoothed:.5f}"
